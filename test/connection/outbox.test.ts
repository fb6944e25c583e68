import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  App,
  type Connection,
  type Limits,
  latest,
  type RouteOptions,
  reliable,
  skip,
  WebSocketHandler,
} from "../../src/index.js";
import { connect, ManualClock } from "../../src/testing/index.js";
import { Mailbox, startWith } from "../support/app.js";
import { rawConnection } from "../support/raw.js";
import { SlowClient } from "../support/slowClient.js";

class Member extends WebSocketHandler {
  override onConnect() {
    this.join("/both");
  }
  onMessage(text: string) {
    this.sendText(text);
  }
}

describe("the outbox of a slow client", () => {
  class Drained extends WebSocketHandler {
    static count = 0;
    onMessage() {
      this.close();
    }
    override onDrain() {
      Drained.count += 1;
    }
  }

  class WritingClient extends SlowClient {
    readonly writes: Uint8Array[] = [];

    override write(bytes: Uint8Array): void {
      this.writes.push(bytes);
      super.write(bytes);
    }

    get texts(): string[] {
      return this.writes.map((bytes) => Buffer.from(bytes).toString());
    }
  }

  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

  /** Clients of one room, each with its connection. A message of n characters has n + 1 bytes. */
  function slowClients(count: number, limits: Partial<Limits>, route: RouteOptions = {}) {
    Drained.count = 0;
    const clock = new ManualClock();
    const app = new App({ clock, limits: { heartbeatMs: false, ...limits } }).route("/slow", Drained, route);
    const clients = Array.from({ length: count }, () => new WritingClient(app, "/slow", ""));
    return { app, clock, clients, connections: app.registry.connections };
  }

  function slowClient(limits: Partial<Limits>, route: RouteOptions = {}) {
    const { app, clock, clients, connections } = slowClients(1, limits, route);
    const [[client], [connection]] = [clients, connections];
    if (client === undefined || connection === undefined) throw new Error("the client is not connected");
    return { app, clock, client, connection };
  }

  /** Sends each text in a turn of its own. */
  async function sendEach(connection: Connection, texts: readonly string[]): Promise<void> {
    for (const text of texts) {
      connection.sendText(text);
      await nextTurn();
    }
  }

  it("writes all messages of a turn at once, and members with the same messages share the bytes", async () => {
    const { app, clients, connections } = slowClients(3, {});
    const room = app.registry.room("/slow");
    room.sendText("1");
    room.sendText("2");
    connections[2]?.sendText("33");
    room.sendText("4");
    await nextTurn();
    room.sendText("5");
    await nextTurn();
    expect(clients.map(({ texts }) => texts)).toEqual([
      ["1\n2\n4\n", "5\n"],
      ["1\n2\n4\n", "5\n"],
      ["1\n2\n33\n4\n", "5\n"],
    ]);
    const [first, second, third] = clients.map(({ writes }) => writes);
    expect(second?.[0]).toBe(first?.[0]);
    expect(third?.[1]).toBe(first?.[1]);
  });

  it("writes within a turn once it has highWaterBytes, and then waits for the network", async () => {
    const { client, connection } = slowClient({ highWaterBytes: 10 });
    connection.sendText("1111");
    expect([client.texts, connection.bufferedBytes]).toEqual([[], 5]);
    connection.sendText("2222");
    expect([client.texts, connection.bufferedBytes]).toEqual([["1111\n2222\n"], 10]);
    await sendEach(connection, ["3", "4"]);
    expect([client.texts.length, connection.bufferedBytes]).toEqual([1, 14]);
    client.read();
    await nextTurn();
    expect(client.texts.slice(1)).toEqual(["3\n", "4\n"]);
    expect(connection.bufferedBytes).toBe(4);
  });

  it("counts its messages and bytes, and says whether the client lags", async () => {
    const { app, client, connection } = slowClient({ highWaterBytes: 10 });
    const traffic = () => {
      const { messagesOut, bytesOut, bufferedBytes, isLagging } =
        app.registry.memberships.get(connection.id)?.traffic ?? {};
      return [messagesOut, bytesOut, bufferedBytes, isLagging, app.status().totals.sentBytes];
    };
    expect(traffic()).toEqual([0, 0, 0, false, 0]);
    await sendEach(connection, ["111", "222", "333"]);
    expect(traffic()).toEqual([3, 12, 12, false, 12]);
    await sendEach(connection, ["444"]);
    expect(traffic()).toEqual([4, 12, 16, true, 12]);
    client.readAll();
    await nextTurn();
    expect(traffic()).toEqual([4, 16, 0, false, 16]);
  });

  it("holds the memory of bytes in the socket from a quarter of highWaterBytes on, until they have left", async () => {
    const { app, client, connection } = slowClient({ highWaterBytes: 40 });
    const held = () => app.status().memory.outboxBytes;
    await sendEach(connection, ["123", "456"]);
    expect([client.bufferedBytes, held()]).toEqual([8, 0]);
    await sendEach(connection, ["9"]);
    // Two bytes, and what a buffer and its entry take.
    expect([client.bufferedBytes, held()]).toEqual([10, 322]);
    client.read();
    await nextTurn();
    expect(held()).toBe(0);
  });

  it("keeps the order if it can write only some of what waits, and reports once that all is written", async () => {
    const { client, connection } = slowClient({ highWaterBytes: 4 });
    await sendEach(connection, ["111", "222", "333", "444"]);
    for (const count of [2, 3, 4]) {
      expect(Drained.count).toBe(0);
      client.read();
      await nextTurn();
      expect(client.texts).toHaveLength(count);
    }
    expect([client.texts.join(""), Drained.count]).toEqual(["111\n222\n333\n444\n", 1]);
    client.read();
    await sendEach(connection, ["555"]);
    expect([client.texts.length, Drained.count]).toEqual([5, 1]);
  });

  it("keeps the order if a message is sent between what the network took and the next write", async () => {
    const { client, connection } = slowClient({ highWaterBytes: 1 });
    await sendEach(connection, ["1", "2"]);
    client.readAll();
    connection.sendText("3");
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    expect(client.texts).toEqual(["1\n", "2\n", "3\n"]);
  });

  it("is flushed once for all messages of a turn, and not again", async () => {
    const { app, clock, client, connection } = slowClient({ flushConnectionsMax: 1 });
    clock.advance(1_000);
    connection.sendText("1");
    connection.sendText("2");
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    expect([client.texts, app.status().flush]).toEqual([["1\n2\n"], { count: 1, msMax: 0 }]);
  });

  it("is empty after an overflow, also if the next message has a policy", async () => {
    const { client, connection } = slowClient({ highWaterBytes: 8, outboxBytesMax: 4 });
    await sendEach(connection, ["1111111"]);
    connection.sendText("22222");
    connection.sendText("3", { policy: latest("a") });
    expect([connection.isOpen, connection.bufferedBytes]).toEqual([false, 0]);
    expect(await client.closes.have(1)).toEqual([4008]);
  });

  it("holds outboxBytesMax, and closes the client with 4008 for one byte more", async () => {
    const { app, client, connection } = slowClient({ highWaterBytes: 1, outboxBytesMax: 10 });
    await sendEach(connection, ["1111", "2222", "3333"]);
    expect([connection.isOpen, connection.bufferedBytes]).toEqual([true, 15]);
    client.read();
    await nextTurn();
    await sendEach(connection, ["4444"]);
    expect([connection.isOpen, connection.bufferedBytes]).toEqual([true, 15]);
    await sendEach(connection, ["5"]);
    expect([connection.isOpen, app.status().totals.slow]).toEqual([false, 1]);
    expect(await client.closes.have(1)).toEqual([4008]);
    await sendEach(connection, ["6"]);
    expect(client.texts).toEqual(["1111\n", "2222\n"]);
    expect(connection.bufferedBytes).toBe(0);
  });

  it("closes the client outboxAgeMsMax after the oldest message that still waits", async () => {
    const { client, connection, clock } = slowClient({ highWaterBytes: 1, outboxAgeMsMax: 1_000 });
    await sendEach(connection, ["1", "2"]);
    clock.advance(600);
    await sendEach(connection, ["3"]);
    clock.advance(300);
    client.read();
    await nextTurn();
    expect(client.texts).toEqual(["1\n", "2\n"]);
    clock.advance(699);
    expect(connection.isOpen).toBe(true);
    clock.advance(1);
    expect(connection.isOpen).toBe(false);
    expect(await client.closes.have(1)).toEqual([4008]);
  });

  it("gives the next message its whole outboxAgeMsMax after the client has caught up", async () => {
    const { client, connection, clock } = slowClient({ highWaterBytes: 1, outboxAgeMsMax: 1_000 });
    await sendEach(connection, ["1", "2"]);
    clock.advance(900);
    client.read();
    await nextTurn();
    clock.advance(50);
    await sendEach(connection, ["3"]);
    clock.advance(999);
    expect(connection.isOpen).toBe(true);
    clock.advance(1);
    expect(connection.isOpen).toBe(false);
  });

  it("is written before a close, however much it is, and the client gets nothing after it", async () => {
    const { client, connection } = slowClient({ highWaterBytes: 8, outboxBytesMax: 4 });
    await sendEach(connection, ["1111111", "2"]);
    connection.sendText("333333");
    connection.close(4000);
    connection.sendText("4");
    await nextTurn();
    expect([client.texts, client.closes.all]).toEqual([["1111111\n"], []]);
    client.read();
    expect(await client.closes.have(1)).toEqual([4000]);
    expect([client.texts, Drained.count]).toEqual([["1111111\n", "2\n", "333333\n"], 0]);
  });

  it("is not flushed while messages wait, but when the client has disconnected", async () => {
    for (const end of ["reads", "leaves"]) {
      const { client, connection } = slowClient({ highWaterBytes: 1 });
      await sendEach(connection, ["1", "2"]);
      connection.sendText("3");
      let isFlushed = false;
      const flushed = connection.flushed().then(() => {
        isFlushed = true;
      });
      client.read();
      await nextTurn();
      await nextTurn();
      expect([client.texts, isFlushed]).toEqual([["1\n", "2\n"], false]);
      if (end === "reads") client.readAll();
      else client.destroy();
      await flushed;
      expect(client.texts).toHaveLength(end === "reads" ? 3 : 2);
    }
  });

  it("is not flushed while its last message is still in the socket", async () => {
    const { client, connection } = slowClient({ highWaterBytes: 1 });
    await sendEach(connection, ["1", "2"]);
    let isFlushed = false;
    const flushed = connection.flushed().then(() => {
      isFlushed = true;
    });
    client.read();
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    expect([client.texts, isFlushed]).toEqual([["1\n", "2\n"], false]);
    client.read();
    await flushed;
    expect(connection.bufferedBytes).toBe(0);
  });

  it("drops what waits when the client disconnects", async () => {
    const { client, connection } = slowClient({ highWaterBytes: 1 });
    await sendEach(connection, ["1", "2"]);
    client.destroy();
    connection.sendText("3");
    await connection.ended;
    await nextTurn();
    expect([client.texts, connection.bufferedBytes, Drained.count]).toEqual([["1\n"], 0, 0]);
  });

  it("has the newest message of a key at its new place, and the bytes of that one alone", async () => {
    const { client, connection } = slowClient({ highWaterBytes: 1 });
    await sendEach(connection, ["1"]);
    connection.sendText("22", { policy: latest("a") });
    connection.sendText("333", { policy: latest("b") });
    await sendEach(connection, ["4"]);
    connection.sendText("5555", { policy: latest("a") });
    expect(connection.bufferedBytes).toBe(2 + 4 + 2 + 5);
    client.readAll();
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    expect(client.texts).toEqual(["1\n", "333\n", "4\n", "5555\n"]);
  });

  it("calls onDrain after a message that was skipped, though nothing waits", async () => {
    const { client, connection } = slowClient({ highWaterBytes: 1 });
    await sendEach(connection, ["1"]);
    connection.sendText("2", { policy: skip });
    connection.sendText("3", { policy: skip });
    await nextTurn();
    expect(Drained.count).toBe(0);
    client.read();
    await nextTurn();
    expect([client.texts, Drained.count]).toEqual([["1\n"], 1]);
  });

  it("takes messages that are kept until a quarter of it is filled; the rest is read from the history", async () => {
    const limits = { highWaterBytes: 1, outboxBytesMax: 40 };
    const { app, client, connection } = slowClient(limits, { history: { size: 100 } });
    const texts = ["1111", "2222", "3333", "4444", "5555"];
    for (const text of texts) {
      app.registry.room("/slow").sendText(text);
      await nextTurn();
    }
    expect(connection.bufferedBytes - client.bufferedBytes).toBe(10);
    client.readAll();
    expect(await client.frames.have(5)).toEqual(texts.map(Number));
  });
});

/** The messages of a test, in the order in which it sends them. */
const sending = fc.oneof(
  fc.record({ to: fc.constantFrom("/a", "/b", "/both", "all"), except: fc.boolean(), tick: fc.boolean() }),
  fc.record({ to: fc.constantFrom(0, 1, 2, 3), except: fc.constant(false), tick: fc.boolean() }),
);

describe("the messages of a client", () => {
  it("arrive in the order of the calls, for any mix of private, room and all sends, over many ticks", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(sending, { minLength: 1, maxLength: 60 }), async (sendings) => {
        await using app = new App().route("/:room", Member);
        const clients = [
          await connect(app, "/a"),
          await connect(app, "/a"),
          await connect(app, "/b"),
          await connect(app, "/b"),
        ];
        const connections = app.registry.connections;
        const expected: string[][] = clients.map(() => []);
        for (const [number, { to, except, tick }] of sendings.entries()) {
          const text = `${number} to ${to}`;
          const left = except ? connections[number % 4] : undefined;
          send(app, connections, to, text, left);
          for (const [index, connection] of connections.entries()) {
            if (connection !== left && isIn(to, index)) expected[index]?.push(text);
          }
          if (tick) await new Promise((resolve) => setImmediate(resolve));
        }
        app.registry.sendTextToAll("end");
        for (const [index, client] of clients.entries()) {
          const seen: string[] = [];
          for (let text = await client.readText(); text !== "end"; text = await client.readText()) seen.push(text);
          expect(seen).toEqual(expected[index]);
        }
      }),
      { numRuns: 60 },
    );
  });
});

function isIn(to: string | number, index: number): boolean {
  return to === index || to === "all" || to === "/both" || to === (index < 2 ? "/a" : "/b");
}

function send(app: App, connections: Connection[], to: string | number, text: string, except?: Connection): void {
  if (typeof to === "number") connections[to]?.sendText(text);
  else if (to === "all") app.registry.sendTextToAll(text, { except });
  else app.registry.sendTextToRoom(to, text, { except });
}

describe("a client that stops reading", () => {
  class Quiet extends WebSocketHandler {
    static readonly reported = new Mailbox<unknown>();
    onMessage(text: string | undefined, error?: Error) {
      Quiet.reported.put(text ?? error);
    }
    override onClose(code: number, reason: string) {
      Quiet.reported.put([code, reason]);
    }
  }

  it("is closed with 4008 past outboxBytesMax, with bounded memory, and delays no other client", async () => {
    Quiet.reported.all.length = 0;
    const outboxBytesMax = 300_000;
    const { port, open, app } = await startWith("/quiet", Quiet, { limits: { outboxBytesMax, closeMs: 50 } });
    const stalled = await rawConnection(port, "/quiet");
    stalled.socket.pause();
    const reading = await open("/quiet");
    const [slow] = app.registry.connections;
    const padding = "x".repeat(20_000);
    let sent = 0;
    let mostBytes = 0;
    while (slow?.isOpen === true) {
      app.registry.room("/quiet").sendJSON({ sent, padding });
      expect(await reading.readJSON()).toEqual({ sent, padding });
      sent += 1;
      mostBytes = Math.max(mostBytes, slow.bufferedBytes);
    }
    expect(mostBytes).toBeLessThanOrEqual(outboxBytesMax + 2 * 64 * 1024 + padding.length);
    expect(await Quiet.reported.have(2)).toMatchObject([
      { closeCode: 4008, closeReason: "slow", isClean: false },
      [4008, "slow"],
    ]);
    expect(app.status()).toMatchObject({ connections: 1, totals: { slow: 1 } });
    app.registry.room("/quiet").sendJSON("after");
    expect(await reading.readJSON()).toBe("after");
  });

  it("gets everything in order if it reads again in time", async () => {
    const { port, app } = await startWith("/quiet", Quiet, {
      limits: { outboxBytesMax: 50_000_000, highWaterBytes: 1_000 },
    });
    const stalled = await rawConnection(port, "/quiet");
    stalled.socket.pause();
    const [connection] = app.registry.connections;
    const count = 2_000;
    for (let n = 0; n < count; n += 1) {
      connection?.sendText(`${String(n).padStart(6, "0")}${"x".repeat(10_000)}`);
      if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(connection?.bufferedBytes).toBeGreaterThan(1_000_000);
    connection?.close(4000);
    const closeFrame = Buffer.from([0x88, 2, 0x0f, 0xa0]);
    stalled.socket.on("data", (chunk: Buffer) => {
      if (chunk.subarray(-4).equals(closeFrame)) stalled.socket.destroy();
    });
    stalled.socket.resume();
    const received = (await stalled.ended).toString("latin1");
    const numbers = [...received.matchAll(/(\d{6})x{10000}/g)].map(([, n]) => Number(n));
    expect(numbers).toEqual(Array.from({ length: count }, (_, n) => n));
    expect(received.slice(-4)).toBe(closeFrame.toString("latin1"));
  });
});

describe("a delivery policy", () => {
  class Watched extends WebSocketHandler {
    static readonly reported = new Mailbox<string>();
    onMessage() {
      this.sendText("here");
    }
    override onDrain() {
      Watched.reported.put(`drained ${this.request.path}`);
    }
  }

  /** A connection whose client does not read, with so many messages that it lags. */
  async function lagging() {
    Watched.reported.all.length = 0;
    const clock = new ManualClock();
    const limits = { outboxBytesMax: 10_000_000, highWaterBytes: 10_000 };
    const { port, app, open } = await startWith("/watched", Watched, { limits, clock });
    const stalled = await rawConnection(port, "/watched");
    stalled.socket.pause();
    const [connection] = app.registry.connections;
    if (connection === undefined) throw new Error("there is no connection");
    let filling = 0;
    while (connection.bufferedBytes < 1_000_000) {
      connection.sendText(`fill ${filling} ${"x".repeat(60_000)}`);
      filling += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    /** Lets the client read, and resolves with the received texts, without the filling, once `last` has arrived. */
    const texts = async (last: string) => {
      stalled.socket.resume();
      await stalled.received(last);
      stalled.socket.destroy();
      const all = (await stalled.ended).toString("latin1");
      return [...all.matchAll(/(?:key \w+ \d+|reliable \d+|skip \d+|the end)/g)].map(([text]) => text);
    };
    return { app, connection, texts, clock, open, reported: Watched.reported };
  }

  it("skip drops messages while the client lags, counts them, and calls onDrain when it has caught up", async () => {
    const { app, texts, open, reported } = await lagging();
    const reading = await open("/watched");
    app.registry.sendTextToAll("reliable 1");
    for (let n = 0; n < 100; n += 1) app.registry.sendTextToAll(`skip ${n}`, { policy: skip });
    app.registry.sendTextToAll("reliable 2", { policy: reliable });
    app.registry.sendTextToAll("reliable 3", { policy: reliable });
    app.registry.sendTextToAll("the end");
    expect(app.status().totals.dropped).toBe(100);
    expect(await texts("the end")).toEqual(["reliable 1", "reliable 2", "reliable 3", "the end"]);
    expect(reported.all).toEqual(["drained /watched"]);
    const seen = [];
    for (let text = await reading.readText(); text !== "the end"; text = await reading.readText()) seen.push(text);
    const skips = Array.from({ length: 100 }, (_, n) => `skip ${n}`);
    expect(seen).toEqual(["reliable 1", ...skips, "reliable 2", "reliable 3"]);
  });

  it("latest keeps one message per key, at its newest place, in bounded memory", async () => {
    const { app, connection, texts } = await lagging();
    const before = connection.bufferedBytes;
    for (let n = 0; n < 10_000; n += 1) {
      for (const key of ["a", "b", "constructor"]) connection.sendText(`key ${key} ${n}`, { policy: latest(key) });
    }
    connection.sendText("reliable 1");
    connection.sendText("key a 10000", { policy: latest("a") });
    connection.sendText("the end");
    expect(connection.bufferedBytes - before).toBeLessThan(1_000);
    expect(app.status().totals.dropped).toBe(3 * 9_999 + 1);
    expect(await texts("the end")).toEqual([
      "key b 9999",
      "key constructor 9999",
      "reliable 1",
      "key a 10000",
      "the end",
    ]);
  });

  it("makes no difference for a client that keeps up", async () => {
    const { app, open } = await startWith("/watched", Watched);
    const client = await open("/watched");
    for (let n = 0; n < 100; n += 1) {
      app.registry.sendTextToAll(`skip ${n}`, { policy: skip });
      app.registry.sendTextToAll(`latest ${n}`, { policy: latest("k") });
    }
    const seen = [];
    for (let n = 0; n < 200; n += 1) seen.push(await client.readText());
    expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => [`skip ${n}`, `latest ${n}`]).flat());
    expect(app.status().totals.dropped).toBe(0);
  });

  it("lets no message, replaced or not, wait longer than outboxAgeMsMax", async () => {
    const { app, connection, clock } = await lagging();
    for (let second = 0; second < 29; second += 1) {
      clock.advance(1_000);
      connection.sendText(`key a ${second}`, { policy: latest("a") });
    }
    expect(connection.isOpen).toBe(true);
    clock.advance(1_000);
    expect(connection.isOpen).toBe(false);

    expect(app.status().totals.slow).toBe(1);
    clock.advance(5_000);
    expect(await connection.ended).toMatchObject({ code: 4008, reason: "slow" });
  });
});

describe("a very large room", () => {
  it("is written to in slices with the event loop free in between, and order is kept", async () => {
    await using app = new App({ limits: { flushConnectionsMax: 10 } }).route("/:room", Member);
    const clients = [];
    for (let n = 0; n < 95; n += 1) clients.push(await connect(app, "/large"));
    const before = app.status().flush.count;
    const turns: number[] = [];
    app.registry.sendTextToRoom("/large", "first");
    while (app.status().flush.count < before + 10) {
      await new Promise((resolve) => setImmediate(resolve));
      turns.push(app.status().flush.count - before);
      if (turns.length === 3) app.registry.sendTextToRoom("/large", "second");
    }
    app.registry.sendTextToRoom("/large", "third");
    expect(turns.slice(0, 3)).toEqual([1, 2, 3]);
    for (const client of clients) {
      expect([await client.readText(), await client.readText(), await client.readText()]).toEqual([
        ...["first", "second", "third"],
      ]);
    }
    expect(app.status().flush.msMax).toBeGreaterThan(0);
  });
});
