import { describe, expect, it } from "vitest";
import type {
  ConnectionDetails,
  ConnectionsPage,
  MembersPage,
  Overview,
  RoomDetails,
  RoomsPage,
  UsersPage,
} from "../../src/admin/api.js";
import { WebSocketHandler } from "../../src/index.js";
import { connect } from "../../src/testing/index.js";
import { type AdminApp, startAdmin } from "./support.js";

/** All pages of a list, by its cursors. */
async function allPages<Page extends { readonly next?: string }>(app: AdminApp, call: string): Promise<Page[]> {
  const pages: Page[] = [];
  let after = "";
  do {
    const page = await app.get<Page>(`${call}&after=${encodeURIComponent(after)}`);
    pages.push(page);
    after = page.next ?? "";
  } while (after !== "");
  return pages;
}

describe("the overview", () => {
  it("has the counts, the totals and the rates of the node", async () => {
    const app = await startAdmin({ admin: { node: "one" } });
    const ann = await connect(app.app, "/chat/a?user=ann");
    await connect(app.app, "/chat/b");
    ann.sendText("hello");
    await ann.readText();
    const { nodes, missing, at } = await app.get<Overview>("overview");
    expect(missing).toEqual([]);
    expect(at).toBeGreaterThan(1_700_000_000_000);
    expect(nodes).toEqual([
      expect.objectContaining({ node: "one", isThis: true, ready: true, connections: 2, rooms: 2, users: 1 }),
    ]);
    const [node] = nodes;
    expect(node?.backplane).toEqual({ engine: "memory", state: "up" });
    expect(node?.totals).toMatchObject({ opened: 2, closed: 0, received: 1, delivered: 1 });
    expect(node?.memory.residentBytes).toBeGreaterThan(1_000_000);
    expect(Object.keys(node?.rates ?? {})).toEqual(["messagesIn", "messagesOut", "bytesIn", "bytesOut"]);
  });
});

describe("the connections", () => {
  it("are listed in pages, each once", async () => {
    const app = await startAdmin();
    for (let number = 0; number < 25; number += 1) await connect(app.app, `/chat/${number % 5}?user=u${number}`);
    const pages = await allPages<ConnectionsPage>(app, "connections?limit=4");
    expect(pages.map(({ connections }) => connections.length)).toEqual([4, 4, 4, 4, 4, 4, 1]);
    const listed = pages.flatMap(({ connections }) => connections);
    expect(new Set(listed.map(({ id }) => id)).size).toBe(25);
    expect(listed.map(({ path }) => path)).toEqual(listed.map(({ path }) => path).toSorted());
    expect(Object.keys(listed[0] ?? {}).sort()).toEqual(
      ["address", "id", "node", "openedAt", "path", "protocol", "user"].sort(),
    );
  });

  it("are searched by user, path and address", async () => {
    const app = await startAdmin();
    await app.running.open("/chat/Tea?user=ann");
    await app.running.open("/chat/tea?user=joanna");
    await connect(app.app, "/kept/tea?user=bob");
    const users = async (query: string) => {
      const { connections } = await app.get<ConnectionsPage>(`connections?${query}`);
      return connections.map(({ user }) => user).sort();
    };
    expect(await users("search=TEA")).toEqual(["ann", "bob", "joanna"]);
    expect(await users("search=ann")).toEqual(["ann", "joanna"]);
    expect(await users("user=ann")).toEqual(["ann"]);
    expect(await users("path=/chat")).toEqual(["ann", "joanna"]);
    expect(await users("path=/chat/te")).toEqual([]);
    expect(await users("address=127.0.")).toEqual(["ann", "joanna"]);
    expect(await users("search=127&path=/chat/tea")).toEqual(["joanna"]);
    expect(await users("search=nothing")).toEqual([]);
  });

  it("have details: rooms, route, messages and bytes", async () => {
    const app = await startAdmin({ admin: { node: "one" } });
    const ann = await app.running.open("/chat/a?user=ann&token=secret");
    const [connection] = app.app.registry.connections;
    if (connection === undefined) throw new Error("no connection");
    app.app.registry.join(connection, "/kept/b");
    ann.sendText("hello");
    await ann.readText();
    const details = await app.get<ConnectionDetails>(`connection?node=one&id=${connection.id}`);
    expect(details).toMatchObject({
      node: "one",
      id: connection.id,
      user: "ann",
      path: "/chat/a",
      address: "127.0.0.1",
      protocol: "plain",
      rooms: ["/chat/a", "/kept/b"],
      hasMoreRooms: false,
      route: "/chat/:room",
      messagesIn: 1,
      messagesOut: 1,
      bufferedBytes: 0,
      isLagging: false,
    });
    // A frame of 5 bytes has a header of 2 bytes, and that of a client a mask of 4 bytes.
    expect([details.bytesIn >= 11, details.bytesOut]).toEqual([true, 7]);
    expect(JSON.stringify(details)).not.toContain("secret");
    const status = async (query: string) => (await app.fetch(`/api/connection?${query}`)).status;
    expect(await status("node=one&id=nothing")).toBe(404);
    expect(await status(`node=two&id=${connection.id}`)).toBe(404);
    expect(await status("node=one")).toBe(400);
  });
});

describe("the rooms", () => {
  it("are a tree with the counts of what is below", async () => {
    const app = await startAdmin();
    const rest = class extends WebSocketHandler {
      override onMessage(): void {
        this.close();
      }
    };
    app.app.route("/**", rest);
    for (const path of ["/chat/a", "/chat/a", "/chat/a/x", "/chat/a/x/y", "/chat/b", "/kept/k", "/"]) {
      await connect(app.app, path);
    }
    const row = (path: string, more: object) => ({
      path,
      members: 0,
      isOpen: false,
      hasChildren: false,
      roomsBelow: 0,
      membersBelow: 0,
      history: false,
      ...more,
    });
    expect((await app.get<RoomsPage>("rooms")).rooms).toEqual([
      row("/", { isOpen: true, members: 1 }),
      row("/chat", { hasChildren: true, roomsBelow: 4, membersBelow: 5 }),
      row("/kept", { hasChildren: true, roomsBelow: 1, membersBelow: 1 }),
    ]);
    expect((await app.get<RoomsPage>("rooms?under=/chat")).rooms).toEqual([
      row("/chat/a", { isOpen: true, members: 2, hasChildren: true, roomsBelow: 2, membersBelow: 2 }),
      row("/chat/b", { isOpen: true, members: 1 }),
    ]);
    const kept = await app.get<RoomsPage>("rooms?under=/kept");
    expect(kept.rooms).toEqual([row("/kept/k", { isOpen: true, members: 1, history: true })]);
    const found = await app.get<RoomsPage>("rooms?search=A/X");
    expect(found.rooms.map(({ path }) => path)).toEqual(["/chat/a/x", "/chat/a/x/y"]);
  });

  it("are listed in pages, on each level", async () => {
    const app = await startAdmin();
    for (let number = 0; number < 13; number += 1) await connect(app.app, `/chat/${number}`);
    for (const call of ["rooms?under=/chat&limit=5", "rooms?search=chat&limit=5"]) {
      const pages = await allPages<RoomsPage>(app, call);
      expect(pages.map(({ rooms }) => rooms.length)).toEqual([5, 5, 3]);
      const paths = pages.flatMap(({ rooms }) => rooms).map(({ path }) => path);
      expect(new Set(paths).size).toBe(13);
    }
  });

  it("have details: members, presence and history", async () => {
    const app = await startAdmin();
    const ann = await connect(app.app, "/kept/a?user=ann");
    await connect(app.app, "/kept/a?user=bob");
    for (let number = 0; number < 60; number += 1) ann.sendText(`message ${number}`);
    for (let number = 0; number < 60; number += 1) await ann.readText();
    await app.app.registry.room("/kept/a").publish({ json: true });
    await app.app.registry.room("/kept/a").publishBinary(new Uint8Array([1, 2, 3]));
    const room = await app.get<RoomDetails>("room?path=/kept/a");
    expect(room).toMatchObject({ path: "/kept/a", route: "/kept/:room", memberCount: 2, hasHistory: true });
    expect(room.members.members.map(({ user }) => user).sort()).toEqual(["ann", "bob"]);
    expect(room.presence).toEqual({ mode: "full", count: 2, users: expect.arrayContaining(["ann", "bob"]) });
    expect(room.history.length).toBe(50);
    expect(room.history.slice(-3)).toEqual([
      { position: { epoch: expect.any(String), offset: 60 }, kind: "text", text: "message 59", bytes: 10 },
      { position: { epoch: expect.any(String), offset: 61 }, kind: "json", text: '{"json":true}', bytes: 13 },
      { position: { epoch: expect.any(String), offset: 62 }, kind: "binary", text: "AQID", bytes: 3 },
    ]);
    const empty = await app.get<RoomDetails>("room?path=/nowhere");
    expect(empty).toMatchObject({ memberCount: 0, history: [], hasHistory: false, presence: { mode: "off" } });
    expect((await app.fetch("/api/room?path=nowhere")).status).toBe(400);
  });

  it("list their members in pages", async () => {
    const app = await startAdmin();
    for (let number = 0; number < 7; number += 1) await connect(app.app, `/chat/a?user=u${number}`);
    const pages = await allPages<MembersPage>(app, "members?path=/chat/a&limit=3");
    const users = pages.flatMap(({ members }) => members).map(({ user }) => user);
    expect(users.sort()).toEqual(["u0", "u1", "u2", "u3", "u4", "u5", "u6"]);
  });
});

describe("the users", () => {
  it("are listed with their connections, in pages", async () => {
    const app = await startAdmin({ admin: { node: "one" } });
    for (const user of ["ann", "bob", "ann", "cleo", "dan", "ann"]) await connect(app.app, `/chat/a?user=${user}`);
    await connect(app.app, "/chat/a");
    const pages = await allPages<UsersPage>(app, "users?limit=3");
    expect(pages.map(({ users }) => users)).toEqual([
      [
        { id: "ann", connections: 3, nodes: ["one"] },
        { id: "bob", connections: 1, nodes: ["one"] },
        { id: "cleo", connections: 1, nodes: ["one"] },
      ],
      [{ id: "dan", connections: 1, nodes: ["one"] }],
    ]);
    const found = await app.get<UsersPage>("users?search=AN");
    expect(found.users.map(({ id }) => id)).toEqual(["ann", "dan"]);
  });
});

it("lists the names of the routes", async () => {
  const app = await startAdmin();
  expect(await app.get("channels")).toEqual({ channels: [{ name: "chat", pattern: "/chat/:room" }] });
});

it("refuses unknown fields and wrong limits", async () => {
  const app = await startAdmin();
  for (const query of ["users?limit=0", "users?limit=-1", "users?limit=x", "users?serch=a", "rooms?under=x"]) {
    expect([query, (await app.fetch(`/api/${query}`)).status]).toEqual([query, 400]);
  }
});

it("gives at most listEntriesMax entries", async () => {
  const app = await startAdmin({ admin: { limits: { listEntriesMax: 2 } } });
  for (let number = 0; number < 3; number += 1) await connect(app.app, `/chat/${number}`);
  expect((await app.get<ConnectionsPage>("connections?limit=100")).connections.length).toBe(2);
});
