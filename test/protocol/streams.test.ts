import { describe, expect, it, onTestFinished } from "vitest";
import { deferred } from "../../src/connection/clock.js";
import { App, type AppOptions, anonymous, EventError, EventHandler, type Limits, On } from "../../src/index.js";
import { type ConnectOptions, connect, ManualClock } from "../../src/testing/index.js";
import { Mailbox } from "../support/app.js";
import { clientId, type Frame, FrameClient, Generators, secret, settled, streaming } from "../support/streams.js";

const silent = { warn: () => undefined, error: () => undefined };

/** An app without a port, with the route `/room/:name`. */
function setUp(limits: Partial<Limits> = {}, options: AppOptions = {}) {
  const generators = new Generators();
  const clock = new ManualClock();
  const app = new App({ clock, logger: silent, limits: { heartbeatMs: false, ...limits }, ...options });
  app.route("/room/:name", streaming(generators));
  onTestFinished(() => app.close({ timeoutMs: 100 }));
  return { app, clock, generators, open: (name?: string, path?: string) => FrameClient.open(app, name, path) };
}

/** The item frames with these numbers, whose data is their number. */
function items(id: number | string, first: number, end: number): Frame[] {
  return Array.from({ length: end - first }, (_, n) => ({ type: "item", id, seq: first + n, data: first + n }));
}

describe("a stream", () => {
  it("sends each value as an item, and the return value as the reply with the number of items", async () => {
    const { open } = setUp();
    const client = await open();
    client.count(7, 3);
    expect(await client.take(4)).toEqual([...items(7, 0, 3), { type: "reply", id: 7, data: "3 numbers", seq: 3 }]);
  });

  it("does not hold up other messages of its client", async () => {
    const { open } = setUp();
    const client = await open();
    client.count(1, 1_000, { window: 2 });
    client.send({ type: "event", event: "echo", data: "x", id: 2 });
    const frames = await client.take(3);
    expect(frames).toContainEqual({ type: "reply", id: 2, data: "x" });
    expect(frames.filter(({ id }) => id === 1)).toEqual(items(1, 0, 2));
  });

  it("is asked for no more values than its window until the client acknowledges them", async () => {
    const { open, generators } = setUp();
    const client = await open();
    client.count(1, 10_000);
    expect(await client.untilQuiet()).toEqual(items(1, 0, 256));
    await settled();
    expect(generators.asked.all).toHaveLength(256);
    client.send({ type: "ack", id: 1, seq: 10 });
    await settled();
    expect(await client.untilQuiet()).toEqual(items(1, 256, 266));
    expect(generators.asked.all).toHaveLength(266);
    // It cannot have read what was not sent.
    client.send({ type: "ack", id: 1, seq: 2 ** 52 });
    await settled();
    expect(await client.untilQuiet()).toEqual(items(1, 266, 522));
    expect(generators.asked.all).toHaveLength(522);
  });

  it("is asked for no more while streamBytesMax of its values wait", async () => {
    const { open, generators } = setUp({ streamBytesMax: 20 });
    const client = await open();
    client.count(1, 100);
    // Ten of one character, and five of two.
    expect(await client.untilQuiet()).toEqual(items(1, 0, 15));
    await settled();
    expect(generators.asked.all).toHaveLength(15);
    client.send({ type: "ack", id: 1, seq: 15 });
    await settled();
    expect(await client.untilQuiet()).toEqual(items(1, 15, 25));
  });

  it("is canceled within one turn: its signal is aborted, its generator returned, its frame answered", async () => {
    const { open, generators } = setUp();
    const client = await open();
    client.count(1, 10_000, { window: 3 });
    await client.take(3);
    client.send({ type: "cancel", id: 1 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(generators.ended.all).toEqual(["aborted", "returned"]);
    expect(await client.untilQuiet()).toMatchObject([{ type: "reply", id: 1, error: { code: "canceled" } }]);
    expect(generators.asked.all).toHaveLength(3);
  });

  it("aborts a generator that waits for something else", async () => {
    const done = new Mailbox<unknown>();
    class Waiting extends EventHandler {
      @On()
      async *onWait(_data: unknown, { signal }: { readonly signal: AbortSignal }) {
        yield "begun";
        try {
          await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        } finally {
          done.put("stopped");
        }
      }
    }
    const errors: Error[] = [];
    await using app = new App({ logger: silent }).route("/room/:name", Waiting);
    app.on("error", (error) => errors.push(error));
    const client = await FrameClient.open(app);
    client.send({ type: "event", event: "wait", id: 1, from: 0 });
    await client.next();
    client.send({ type: "cancel", id: 1 });
    expect(await client.next()).toMatchObject({ type: "reply", id: 1, error: { code: "canceled" } });
    await done.have(1);
    await settled();
    // Its end by the signal is no error.
    expect(errors).toEqual([]);
  });

  it("that is canceled before its handler begins is not run", async () => {
    const { promise, resolve } = deferred<void>();
    const calls: string[] = [];
    class Busy extends EventHandler {
      @On()
      async onBlock() {
        await promise;
      }
      @On()
      onStream() {
        calls.push("run");
        return ReadableStream.from([1]);
      }
    }
    await using app = new App({ logger: silent }).route("/room/:name", Busy);
    const client = await FrameClient.open(app);
    client.send({ type: "event", event: "block", id: 1 });
    client.send({ type: "event", event: "stream", id: 2, from: 0 });
    client.send({ type: "cancel", id: 2 });
    expect(await client.untilQuiet()).toMatchObject([{ type: "reply", id: 2, error: { code: "canceled" } }]);
    resolve(undefined);
    expect(await client.next()).toMatchObject({ type: "reply", id: 1 });
    expect(await client.untilQuiet()).toEqual([]);
    expect(calls).toEqual([]);
  });

  it("ends with the error that the method throws, after the items before it", async () => {
    class Failing extends EventHandler {
      @On()
      async *onRefuse() {
        yield 1;
        throw new EventError("no_more", "there is no more");
      }
      @On()
      async *onBreak() {
        yield 1;
        throw new Error("secret details");
      }
      @On()
      async *onBig() {
        yield 1n;
      }
    }
    const errors: string[] = [];
    await using app = new App({ logger: silent }).route("/room/:name", Failing);
    app.on("error", ({ message }) => errors.push(message));
    const client = await FrameClient.open(app);
    client.send({ type: "event", event: "refuse", id: 1, from: 0 });
    expect(await client.take(2)).toEqual([
      { type: "item", id: 1, seq: 0, data: 1 },
      { type: "reply", id: 1, error: { code: "no_more", message: "there is no more" }, seq: 1 },
    ]);
    client.send({ type: "event", event: "break", id: 2, from: 0 });
    expect(await client.take(2)).toEqual([
      { type: "item", id: 2, seq: 0, data: 1 },
      { type: "reply", id: 2, error: { code: "internal", message: "internal error" }, seq: 1 },
    ]);
    client.send({ type: "event", event: "big", id: 3, from: 0 });
    expect(await client.next()).toMatchObject({ type: "reply", id: 3, error: { code: "internal" } });
    await settled();
    expect(errors).toEqual(["secret details", expect.stringContaining("JSON cannot encode this value")]);
  });

  it("can come from any async iterable, also one that a promise resolves with", async () => {
    class Iterables extends EventHandler {
      @On()
      onReadable() {
        return ReadableStream.from(["a", "b"]);
      }
      @On()
      async onLater() {
        return {
          async *[Symbol.asyncIterator]() {
            yield "later";
          },
        };
      }
    }
    await using app = new App().route("/room/:name", Iterables);
    const client = await FrameClient.open(app);
    client.send({ type: "event", event: "readable", id: 1, from: 0 });
    expect(await client.take(3)).toMatchObject([{ data: "a" }, { data: "b" }, { type: "reply", data: null, seq: 2 }]);
    client.send({ type: "event", event: "later", id: 2, from: 0 });
    expect(await client.take(2)).toMatchObject([{ data: "later" }, { type: "reply", data: null, seq: 1 }]);
  });

  it("is asked for on an event that answers with one value: this is the reply, without items", async () => {
    const { open } = setUp();
    const client = await open();
    client.send({ type: "event", event: "echo", data: 5, id: 1, from: 0 });
    expect(await client.next()).toEqual({ type: "reply", id: 1, data: 5 });
    client.send({ type: "event", event: "none", id: 2, from: 0 });
    expect(await client.next()).toMatchObject({ type: "reply", id: 2, error: { code: "unknown_event" } });
  });

  it("is not sent to a client that did not ask for one, and its generator does not begin", async () => {
    const { open, generators, app } = setUp();
    const client = await open();
    client.send({ type: "event", event: "count", data: 3, id: 1 });
    expect(await client.next()).toMatchObject({ type: "reply", id: 1, error: { code: "is_stream" } });
    client.send({ type: "event", event: "count", data: 3 });
    expect(await client.next()).toMatchObject({ type: "error", event: "count", error: { code: "is_stream" } });
    const plain = await connect(app, "/room/a");
    plain.sendJSON({ event: "count", data: 3 });
    expect(await plain.readJSON()).toMatchObject({ event: "count", error: { code: "is_stream" } });
    expect(generators.asked.all).toEqual([]);
  });
});

describe("a plain client", () => {
  it("gets each value as a message of its event protocol", async () => {
    const { app } = setUp();
    const plain = await connect(app, "/room/a");
    plain.sendJSON({ event: "count", data: 2, id: "x" });
    expect([await plain.readJSON(), await plain.readJSON(), await plain.readJSON()]).toEqual([
      { id: "x", seq: 0, data: 0 },
      { id: "x", seq: 1, data: 1 },
      { id: "x", data: "2 numbers" },
    ]);
  });

  it("has streamsMax streams at most, and ends them when it disconnects", async () => {
    const { app, generators } = setUp({ streamsMax: 1, highWaterBytes: 1 });
    const plain = await connect(app, "/room/a");
    plain.sendJSON({ event: "count", data: 1e9, id: 1 });
    plain.sendJSON({ event: "count", data: 1e9, id: 2 });
    for (;;) {
      const { id, error } = (await plain.readJSON()) as { id: number; error?: { code: string } };
      if (id !== 2) continue;
      expect(error).toMatchObject({ code: "too_many_streams" });
      break;
    }
    plain.terminate();
    await generators.ended.have(2);
    expect(generators.ended.all.toSorted()).toEqual(["aborted", "returned"]);
  });
});

describe("a stream whose connection breaks", () => {
  it("goes on in place of the client, and continues on its next connection without a gap or a repeat", async () => {
    const { app, open, generators } = setUp();
    const first = await open();
    first.count(1, 600);
    await first.take(256);
    await first.cut(app);
    const second = await open();
    second.count(1, 600, { from: 100 });
    expect(await second.untilQuiet()).toEqual(items(1, 100, 356));
    second.send({ type: "ack", id: 1, seq: 356 });
    await settled();
    expect(await second.untilQuiet()).toEqual([
      ...items(1, 356, 600),
      { type: "reply", id: 1, data: "600 numbers", seq: 600 },
    ]);
    expect(generators.asked.all).toEqual([...Array(600).keys()]);
    expect(generators.ended.all).toEqual(["done"]);
  });

  it("keeps the values that its loop has not read against its window", async () => {
    const { app, open, generators } = setUp();
    const first = await open();
    first.count(1, 600, { window: 10 });
    await first.take(10);
    await first.cut(app);
    const second = await open();
    second.count(1, 600, { window: 10, from: 10, read: 4 });
    expect(await second.untilQuiet()).toEqual(items(1, 10, 14));
    expect(generators.asked.all).toHaveLength(14);
  });

  it("has its values and its reply kept when it ends meanwhile", async () => {
    const { app, open, generators } = setUp();
    const first = await open();
    first.count(1, 100, { window: 10 });
    await first.take(10);
    first.send({ type: "ack", id: 1, seq: 10 });
    first.send({ type: "ack", id: 1, seq: 20 });
    await first.untilQuiet();
    await first.cut(app);
    await settled();
    const second = await open();
    second.count(1, 100, { from: 12, window: 500 });
    await generators.ended.have(1);
    expect(await second.take(89)).toEqual([
      ...items(1, 12, 100),
      { type: "reply", id: 1, data: "100 numbers", seq: 100 },
    ]);
    // The reply was lost, too.
    await second.cut(app);
    const third = await open();
    third.count(1, 100, { from: 98 });
    expect(await third.take(3)).toEqual([
      ...items(1, 98, 100),
      { type: "reply", id: 1, data: "100 numbers", seq: 100 },
    ]);
    third.send({ type: "ack", id: 1, seq: 100 });
    await third.untilQuiet();
    expect(app.status().memory.streamBytes).toBe(0);
    // The reply is remembered as any other; the number of items shows a client what it has missed.
    await third.cut(app);
    const fourth = await open();
    fourth.count(1, 100, { from: 100 });
    expect(await fourth.next()).toMatchObject({ type: "reply", id: 1, data: "100 numbers", seq: 100 });
  });

  it("is lost after streamGraceMs: the generator is ended, and the client gets the error", async () => {
    const { app, clock, open, generators } = setUp({ streamGraceMs: 5_000 });
    const first = await open();
    first.count(1, 600);
    await first.take(256);
    await first.cut(app);
    clock.advance(4_999);
    expect(generators.ended.all).toEqual([]);
    clock.advance(1);
    await settled();
    expect(generators.ended.all).toEqual(["aborted", "returned"]);
    expect(app.status().memory.streamBytes).toBe(0);
    const second = await open();
    second.count(1, 600, { from: 256 });
    expect(await second.next()).toEqual({
      type: "reply",
      id: 1,
      error: { code: "lost", message: "the stream cannot be continued" },
    });
    // It is not run again, either.
    second.count(1, 600);
    expect(await second.untilQuiet()).toEqual([]);
    expect(generators.asked.all).toHaveLength(256);
  });

  it("is not lost when its client returns in time, any number of times", async () => {
    const { app, clock, open } = setUp({ streamGraceMs: 5_000 });
    let client = await open();
    client.count(1, 600);
    for (let round = 0; round < 5; round += 1) {
      await client.take(1);
      await client.cut(app);
      clock.advance(4_999);
      client = await open();
      client.count(1, 600, { from: round + 1 });
    }
    expect(await client.next()).toEqual({ type: "item", id: 1, seq: 5, data: 5 });
  });

  it("is lost when more than streamBytesMax of its values wait", async () => {
    const absence = deferred<void>();
    const ended = new Mailbox<number>();
    class Slow extends EventHandler {
      @On()
      async *onRows(size: number) {
        yield "first";
        await absence.promise;
        try {
          for (let n = 0; n < 10; n += 1) yield "x".repeat(size);
        } finally {
          ended.put(size);
        }
      }
    }
    await using app = new App({ limits: { streamBytesMax: 1_000 } }).route("/room/:name", Slow);
    const first = await FrameClient.open(app);
    first.send({ type: "event", event: "rows", data: 100, id: 1, from: 0 });
    first.send({ type: "event", event: "rows", data: 90, id: 2, from: 0 });
    await first.take(2);
    await first.cut(app);
    absence.resolve(undefined);
    await ended.have(2);
    const second = await FrameClient.open(app);
    second.send({ type: "event", event: "rows", data: 100, id: 1, from: 1 });
    second.send({ type: "event", event: "rows", data: 90, id: 2, from: 1 });
    expect(await second.next()).toMatchObject({ type: "reply", id: 1, error: { code: "lost" } });
    expect((await second.take(11)).at(-1)).toEqual({ type: "reply", id: 2, data: null, seq: 11 });
  });

  it("is lost on another node, which does not run it", async () => {
    const { app, open } = setUp();
    const other = setUp();
    const first = await open();
    first.count(1, 600);
    await first.take(10);
    await first.cut(app);
    const second = await other.open();
    second.count(1, 600, { from: 10 });
    expect(await second.next()).toMatchObject({ type: "reply", id: 1, error: { code: "lost" } });
    expect(other.generators.asked.all).toEqual([]);
    // The frame that was refused may be sent again.
    second.count(1, 2);
    expect(await second.take(3)).toMatchObject([{ seq: 0 }, { seq: 1 }, { type: "reply", seq: 2 }]);
  });

  it("is continued and answered after the server has forgotten the frames of its client", async () => {
    const { app, open, generators } = setUp({ receiptClientsMax: 1 });
    const leave = async (name: string, fields: object) => {
      const client = await open(name);
      client.count(1, 3, fields);
      await client.next();
      await client.cut(app);
    };
    // Both the running stream and the ended one belong to clients whose frames are forgotten now.
    await leave("client-00000000a", { window: 1 });
    await leave("client-00000000b", {});
    await leave("client-00000000c", { window: 1 });
    for (const name of ["client-00000000a", "client-00000000b"]) {
      const client = await open(name);
      client.count(1, 3, { from: 1 });
      expect(await client.take(3)).toMatchObject([...items(1, 1, 3), { type: "reply", data: "3 numbers", seq: 3 }]);
      expect(await client.untilQuiet()).toEqual([]);
    }
    expect(generators.asked.all).toHaveLength(7);
  });

  it("ends at once when the server closes the connection for good", async () => {
    const { app, open, generators } = setUp();
    const client = await open();
    client.count(1, 600);
    await client.take(256);
    app.registry.connections[0]?.close(1000);
    await generators.ended.have(2);
    expect(generators.ended.all).toEqual(["aborted", "returned"]);
  });

  it("ends with the app, and with the access of its user", async () => {
    const { open, app, generators } = setUp();
    const client = await open();
    client.count(1, 600);
    await client.take(256);
    await app.close({ timeoutMs: 100 });
    expect(generators.ended.all).toEqual(["aborted", "returned"]);

    const revoked = setUp({}, { authorize: () => ({ id: "ann" }) });
    const ann = await revoked.open();
    ann.count(1, 600);
    await ann.take(256);
    await ann.cut(revoked.app);
    await revoked.app.revoke({ user: "ann" });
    await revoked.generators.ended.have(2);
    expect(revoked.generators.ended.all).toEqual(["aborted", "returned"]);
  });

  it("is one of absentStreamsMax: above, the one absent longest is lost", async () => {
    const { app, open, generators } = setUp({ absentStreamsMax: 2 });
    const leave = async (name: string) => {
      const client = await open(name);
      client.count(1, 10, { window: 1 });
      await client.take(1);
      await client.cut(app);
    };
    await leave("client-00000000a");
    await leave("client-00000000b");
    expect(generators.ended.all).toEqual([]);
    await leave("client-00000000c");
    await generators.ended.have(2);
    const lost = await open("client-00000000a");
    lost.count(1, 10, { from: 1 });
    expect(await lost.next()).toMatchObject({ error: { code: "lost" } });
    const kept = await open("client-00000000b");
    kept.count(1, 10, { from: 1, window: 2 });
    expect(await kept.next()).toMatchObject({ type: "item", seq: 1 });
  });

  it("gives its space to others when all streams together take streamsBytesMax", async () => {
    const { app, open, generators } = setUp({ streamsBytesMax: 100 });
    const absent = await open("client-00000000a");
    absent.count(1, 1_000, { window: 50 });
    await absent.take(50);
    await absent.cut(app);
    expect(generators.ended.all).toEqual([]);
    const greedy = await open("client-00000000b");
    greedy.count(1, 1_000, { window: 1_000 });
    await settled();
    expect(generators.ended.all).toEqual(["aborted", "returned"]);
    expect(app.status().memory.streamBytes).toBeLessThanOrEqual(102);
    // A neighbour is asked for one value at a time, and is not stopped.
    const neighbour = await open("client-00000000c");
    neighbour.count(1, 5);
    for (let seq = 0; seq < 5; seq += 1) {
      expect(await neighbour.next()).toMatchObject({ type: "item", seq });
      neighbour.send({ type: "ack", id: 1, seq: seq + 1 });
    }
    expect(await neighbour.next()).toMatchObject({ type: "reply", seq: 5 });
  });
});

describe("a stream with a key", () => {
  const key = "key-0123456789abcdef";

  it("is continued by another client of the same user in the same room, under another id", async () => {
    const { app, open, generators } = setUp();
    const first = await open("client-00000000a");
    first.count(7, 300, { key });
    await first.take(256);
    await first.cut(app);
    const second = await open("client-00000000b");
    second.count(1, 300, { key, from: 200 });
    expect(await second.take(101)).toEqual([
      ...items(1, 200, 300),
      { type: "reply", id: 1, data: "300 numbers", seq: 300 },
    ]);
    expect(generators.asked.all).toHaveLength(300);
  });

  it("moves to the client that asked last, and the one before gets the error lost", async () => {
    const { open } = setUp();
    const first = await open("client-00000000a");
    first.count(7, 1_000, { key });
    await first.take(256);
    const second = await open("client-00000000b");
    second.count(1, 1_000, { key, from: 256, read: 250 });
    expect(await first.next()).toMatchObject({ type: "reply", id: 7, error: { code: "lost" } });
    expect(await second.untilQuiet()).toEqual(items(1, 256, 506));
    // The first one has no say any more.
    first.send({ type: "cancel", id: 7 });
    first.send({ type: "ack", id: 7, seq: 506 });
    expect(await first.untilQuiet()).toEqual([]);
    expect(await second.untilQuiet()).toEqual([]);
  });

  it("is another stream for another user, and in another room", async () => {
    const options: AppOptions = {
      authorize: ({ query }) => (query.has("user") ? { id: String(query.get("user")) } : anonymous),
    };
    const { app, open, generators } = setUp({}, options);
    const first = await open();
    first.count(1, 10, { key });
    await first.take(11);
    for (const path of ["/room/b?", "/room/a?user=bob&"]) {
      const protocols = ["enfilade.v1", `enfilade.secret.${secret}`];
      const other = await connect(app, `${path}client=${clientId}`, { protocols } satisfies ConnectOptions);
      await other.readJSON();
      other.sendJSON({ type: "event", event: "count", data: 10, id: 1, from: 5, key });
      expect(await other.readJSON()).toMatchObject({ error: { code: "lost" } });
    }
    expect(generators.asked.all).toHaveLength(10);
  });
});

describe("a malicious client", () => {
  it.each([
    { from: -1 },
    { from: 1.5 },
    { from: "0" },
    { from: null },
    { from: 2 ** 53 },
    { from: 0, window: 0 },
    { from: 0, window: 1_025 },
    { from: 0, window: "9" },
    { from: 0, read: 1 },
    { from: 0, key: "short" },
    { from: 0, key: "key 0123456789abcdef" },
    { from: 0, key: 5 },
  ])("gets bad_frame for %j, and nothing is run", async (fields) => {
    const { open, generators } = setUp();
    const client = await open();
    client.count(1, 10, fields);
    expect(await client.untilQuiet()).toMatchObject([{ type: "reply", id: 1, error: { code: "bad_frame" } }]);
    expect(generators.asked.all).toEqual([]);
  });

  it.each([
    { type: "event", event: "count", data: 3, from: 0 },
    { type: "ack", seq: 1 },
    { type: "cancel" },
    { type: "cancel", id: {} },
    { type: "item" },
  ])("is closed for %j, which has no valid id", async (frame) => {
    const { open } = setUp();
    const neighbour = await open("client-00000000b");
    const client = await open();
    client.send(frame);
    expect(await client.client.closed).toMatchObject({ code: 4500 });
    expect(await neighbour.untilQuiet()).toEqual([]);
  });

  it("has no effect with acknowledgements and cancels of unknown ids and of other clients", async () => {
    const { open, generators } = setUp();
    const victim = await open("client-00000000b");
    victim.count(1, 1_000, { window: 5 });
    await victim.take(5);
    const client = await open();
    for (const id of [1, "1", 2, 99]) {
      client.send({ type: "cancel", id });
      client.send({ type: "ack", id, seq: 5 });
    }
    client.send({ type: "ack", id: 1, seq: -1 });
    expect(await client.untilQuiet()).toMatchObject([{ type: "reply", id: 1, error: { code: "bad_frame" } }]);
    expect(await victim.untilQuiet()).toEqual([]);
    expect(generators.ended.all).toEqual([]);
  });

  it("loses its own stream with a forged from, before or after what is kept", async () => {
    for (const from of [3, 1_000]) {
      const { app, open, generators } = setUp();
      const first = await open();
      first.count(1, 1_000, { window: 10 });
      await first.take(10);
      first.send({ type: "ack", id: 1, seq: 5 });
      await first.untilQuiet();
      await first.cut(app);
      const second = await open();
      second.count(1, 1_000, { from });
      expect(await second.untilQuiet()).toMatchObject([{ type: "reply", id: 1, error: { code: "lost" } }]);
      expect(generators.ended.all).toEqual(["aborted", "returned"]);
    }
  });

  it("reads streamsMax streams at a time, and a neighbour is not affected", async () => {
    const { app, open, generators } = setUp({ streamsMax: 3 });
    const client = await open();
    const neighbour = await open("client-00000000b");
    for (let id = 0; id < 1_000; id += 1) client.count(id, 1_000, { window: 1 });
    const frames = await client.untilQuiet();
    expect(frames.filter(({ type }) => type === "item")).toHaveLength(3);
    expect(frames.filter(({ error }) => error?.code === "too_many_streams")).toHaveLength(997);
    neighbour.count(1, 2);
    expect(await neighbour.take(3)).toMatchObject([{ seq: 0 }, { seq: 1 }, { type: "reply" }]);
    // An end makes space for another one, which may have an id that was refused.
    client.send({ type: "cancel", id: 0 });
    client.count(999, 1);
    expect(await client.untilQuiet()).toMatchObject([
      { id: 0, error: { code: "canceled" } },
      { type: "item", id: 999 },
      { type: "reply", id: 999 },
    ]);
    await client.cut(app);
    expect(generators.asked.all.length).toBeLessThan(10);
  });

  it("runs a stream once, however often it sends the frame", async () => {
    const { open, generators } = setUp();
    const client = await open();
    for (let n = 0; n < 100; n += 1) client.count(1, 10, { from: 0 });
    expect(await client.untilQuiet()).toHaveLength(11);
    // Each would make the server send all items again.
    for (let n = 0; n < 100; n += 1) client.count(1, 10, { from: n % 10 });
    expect(await client.untilQuiet()).toEqual([]);
    expect(generators.asked.all).toHaveLength(10);
  });
});
