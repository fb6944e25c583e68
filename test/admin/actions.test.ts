import { describe, expect, it } from "vitest";
import type { CountResult, SendResult } from "../../src/admin/api.js";
import { connect as connectClient } from "../../src/client/index.js";
import { connect, socketsOf, type TestClient } from "../../src/testing/index.js";
import { closes } from "../support/app.js";
import { type AdminApp, startAdmin } from "./support.js";

async function idOf(app: AdminApp, user: string): Promise<string> {
  const [member] = app.app.registry.user(user).members();
  if (member === undefined) throw new Error(`${user} is not connected`);
  return member.id;
}

describe("send", () => {
  it("reaches a connection, a room, a tree, a user, a channel and all, marked as of the system", async () => {
    const app = await startAdmin({ admin: { node: "one" } });
    const ann = await connect(app.app, "/chat/a?user=ann");
    const bob = await connect(app.app, "/kept/b?user=bob");
    const reach: [to: unknown, clients: TestClient[]][] = [
      [{ connection: { node: "one", id: await idOf(app, "ann") } }, [ann]],
      [{ room: "/kept/b" }, [bob]],
      [{ tree: "/chat" }, [ann]],
      [{ tree: "/chat/**" }, [ann]],
      [{ tree: "/" }, [ann, bob]],
      [{ user: "bob" }, [bob]],
      [{ channel: "chat" }, [ann]],
      ["all", [ann, bob]],
    ];
    for (const [to, clients] of reach) {
      const counted = await app.post<CountResult>("count", { to });
      expect([to, counted.body]).toEqual([to, { connections: clients.length, missing: [] }]);
      const sent = await app.post<SendResult>("send", { to, kind: "json", data: { to } });
      expect([sent.status, sent.body]).toEqual([200, { sent: true, to }]);
      for (const client of clients)
        expect(await client.readJSON()).toEqual({ type: "system", from: "olga", data: { to } });
    }
  });

  it("sends text as it is, and events in the protocol of the route", async () => {
    const app = await startAdmin({ admin: { node: "one" } });
    const ann = await connect(app.app, "/chat/a?user=ann");
    await app.post("send", { to: { user: "ann" }, kind: "text", data: "hello" });
    expect(await ann.readText()).toBe("hello");
    const marked = { type: "system", from: "olga", data: 7 };
    for (const to of ["all", { room: "/chat/a" }, { connection: { node: "one", id: await idOf(app, "ann") } }]) {
      await app.post("send", { to, kind: "event", event: "notice", data: 7 });
      expect(await ann.readJSON()).toEqual({ event: "notice", data: marked });
    }
  });

  it("sends what systemMessage returns", async () => {
    const systemMessage = (operator: string, data: unknown) => ({ by: operator, text: data });
    const app = await startAdmin({ admin: { systemMessage } });
    const ann = await connect(app.app, "/chat/a?user=ann");
    await app.post("send", { to: "all", kind: "json", data: "hi" });
    expect(await ann.readJSON()).toEqual({ by: "olga", text: "hi" });
  });

  it.each<[string, object, number]>([
    ["no target", { kind: "text", data: "x" }, 400],
    ["two targets", { to: { room: "/a", user: "a" }, kind: "text", data: "x" }, 400],
    ["a room that is no path", { to: { room: "a" }, kind: "text", data: "x" }, 400],
    ["an unknown channel", { to: { channel: "none" }, kind: "text", data: "x" }, 400],
    ["an unknown kind", { to: "all", kind: "binary", data: "x" }, 400],
    ["a text that is none", { to: "all", kind: "text", data: 7 }, 400],
    ["an event without a name", { to: "all", kind: "event", data: 7 }, 400],
    ["an unknown field", { to: "all", kind: "text", data: "x", keep: true }, 400],
    ["an unknown connection", { to: { connection: { node: "one", id: "x" } }, kind: "text", data: "x" }, 404],
    ["an unknown node", { to: { connection: { node: "two", id: "x" } }, kind: "text", data: "x" }, 404],
  ])("refuses %s", async (_what, body, status) => {
    const app = await startAdmin({ admin: { node: "one" } });
    expect((await app.post("send", body)).status).toBe(status);
  });
});

describe("close", () => {
  it("closes a connection, all of a user, and all in a room", async () => {
    const app = await startAdmin({ admin: { node: "one" } });
    const open = (user: string) => connect(app.app, `/chat/a?user=${user}`);
    const [ann, bob, bob2, cleo] = [await open("ann"), await open("bob"), await open("bob"), await open("cleo")];
    const connection = { node: "one", id: await idOf(app, "ann") };
    expect((await app.post("close", { connection })).body).toEqual({ done: true });
    expect(await ann.closed).toMatchObject({ code: 1000 });
    await app.post("close", { user: "bob", code: 4321, reason: "bye" });
    for (const client of [bob, bob2]) expect(await client.closed).toMatchObject({ code: 4321, reason: "bye" });
    await app.post("close", { room: "/chat/a", code: 3000 });
    expect(await cleo.closed).toMatchObject({ code: 3000 });
    expect((await app.post("close", { connection })).status).toBe(404);
  });

  it("asks a client of enfilade.v1 to reconnect, and closes a plain client with 1012", async () => {
    const app = await startAdmin({ admin: { node: "one" } });
    const plain = await connect(app.app, "/chat/a?user=plain");
    const room = connectClient(`${app.running.url}/chat/a?user=ann`, { WebSocket: socketsOf(app.app) });
    await room.opened;
    const id = await idOf(app, "ann");
    const [left, closed] = [app.app.registry.connection(id)?.ended, closes(app.app, 1)];
    await app.post("close", { connection: { node: "one", id }, cooperative: true });
    expect(await left).toMatchObject({ by: "client" });
    await closed;
    expect(await idOf(app, "ann")).not.toBe(id);
    await app.post("close", { connection: { node: "one", id: await idOf(app, "plain") }, cooperative: true });
    expect(await plain.closed).toMatchObject({ code: 1012 });
    room.close();
  });

  it.each<object>([
    { user: "ann", code: 1001 },
    { user: "ann", code: "4000" },
    { user: "ann", cooperative: true },
    { user: "ann", reason: 7 },
    { connection: "ann" },
    { connection: { node: "one", id: "x" }, cooperative: true, code: 4000 },
    {},
  ])("refuses %j", async (body) => {
    const app = await startAdmin();
    expect((await app.post("close", body)).status).toBe(400);
  });
});

it("evict removes a connection or a user from a room, and leaves it connected", async () => {
  const app = await startAdmin({ admin: { node: "one" } });
  const ann = await connect(app.app, "/chat/a?user=ann");
  await connect(app.app, "/chat/a?user=bob");
  const connection = { node: "one", id: await idOf(app, "ann") };
  expect((await app.post("evict", { room: "/chat/a", connection, reason: "rude" })).body).toEqual({ done: true });
  expect(app.app.registry.room("/chat/a").size).toBe(1);
  await app.post("evict", { room: "/chat/a", user: "bob" });
  expect(app.app.registry.room("/chat/a").size).toBe(0);
  expect(app.app.registry.counts.local.connections).toBe(2);
  ann.sendText("still here");
  for (const body of [{ room: "/chat/a" }, { room: "/chat/a", user: "a", connection }, { user: "a" }]) {
    expect((await app.post("evict", body)).status).toBe(400);
  }
});

it("revoke closes with 4501, so that the clients do not come back", async () => {
  const app = await startAdmin({ admin: { node: "one" } });
  const open = (user: string) => connect(app.app, `/chat/a?user=${user}`);
  const [ann, bob, cleo] = [await open("ann"), await open("bob"), await open("cleo")];
  await app.post("revoke", { user: "ann" });
  await app.post("revoke", { connection: { node: "one", id: await idOf(app, "bob") } });
  await app.post("revoke", { room: "/chat/a" });
  for (const client of [ann, bob, cleo]) expect(await client.closed).toMatchObject({ code: 4501 });
  expect((await app.post("revoke", { user: "a", room: "/a" })).status).toBe(400);
});
