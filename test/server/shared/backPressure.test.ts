import { describe, expect, it } from "vitest";
import { App, type AppOptions, EventHandler, type RouteOptions } from "../../../src/index.js";
import { Mailbox, start } from "../../support/app.js";
import { RoomsClient } from "../../support/roomsClient.js";
import { SlowClient } from "../../support/slowClient.js";
import { silent } from "./chat.js";

/** A handler that works on each event until the test lets it finish. */
function busyHandler() {
  const begun = new Mailbox<unknown>();
  const finish: (() => void)[] = [];
  class Busy extends EventHandler<{ name: string }> {
    static events = { work: "onWork", echo: "onEcho" };
    onWork(data: unknown): Promise<void> {
      begun.put(data);
      return new Promise((resolve) => finish.push(resolve));
    }
    onEcho(data: unknown) {
      this.sendJSON(data);
    }
  }
  /** Lets all events finish, those that wait included, until so many have begun. */
  const finishAll = async (count: number) => {
    for (let done = 0; done < count; ) {
      for (const one of finish.splice(0)) {
        one();
        done += 1;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { Busy, begun, finishAll };
}

class Feed extends EventHandler {
  static events = { echo: "onEcho" };
  onEcho(data: unknown) {
    this.sendJSON(data);
  }
}

const [flooded, quiet] = ["/feed/flooded", "/feed/quiet"];

function feed(options: AppOptions["limits"], route: RouteOptions = {}): App {
  const limits = { heartbeatMs: false, highWaterBytes: 4_096, ...options } as const;
  return new App({ logger: silent, limits }).route("/feed/:name", Feed, route);
}

/** A client in both rooms, whose network accepts bytes only when the test says so. */
async function slowClient(app: App): Promise<SlowClient> {
  const client = new SlowClient(app, "/", "enfilade.v1.rooms");
  for (const room of [flooded, quiet]) client.send({ type: "open", room });
  await client.frames.have(3);
  client.read();
  return client;
}

function of(client: SlowClient, room: string, type = "message") {
  return client.frames.all.filter((frame) => frame.room === room && frame.type === type);
}

async function readUntil(client: SlowClient, isDone: () => boolean): Promise<void> {
  while (!isDone()) {
    client.read();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a room with a busy handler", () => {
  it("asks its client to pause and to resume, and the other rooms are served meanwhile", async () => {
    const { Busy, begun, finishAll } = busyHandler();
    const limits = { inboxMessagesMax: 4 };
    const { port } = await start(new App({ logger: silent, limits }).route("/busy/:name", Busy));
    const client = await RoomsClient.open(port);
    for (const room of ["/busy/a", "/busy/b"]) await client.open(room);
    for (let n = 0; n < 20; n += 1) client.event("/busy/a", "work", n);
    expect(await client.first("pause", "/busy/a")).toEqual({ type: "pause", room: "/busy/a" });
    for (let n = 0; n < 100; n += 1) client.event("/busy/b", "echo", n);
    await client.until(() => client.of("/busy/b", "message").length === 100);
    expect(begun.all).toEqual([0]);
    expect(client.of("/busy/a", "resume")).toEqual([]);
    await finishAll(20);
    expect(begun.all).toEqual(Array.from({ length: 20 }, (_, n) => n));
    await client.first("resume", "/busy/a");
    expect(client.frames.all.filter(({ room, type }) => room === "/busy/b" && type !== "message")).toHaveLength(1);
  });

  it("pauses the socket of a client that does not pause: the bound is one message for all its rooms", async () => {
    const { Busy, begun, finishAll } = busyHandler();
    const limits = { inboxMessagesMax: 2, messageBytesMax: 10_000, heartbeatMs: false } as const;
    const app = new App({ logger: silent, limits }).route("/busy/:name", Busy);
    const client = new SlowClient(app, "/", "enfilade.v1.rooms");
    client.readAll();
    const rooms = Array.from({ length: 20 }, (_, n) => `/busy/${n}`);
    for (const room of rooms) client.send({ type: "open", room });
    await client.frames.have(1 + rooms.length);
    let sent = 0;
    const work = (room: string, padding: string) => {
      client.send({ type: "event", room, event: "work", data: { n: sent, padding } });
      sent += 1;
    };
    // One is with the handler, and two wait.
    for (const room of rooms) for (let n = 0; n < 3; n += 1) work(room, "");
    // The frames of one turn are written at its end.
    await client.frames.have(1 + 2 * rooms.length);
    for (const room of rooms) expect(of(client, room, "pause")).toHaveLength(1);
    expect(client.isPaused).toBe(false);
    const before = sent;
    for (let n = 0; !client.isPaused && n < 100; n += 1) work(rooms[n % rooms.length] ?? "", "x".repeat(900));
    expect(sent - before).toBeLessThanOrEqual(11);
    const { inboxBytes } = app.status().memory;
    expect(inboxBytes).toBeGreaterThan((sent - before) * 900);
    // When all rooms have finished, nothing is lost, and the socket is read again.
    await finishAll(sent);
    expect(begun.all).toHaveLength(sent);
    expect(new Set(begun.all.map((data) => Object(data).n)).size).toBe(sent);
    expect(client.isPaused).toBe(false);
    for (const room of rooms) expect(of(client, room, "resume")).toHaveLength(1);
    // The bound is the same again.
    for (const room of rooms) for (let n = 0; n < 3; n += 1) work(room, "");
    for (let n = 0; n < 11; n += 1) work(rooms[0] ?? "", "x".repeat(900));
    expect(client.isPaused).toBe(true);
    // A room that ends takes its part with it.
    client.send({ type: "close", room: rooms[0] });
    expect(client.isPaused).toBe(false);
    client.destroy();
    await app.close({ timeoutMs: 50 });
  });

  it("loses nothing of a client that does not pause, over the network", async () => {
    const { Busy, begun, finishAll } = busyHandler();
    const limits = { inboxMessagesMax: 4 };
    const { port, app } = await start(new App({ logger: silent, limits }).route("/busy/:name", Busy));
    const client = await RoomsClient.open(port);
    for (const room of ["/busy/a", "/busy/b"]) await client.open(room);
    const padding = "x".repeat(2_000);
    for (let n = 0; n < 2_000; n += 1) client.event("/busy/a", "work", { n, padding });
    client.event("/busy/b", "echo", "after all of them");
    await client.first("pause", "/busy/a");
    await begun.have(1);
    for (let n = 0; n < 50; n += 1) await new Promise((resolve) => setImmediate(resolve));
    // 4 MB were sent. A chunk of the socket and the bound are here, the rest waits in the network.
    expect(app.status().memory.inboxBytes).toBeLessThan(500_000);
    expect(client.of("/busy/b", "message")).toEqual([]);
    await finishAll(2_000);
    expect(begun.all.map((data) => Object(data).n)).toEqual(Array.from({ length: 2_000 }, (_, n) => n));
    await client.first("message", "/busy/b");
  });
});

describe("a client that reads slowly", () => {
  const message = { padding: "x".repeat(480) };

  it("gets a message of a quiet room early, while another room is flooded", async () => {
    const app = feed({ outboxBytesMax: 10_000_000 });
    const client = await slowClient(app);
    for (let n = 0; n < 400; n += 1) app.registry.sendJSONToRoom(flooded, { n, ...message });
    app.registry.sendJSONToRoom(quiet, "early");
    await readUntil(client, () => of(client, flooded).length === 400);
    const early = client.frames.all.findIndex(({ room, type }) => room === quiet && type === "message");
    // What was written at once, and one turn of the flooded room.
    expect(early).toBeLessThan(30);
    expect(of(client, flooded).map(({ data }) => Object(data).n)).toEqual(Array.from({ length: 400 }, (_, n) => n));
    await app.close({ timeoutMs: 50 });
  });

  it("gets several flooded rooms in turns", async () => {
    const app = feed({ outboxBytesMax: 10_000_000 });
    const client = await slowClient(app);
    for (const room of [flooded, quiet]) {
      for (let n = 0; n < 200; n += 1) app.registry.sendJSONToRoom(room, { n, ...message });
    }
    let most = 0;
    await readUntil(client, () => {
      const [one, other] = [of(client, flooded).length, of(client, quiet).length];
      most = Math.max(most, Math.abs(one - other));
      return one + other === 400;
    });
    expect(most).toBeLessThan(30);
    await app.close({ timeoutMs: 50 });
  });

  it("closes the slow room alone, with 4008", async () => {
    const app = feed({ outboxBytesMax: 20_000 });
    const client = await slowClient(app);
    for (let n = 0; n < 200; n += 1) {
      app.registry.sendJSONToRoom(flooded, { n, ...message });
      await new Promise((resolve) => setImmediate(resolve));
    }
    app.registry.sendJSONToRoom(quiet, "stays");
    await readUntil(client, () => of(client, quiet).length === 1);
    expect(of(client, flooded, "closed")).toEqual([{ type: "closed", room: flooded, code: 4_008, reason: "slow" }]);
    expect(app.status()).toMatchObject({ connections: 1, totals: { slow: 1 } });
    expect([client.isOpen, client.bufferedBytesMax < 60_000]).toEqual([true, true]);
    client.send({ type: "open", room: flooded });
    await readUntil(client, () => of(client, flooded, "opened").length === 2);
    await app.close({ timeoutMs: 50 });
  });

  it("reads a room with history from it, in order and without a gap, while a quiet room is served", async () => {
    const app = feed({ outboxBytesMax: 40_000, recoverMessagesMax: 10 }, { history: { size: 10_000 } });
    const client = await slowClient(app);
    for (let n = 1; n <= 600; n += 1) {
      app.registry.sendJSONToRoom(flooded, { n, ...message });
      if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    app.registry.sendJSONToRoom(quiet, "early");
    expect(app.status().totals.behind).toBe(1);
    let before = 0;
    await readUntil(client, () => {
      if (of(client, quiet).length === 0) before = of(client, flooded).length;
      return of(client, flooded).length === 600;
    });
    expect(before).toBeLessThan(150);
    expect(of(client, flooded).map(({ offset }) => offset)).toEqual(Array.from({ length: 600 }, (_, n) => n + 1));
    app.registry.sendJSONToRoom(flooded, "live again");
    await readUntil(client, () => of(client, flooded).length === 601);
    expect(client.frames.all.filter(({ type }) => type === "lagged" || type === "closed")).toEqual([]);
    await app.close({ timeoutMs: 50 });
  });

  it("is notified in the room and nowhere else of messages that its policy drops", async () => {
    const app = feed({ outboxBytesMax: 1_000_000 });
    const client = await slowClient(app);
    const policy = { kind: "skip" } as const;
    for (let n = 0; n < 100; n += 1) {
      app.registry.sendJSONToRoom(flooded, { n, ...message }, { policy });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await readUntil(client, () => of(client, flooded, "lagged").length === 1);
    const [{ missed } = { missed: 0 }] = of(client, flooded, "lagged");
    expect((missed ?? 0) + of(client, flooded).length).toBe(100);
    expect(of(client, quiet, "lagged")).toEqual([]);
    await app.close({ timeoutMs: 50 });
  });
});
