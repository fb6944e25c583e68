import { describe, expect, it } from "vitest";
import type {
  ConnectionDetails,
  ConnectionsPage,
  CountResult,
  DeparturesPage,
  EntryBatch,
  Overview,
  RoomDetails,
  RoomsPage,
  UsersPage,
} from "../../src/admin/api.js";
import { connect } from "../../src/testing/index.js";
import { Payload } from "../../src/wire/payload.js";
import { closes } from "../support/app.js";
import { type EngineServer, startEngine } from "../support/engines.js";
import { missing as isMissing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { type AdminApp, type AdminAppOptions, startAdmin, token } from "./support.js";

function startNode(engine: EngineServer, node: string, options: AdminAppOptions = {}): Promise<AdminApp> {
  return startAdmin({ admin: { node, ...options.admin }, app: { backplane: engine.backplane(), ...options.app } });
}

/** Two nodes, `one` and `two`, once they know each other. */
async function twoNodes(options: AdminAppOptions = {}): Promise<[AdminApp, AdminApp]> {
  const engine = await startEngine("redis");
  const one = await startNode(engine, "one", options);
  const two = await startNode(engine, "two", options);
  await knows(one, 2);
  await knows(two, 2);
  return [one, two];
}

/** Resolves when a node shows this many nodes. */
async function knows(app: AdminApp, count: number): Promise<void> {
  while ((await app.get<Overview>("overview")).nodes.length < count);
}

describe.skipIf(isMissing("redis", "the admin of many nodes"))("the admin of one of two nodes", () => {
  it("shows both", async () => {
    const [one, two] = await twoNodes();
    const clients = [];
    for (const user of ["ann", "bob"]) clients.push(await connect(one.app, `/kept/a?user=${user}`));
    for (const user of ["ann", "cleo"]) clients.push(await connect(two.app, `/kept/a?user=${user}`));
    clients.push(await connect(two.app, "/chat/b"));

    const { nodes } = await one.get<Overview>("overview");
    expect(nodes.map(({ node, isThis, connections }) => [node, isThis, connections])).toEqual([
      ["one", true, 2],
      ["two", false, 3],
    ]);
    const { connections } = await one.get<ConnectionsPage>("connections");
    expect(connections.map(({ node, user }) => `${node} ${user}`).sort()).toEqual(
      ["one ann", "one bob", "two ann", "two cleo", "two undefined"].sort(),
    );
    const onTwo = await one.get<ConnectionsPage>("connections?node=two&search=cleo");
    expect(onTwo.connections.map(({ user }) => user)).toEqual(["cleo"]);
    const first = await one.get<ConnectionsPage>("connections?limit=2");
    const second = await one.get<ConnectionsPage>(`connections?limit=3&after=${encodeURIComponent(first.next ?? "")}`);
    expect([...first.connections, ...second.connections]).toEqual(connections);

    const { users } = await two.get<UsersPage>("users");
    expect(users.map(({ id, connections: count, nodes: on }) => [id, count, [...on].sort()])).toEqual([
      ["ann", 2, ["one", "two"]],
      ["bob", 1, ["one"]],
      ["cleo", 1, ["two"]],
    ]);
    const { rooms, missing } = await one.get<RoomsPage>("rooms?under=/kept");
    expect(missing).toEqual([]);
    expect(rooms).toEqual([expect.objectContaining({ path: "/kept/a", members: 4 })]);
    const all = await one.get<RoomsPage>("rooms?search=/");
    expect(all.rooms.map(({ path }) => path)).toEqual(["/chat/b", "/kept/a"]);
    const room = await one.get<RoomDetails>("room?path=/kept/a");
    expect([room.memberCount, room.members.members.length, room.presence.count]).toEqual([4, 4, 3]);
    const counted = await one.post<CountResult>("count", { to: "all" });
    expect(counted.body).toEqual({ connections: 5, missing: [] });
  });

  it("messages, closes and removes clients of the other", async () => {
    const [one, two] = await twoNodes();
    const ann = await connect(two.app, "/chat/a?user=ann");
    const [listed] = (await one.get<ConnectionsPage>("connections?user=ann")).connections;
    const connection = { node: listed?.node, id: listed?.id };
    expect(connection.node).toBe("two");
    const details = await one.get<ConnectionDetails>(`connection?node=two&id=${connection.id}`);
    expect(details).toMatchObject({ user: "ann", rooms: ["/chat/a"], route: "/chat/:room" });
    for (const to of [{ connection }, { user: "ann" }, { room: "/chat/a" }, { tree: "/chat" }, "all"]) {
      expect((await one.post("send", { to, kind: "json", data: 1 })).status).toBe(200);
      expect(await ann.readJSON()).toEqual({ type: "system", from: "olga", data: 1 });
    }
    await one.post("evict", { room: "/chat/a", connection });
    await one.post("send", { to: { connection }, kind: "text", data: "still here" });
    expect(await ann.readText()).toBe("still here");
    expect(two.app.registry.room("/chat/a").size).toBe(0);
    const closed = closes(two.app, 1);
    await one.post("close", { connection, code: 4000, reason: "kicked" });
    expect(await ann.closed).toMatchObject({ code: 4000, reason: "kicked" });
    await closed;
    const { departures } = await one.get<DeparturesPage>("departures");
    expect(departures[0]).toMatchObject({ node: "two", user: "ann", code: 4000, reason: "kicked", side: "server" });
    expect((await one.post("close", { connection })).status).toBe(404);
  });

  it("taps the other, and no more after untap", async () => {
    const [one, two] = await twoNodes();
    const page = await connect(one.app, "/admin/live", { headers: { authorization: `Bearer ${token}` } });
    const batch = async () => {
      for (;;) {
        // The server sends events and replies, which are objects.
        const message = (await page.readJSON()) as { event?: string; data: EntryBatch };
        if (message.event === "entries" && message.data.entries.length > 0) return message.data;
      }
    };
    page.sendJSON({ event: "tap", id: 1, data: { id: "t", filter: { direction: "in" } } });
    const ann = await connect(two.app, "/chat/a?user=ann");
    const seen = batch();
    // The other node begins to tap when the message of this one has arrived.
    let isSeen = false;
    void seen.then(() => {
      isSeen = true;
    });
    while (!isSeen) {
      ann.sendText("hello");
      await ann.readText();
    }
    expect(await seen).toMatchObject({
      id: "t",
      node: "two",
      entries: expect.arrayContaining([expect.objectContaining({ user: "ann", text: "hello" })]),
    });
  });

  it("names a node that does not answer, forgets it as the backplane does, and finds it again", async () => {
    const engine = await startEngine("redis");
    const proxy = await startProxy(engine.port);
    const options = { admin: { limits: { nodeAnswerMs: 200 } }, app: { limits: { nodeHeartbeatMs: 100 } } };
    const one = await startNode(engine, "one", options);
    const backplane = engine.backplane(`redis://127.0.0.1:${proxy.port}`);
    await startAdmin({ admin: { ...options.admin, node: "two" }, app: { ...options.app, backplane } });
    await knows(one, 2);
    proxy.stall();
    const { nodes, missing } = await one.get<Overview>("overview");
    expect([nodes.map(({ node }) => node), missing]).toEqual([["one"], ["two"]]);
    expect((await one.fetch("/api/connection?node=two&id=x")).status).toBe(504);
    while ((await one.get<Overview>("overview")).missing.length > 0);
    proxy.open();
    await knows(one, 2);
  });

  it("does not wait for a node that has closed", async () => {
    const [one, two] = await twoNodes();
    await two.app.close();
    expect(await one.get<Overview>("overview")).toMatchObject({ missing: [], nodes: [{ node: "one" }] });
  });

  it("is not asked or misled by an app without the secret", async () => {
    const engine = await startEngine("redis");
    const one = await startNode(engine, "one");
    const stranger = await startNode(engine, "stranger", { admin: { secret: "another secret of many characters" } });
    await connect(one.app, "/chat/a?user=ann");
    const forged = { text: JSON.stringify({ kind: "here", from: "forged" }), signature: "forged" };
    await stranger.app.registry.publish(stranger.app.registry.topicOf("/**"), Payload.json(forged), undefined);
    for (const app of [one, stranger]) {
      expect((await app.get<Overview>("overview")).nodes.length).toBe(1);
      expect((await app.get<Overview>("overview")).missing).toEqual([]);
    }
  });
});
