import { once } from "node:events";
import { type AddressInfo, connect as connectTCP, createServer } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket } from "ws";
import { httpFallback } from "../../src/client/http/index.js";
import { RequestError } from "../../src/client/index.js";
import { App, EventHandler, On } from "../../src/index.js";
import type { ManualClock } from "../../src/testing/index.js";
import { Mailbox, start } from "../support/app.js";
import { startProxy } from "../support/proxy.js";
import { openRoom, startStreams } from "../support/streams.js";
import { connectScripted } from "./scripted.js";

/** Reads a stream of numbers to its end. */
async function readAll(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const value of stream) values.push(value);
  return values;
}

function numbers(count: number): number[] {
  return [...Array(count).keys()];
}

function refusal(code: string) {
  return expect.objectContaining({ name: "RequestError", code });
}

describe("room.stream()", () => {
  it("yields the values of the generator, and returns its return value", async () => {
    const { url } = await startStreams();
    const room = openRoom(`${url}/room/a`);
    expect(await readAll(room.stream("count", 1_000))).toEqual(numbers(1_000));
    const stream = room.stream("count", 1);
    expect([await stream.next(), await stream.next()]).toEqual([
      { done: false, value: 0 },
      { done: true, value: "1 numbers" },
    ]);
    // An event that answers with one value is a stream without values.
    const echo = room.stream("echo", "x");
    expect(await echo.next()).toEqual({ done: true, value: "x" });
  });

  it("yields 10,000 values once and in order over 10 cuts of the connection", async () => {
    const { port, generators } = await startStreams();
    const proxy = await startProxy(port);
    const room = openRoom(`ws://127.0.0.1:${proxy.port}/room/a`);
    const states = new Mailbox<string>();
    room.on("state", (state) => states.put(state));
    const values: unknown[] = [];
    let cuts = 0;
    for await (const value of room.stream("count", 10_000)) {
      values.push(value);
      if (values.length < (cuts + 1) * 900 || cuts === 10) continue;
      cuts += 1;
      proxy.cut();
      proxy.open();
    }
    expect(values).toEqual(numbers(10_000));
    expect(generators.asked.all).toEqual(numbers(10_000));
    expect(generators.ended.all).toEqual(["done"]);
    expect([cuts, states.all.filter((state) => state === "waiting").length]).toEqual([10, 10]);
  });

  it("does not ask for more than it may read ahead while its loop does not read", async () => {
    const { url, generators } = await startStreams();
    const room = openRoom(`${url}/room/a`);
    const stream = room.stream("count", 10_000, { readAhead: 10 });
    await stream.next();
    await generators.asked.have(10);
    // Replies that come later show that nothing more was sent meanwhile.
    for (let n = 0; n < 20; n += 1) await room.request("echo", n);
    expect(generators.asked.all).toHaveLength(10);
    for (let n = 0; n < 5; n += 1) await stream.next();
    await generators.asked.have(15);
    for (let n = 0; n < 20; n += 1) await room.request("echo", n);
    expect(generators.asked.all).toHaveLength(15);
    await stream.return(undefined);
    await generators.ended.have(2);
  });

  it("does not ask for more while the socket of its client is full", async () => {
    const asked = new Mailbox<number>();
    class Rows extends EventHandler {
      static events = { rows: "onRows" };
      async *onRows() {
        for (let n = 0; n < 1_000; n += 1) {
          asked.put(n);
          yield { n, row: "x".repeat(64 * 1024) };
        }
      }
    }
    const limits = { streamBytesMax: 128 * 1024 * 1024, streamsBytesMax: 128 * 1024 * 1024 };
    const { url } = await start(new App({ limits }).route("/rows", Rows));
    const sockets: WebSocket[] = [];
    class Pausable extends WebSocket {
      constructor(address: string, protocols: string[]) {
        super(address, protocols);
        sockets.push(this);
      }
    }
    const room = openRoom(`${url}/rows`, { WebSocket: Pausable });
    await room.opened;
    const stream = room.stream("rows", null, { readAhead: 1_000 });
    const first = stream.next();
    sockets[0]?.pause();
    await asked.have(10);
    for (let seen = -1; seen !== asked.all.length; ) {
      seen = asked.all.length;
      for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    // The sockets of the system hold a few MiB.
    expect(asked.all.length).toBeLessThan(500);
    sockets[0]?.resume();
    expect(await first).toMatchObject({ value: { n: 0 } });
    expect(await readAll(stream)).toHaveLength(999);
  });

  it("does not grow its read-ahead by reconnecting", async () => {
    const { port, generators } = await startStreams();
    const proxy = await startProxy(port);
    const room = openRoom(`ws://127.0.0.1:${proxy.port}/room/a`);
    const stream = room.stream("count", 10_000, { readAhead: 10 });
    await stream.next();
    for (let cut = 0; cut < 5; cut += 1) {
      proxy.cut();
      proxy.open();
      await room.request("echo", cut);
    }
    expect(generators.asked.all).toHaveLength(10);
  });

  it("returns the generator when its loop is left, by break, by an error, or by return()", async () => {
    const { url, generators } = await startStreams();
    const room = openRoom(`${url}/room/a`);
    for await (const value of room.stream("count", 10_000)) if (value === 3) break;
    await generators.ended.have(2);
    const failing = async () => {
      for await (const _value of room.stream("count", 10_000)) throw new Error("of the loop");
    };
    await expect(failing()).rejects.toThrow("of the loop");
    await generators.ended.have(4);
    const stream = room.stream("count", 10_000);
    await stream.next();
    await stream.return("left");
    expect(await generators.ended.have(6)).toEqual(Array(3).fill(["aborted", "returned"]).flat());
    expect(await room.request("echo", "alive")).toBe("alive");
  });

  it("throws the reason of its signal, and returns the generator", async () => {
    const { url, generators } = await startStreams();
    const room = openRoom(`${url}/room/a`);
    const controller = new AbortController();
    const stream = room.stream("count", 10_000, { signal: controller.signal, readAhead: 1 });
    await stream.next();
    controller.abort(new Error("enough"));
    await expect(stream.next()).rejects.toThrow("enough");
    expect(await generators.ended.have(2)).toEqual(["aborted", "returned"]);
    const late = room.stream("count", 5, { signal: controller.signal });
    await expect(late.next()).rejects.toThrow("enough");
    expect(await room.request("echo", 1)).toBe(1);
    expect(generators.asked.all.length).toBeLessThan(4);
  });

  it("returns the generator when the room is closed, and its loop throws", async () => {
    const { url, generators } = await startStreams();
    const room = openRoom(`${url}/room/a`);
    const stream = room.stream("count", 10_000);
    await stream.next();
    room.close();
    const rest = async () => {
      for await (const _value of stream);
    };
    await expect(rest()).rejects.toEqual(refusal("closed"));
    expect(await generators.ended.have(2)).toEqual(["aborted", "returned"]);
    await expect(room.stream("count", 1).next()).rejects.toEqual(refusal("closed"));
  });

  it("throws lost if it returns too late, and another stream works", async () => {
    const { port, generators } = await startStreams({ streamGraceMs: 20 });
    const proxy = await startProxy(port);
    const room = openRoom(`ws://127.0.0.1:${proxy.port}/room/a`);
    const stream = room.stream("count", 10_000);
    await stream.next();
    proxy.cut();
    await generators.ended.have(2);
    proxy.open();
    await expect(readAll(stream)).rejects.toEqual(refusal("lost"));
    expect(await readAll(room.stream("count", 2))).toEqual([0, 1]);
  });

  it("throws lost on another node, which does not run it", async () => {
    const [one, two] = [await startStreams(), await startStreams()];
    let target = one.port;
    const proxy = createServer((near) => {
      const far = connectTCP(target, "127.0.0.1");
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) socket.on("error", () => [near, far].map((each) => each.destroy()));
      near.on("close", () => far.destroy());
      far.on("close", () => near.destroy());
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    onTestFinished(() => void proxy.close());
    // A server on a port has an address.
    const { port } = proxy.address() as AddressInfo;
    const room = openRoom(`ws://127.0.0.1:${port}/room/a`);
    const stream = room.stream("count", 10_000);
    await stream.next();
    target = two.port;
    for (const connection of one.app.registry.connections) connection.close(4000);
    await expect(readAll(stream)).rejects.toEqual(refusal("lost"));
    expect(two.generators.asked.all).toEqual([]);
    expect(await readAll(room.stream("count", 2))).toEqual([0, 1]);
    expect(two.generators.asked.all).toEqual([0, 1]);
  });

  it("does not stop requests that are sent while it lasts, however many", async () => {
    const { url } = await startStreams();
    const room = openRoom(`${url}/room/a`);
    const stream = room.stream("count", 10_000, { readAhead: 1 });
    await stream.next();
    for (let n = 0; n < 300; n += 1) expect(await room.request("echo", n)).toBe(n);
    await stream.return(undefined);
  });

  it("continues on a page that is loaded again, by its key and the number of values that were read", async () => {
    const { url, generators } = await startStreams();
    const page = new EventTarget();
    const listen = page.addEventListener.bind(page);
    vi.stubGlobal("addEventListener", listen);
    onTestFinished(() => void vi.unstubAllGlobals());
    const key = crypto.randomUUID();
    const before = openRoom(`${url}/room/a`);
    const values: unknown[] = [];
    const stream = before.stream("count", 1_000, { key });
    while (values.length < 300) values.push((await stream.next()).value);
    // The page is left: it closes its connection, and none of its code runs any more.
    page.dispatchEvent(new Event("pagehide"));
    expect(before.state).toBe("waiting");
    const after = openRoom(`${url}/room/a`);
    for await (const value of after.stream("count", 1_000, { key, from: values.length })) values.push(value);
    expect(values).toEqual(numbers(1_000));
    expect(generators.asked.all).toHaveLength(1_000);
  });

  it("works over HTTP, where no WebSocket can be opened", async () => {
    const { url } = await startStreams();
    const blocked = class {
      addEventListener(type: string, listener: (event: { type: string; message: string }) => void) {
        if (type === "error") queueMicrotask(() => listener({ type, message: "blocked" }));
      }
      send() {
        throw new Error("it is not open");
      }
      close() {
        // It has ended already.
      }
    };
    const room = openRoom(`${url}/room/a`, { WebSocket: httpFallback({ WebSocket: blocked }) });
    expect(await readAll(room.stream("count", 1_000))).toEqual(numbers(1_000));
  });

  it("yields values that fill the memory of a stream before half of the window is read", async () => {
    class Pages extends EventHandler {
      @On()
      async *onPages(count: number) {
        for (let n = 0; n < count; n += 1) yield String(n).padEnd(400, " ");
      }
    }
    const app = new App({ limits: { streamBytesMax: 1_000 } }).route("/room/:name", Pages);
    const room = openRoom(`${(await start(app)).url}/room/a`);
    const pages = await readAll(room.stream("pages", 8));
    expect(pages.map(Number)).toEqual(numbers(8));
  });

  it("refuses unknown options and values before anything is sent", async () => {
    const { room, peers } = await connectScripted({}, (peer) => peer.welcome());
    const peer = await peers.take();
    const key = crypto.randomUUID();
    const refusals: [options: object, message: string][] = [
      [{ sginal: 1 }, 'did you mean "signal"?'],
      [{ key, from: -1 }, `got -1, ${key}, 256`],
      [{ key, from: Number.NaN }, `got NaN, ${key}, 256`],
      [{ from: 3 }, "got 3, undefined, 256"],
      [{ readAhead: 0 }, "got 0, undefined, 0"],
      [{ readAhead: 1_025 }, "got 0, undefined, 1025"],
      [{ readAhead: 1.5 }, "got 0, undefined, 1.5"],
      [{ key: "0123456789abcdef", from: 0.5 }, "got 0.5, 0123456789abcdef, 256"],
      [{ key: "answer" }, "got 0, answer, 256"],
      [{ key: "" }, "got 0, , 256"],
    ];
    for (const [wrong, message] of refusals) {
      const refused = expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining(message) });
      expect(() => room.stream("x", null, wrong), message).toThrow(refused);
    }
    await peer.roundtrip();
    expect(peer.received.all).toEqual([]);
  });
});

describe("the frames of a stream", () => {
  it("acknowledge after half of the window, and at the end", async () => {
    const { room, peers } = await connectScripted({}, (peer) => peer.welcome());
    const peer = await peers.take();
    const reading = readAll(room.stream("x", "data", { readAhead: 4 }));
    expect(await peer.received.take()).toEqual({
      ...{ type: "event", event: "x", data: "data", id: 1 },
      ...{ from: 0, read: 0, window: 4 },
    });
    for (let seq = 0; seq < 3; seq += 1) peer.send({ type: "item", id: 1, seq, data: seq });
    expect(await peer.received.take()).toEqual({ type: "ack", id: 1, seq: 2 });
    peer.send({ type: "item", id: 1, seq: 3, data: 3 });
    peer.send({ type: "item", id: 1, seq: 4, data: 4 });
    peer.send({ type: "reply", id: 1, data: "end", seq: 5 });
    expect(await peer.received.take()).toEqual({ type: "ack", id: 1, seq: 4 });
    expect(await peer.received.take()).toEqual({ type: "ack", id: 1, seq: 5 });
    expect(await reading).toEqual([0, 1, 2, 3, 4]);
  });

  it("are sent again with the next item that is wanted, and repeated items are skipped", async () => {
    const scripted = await connectScripted({}, (peer) => peer.welcome());
    const peer = await scripted.peers.take();
    const stream = scripted.room.stream("x", "data");
    const first = stream.next();
    await peer.received.take();
    for (let seq = 0; seq < 3; seq += 1) peer.send({ type: "item", id: 1, seq, data: seq });
    expect(await first).toEqual({ done: false, value: 0 });
    await peer.roundtrip();
    const next = await scripted.reconnect();
    expect(await next.received.take()).toMatchObject({ type: "event", event: "x", id: 1, from: 3, read: 0 });
    for (let seq = 1; seq < 5; seq += 1) next.send({ type: "item", id: 1, seq, data: seq });
    next.send({ type: "reply", id: 1, data: null, seq: 5 });
    expect(await readAll(stream)).toEqual([1, 2, 3, 4]);
  });

  it("come on the connection that the server drains until the reply, and are acknowledged there", async () => {
    const scripted = await connectScripted({}, (peer) => peer.welcome());
    const drained = await scripted.peers.take();
    const reading = readAll(scripted.room.stream("x", "data", { readAhead: 2 }));
    await drained.received.take();
    drained.send({ type: "drain", withinMs: 1_000, afterMs: 0 });
    await drained.roundtrip();
    (scripted.clock satisfies ManualClock).advance(0);
    const next = await scripted.peers.take();
    await next.roundtrip();
    for (let seq = 0; seq < 3; seq += 1) {
      drained.send({ type: "item", id: 1, seq, data: seq });
      expect(await drained.received.take()).toEqual({ type: "ack", id: 1, seq: seq + 1 });
    }
    drained.send({ type: "reply", id: 1, data: null, seq: 3 });
    expect(await reading).toEqual([0, 1, 2]);
    expect(await drained.closed).toMatchObject({ code: 1000 });
    expect(next.received.all).toEqual([]);
  });

  it("show a loss when the reply comes after more items than were received", async () => {
    const { room, peers } = await connectScripted({}, (peer) => peer.welcome());
    const peer = await peers.take();
    const reading = readAll(room.stream("x", null));
    await peer.received.take();
    peer.send({ type: "item", id: 1, seq: 0, data: 0 });
    peer.send({ type: "reply", id: 1, data: null, seq: 2 });
    await expect(reading).rejects.toEqual(refusal("lost"));
  });

  it("with an error deliver the items before it first", async () => {
    const { room, peers } = await connectScripted({}, (peer) => peer.welcome());
    const peer = await peers.take();
    const stream = room.stream("x", null);
    const first = stream.next();
    await peer.received.take();
    peer.send({ type: "item", id: 1, seq: 0, data: "only" });
    peer.send({ type: "reply", id: 1, error: { code: "no_more", message: "no more" }, seq: 1 });
    expect(await first).toEqual({ done: false, value: "only" });
    await expect(stream.next()).rejects.toThrow(RequestError);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });
});
