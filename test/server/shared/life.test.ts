import { describe, expect, it } from "vitest";
import { App, EventHandler } from "../../../src/index.js";
import { ManualClock } from "../../../src/testing/index.js";
import { closes, Mailbox, start } from "../../support/app.js";
import { RoomsClient } from "../../support/roomsClient.js";
import { Chat, silent, startChat } from "./chat.js";

async function openRooms(port: number, rooms: readonly string[], fields: object = {}): Promise<RoomsClient> {
  const client = await RoomsClient.open(port);
  for (const room of rooms) await client.open(room, fields);
  return client;
}

describe("app.revoke()", () => {
  it("closes the rooms of a user, of a room or of a connection, and no other room of the socket", async () => {
    const { port, app } = await startChat();
    const client = await openRooms(port, ["/chat/a", "/chat/b"], { token: "ann" });
    for (const room of ["/chat/c", "/chat/d", "/chat/e"]) await client.open(room, { token: "bob" });
    const revoked = { code: 4_501, reason: "revoked" };
    await app.revoke({ user: "ann" });
    for (const room of ["/chat/a", "/chat/b"]) expect(await client.first("closed", room)).toMatchObject(revoked);
    await app.revoke({ room: "/chat/c" });
    expect(await client.first("closed", "/chat/c")).toMatchObject(revoked);
    const { id } = client.of("/chat/d", "opened")[0] ?? {};
    await app.revoke({ connection: String(id) });
    expect(await client.first("closed", "/chat/d")).toMatchObject(revoked);
    client.event("/chat/e", "mine", "alive");
    await client.first("message", "/chat/e");
    // The access is checked again when the client opens them again.
    expect(await client.open("/chat/a", { token: "nobody" })).toMatchObject({ status: 401 });
  });

  it("refuses a room whose authorize began before", async () => {
    const asked = new Mailbox<() => void>();
    class Slow extends Chat {
      override authorize(): Promise<{ id: string; token: string }> {
        return new Promise((resolve) => asked.put(() => resolve({ id: "ann", token: "ann" })));
      }
    }
    const { port, app } = await start(new App({ logger: silent }).route("/chat/:channel", Slow));
    const client = await RoomsClient.open(port);
    client.ask("/chat/a");
    const [accept] = await asked.have(1);
    await app.revoke({ user: "ann" });
    accept?.();
    expect(await client.first("refused", "/chat/a")).toMatchObject({ status: 401, reason: "Access was revoked" });
  });
});

describe("app.close()", () => {
  it("closes each room with 1001, and then the sockets, those without rooms included", async () => {
    const { port, app } = await startChat();
    const client = await openRooms(port, ["/chat/a", "/chat/b"]);
    const empty = await RoomsClient.open(port);
    const closed = app.close();
    for (const room of ["/chat/a", "/chat/b"]) {
      expect(await client.first("closed", room)).toMatchObject({ code: 1_001, reason: "server shutting down" });
    }
    expect(await client.closed).toEqual({ code: 1_001, reason: "server shutting down" });
    expect(await empty.closed).toEqual({ code: 1_001, reason: "server shutting down" });
    await closed;
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0, handshakes: 0 });
  });

  it("needs no timer, waits for busy handlers, and refuses rooms that are opened meanwhile with 503", async () => {
    const finish = new Mailbox<() => void>();
    class Busy extends EventHandler {
      static events = { work: "onWork" };
      onWork(): Promise<void> {
        return new Promise((resolve) => finish.put(resolve));
      }
    }
    const clock = new ManualClock();
    const { port, app } = await start(new App({ clock, logger: silent }).route("/chat/:channel", Busy));
    const client = await openRooms(port, ["/chat/a", "/chat/b"]);
    client.event("/chat/a", "work", null, 1);
    await finish.have(1);
    let isClosed = false;
    const closing = app.close().then(() => {
      isClosed = true;
    });
    client.ask("/chat/c");
    expect(await client.closed).toMatchObject({ code: 1_001 });
    expect(isClosed).toBe(false);
    const refused = client.of("/chat/c");
    if (refused.length > 0) expect(refused).toMatchObject([{ type: "refused", status: 503 }]);
    finish.all[0]?.();
    await closing;
  });

  it("ends sockets whose client does not answer, and rooms that wait for authorize", async () => {
    class Slow extends Chat {
      override authorize(): Promise<never> {
        return new Promise(() => undefined);
      }
    }
    const app = new App({ logger: silent }).route("/chat/:channel", Chat).route("/slow/:channel", Slow);
    const { port } = await start(app);
    const client = await openRooms(port, ["/chat/a"]);
    client.ask("/slow/a");
    await client.settled();
    client.pause();
    await app.close({ timeoutMs: 20 });
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0, handshakes: 0 });
    client.resume();
    await client.closed;
  });
});

describe("app.drain()", () => {
  it("tells each room, refuses new ones with 503, and closes the sockets after their last room", async () => {
    const { port, app } = await startChat();
    const client = await openRooms(port, ["/chat/a", "/chat/b"]);
    const empty = await RoomsClient.open(port);
    const drained = app.drain({ withinMs: 20_000, settleMs: 1 });
    for (const room of ["/chat/a", "/chat/b"]) {
      expect(await client.first("drain", room)).toMatchObject({ room, withinMs: expect.any(Number) });
    }
    expect(await empty.closed).toMatchObject({ code: 1_001 });
    expect(await client.open("/chat/c")).toMatchObject({ status: 503 });
    client.event("/chat/a", "mine", "still served");
    await client.first("message", "/chat/a");
    for (const room of ["/chat/a", "/chat/b"]) client.send({ type: "close", room });
    expect(await client.closed).toMatchObject({ code: 1_001 });
    expect(await drained).toEqual({ left: 2, remaining: [] });
  });
});

describe("the heartbeat", () => {
  it("is that of the socket: one ping for all rooms, and one end", async () => {
    const clock = new ManualClock();
    const { port, app } = await startChat({ clock, limits: { heartbeatMs: 1_000 } });
    const [alive, dead] = [
      await openRooms(port, ["/chat/a", "/chat/b"]),
      await openRooms(port, ["/chat/c", "/chat/d"]),
    ];
    const ended = new Mailbox<unknown>();
    app.on("close", ({ request }, code) => ended.put([request.path, code]));
    dead.pause();
    while (ended.all.length < 2) {
      clock.advance(500);
      await alive.settled();
    }
    expect(ended.all.sort()).toEqual([
      ["/chat/c", 1_006],
      ["/chat/d", 1_006],
    ]);
    for (let n = 0; n < 10; n += 1) {
      clock.advance(500);
      await alive.settled();
    }
    expect(app.status().connections).toBe(2);
  });
});

describe("the end of a socket", () => {
  it("during authorize accepts nobody, and leaves nothing behind", async () => {
    const asked = new Mailbox<(how: "accept" | "refuse") => void>();
    class Slow extends Chat {
      override authorize(): Promise<{ id: string; token: string }> {
        return new Promise((resolve, reject) => {
          asked.put((how) => (how === "accept" ? resolve({ id: "ann", token: "ann" }) : reject(new Error("no"))));
        });
      }
    }
    const { port, app } = await start(new App({ logger: silent }).route("/chat/:channel", Slow));
    for (const end of ["cut", "close"] as const) {
      const client = await RoomsClient.open(port);
      const before = asked.all.length;
      for (const room of ["/chat/a", "/chat/b", "/chat/c"]) client.ask(room);
      await asked.have(before + 3);
      client.send({ type: "close", room: "/chat/c" });
      await client.first("closed", "/chat/c");
      client[end]();
      await client.closed;
      while (app.status().handshakes > 0) await new Promise((resolve) => setImmediate(resolve));
      for (const [at, decide] of asked.all.slice(before).entries()) decide(at % 2 === 0 ? "accept" : "refuse");
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0, handshakes: 0, totals: { opened: 0 } });
  });

  it("ends the handlers of all rooms, and each gets onClose once", async () => {
    const { port, app } = await startChat();
    const ended = closes(app, 20);
    const rooms = Array.from({ length: 20 }, (_, n) => `/chat/${n}`);
    const client = await openRooms(port, rooms);
    for (const room of rooms) client.event(room, "say", "x");
    client.cut();
    await ended;
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0 });
  });
});
