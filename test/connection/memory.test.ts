import { describe, expect, it } from "vitest";
import { App, type AppOptions, EventHandler, On, WebSocketHandler } from "../../src/index.js";
import { connect } from "../../src/testing/index.js";
import { Mailbox } from "../support/app.js";
import { SlowClient } from "../support/slowClient.js";

const KiB = 1024;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

class Quiet extends WebSocketHandler {
  onMessage(text: string) {
    if (text === "close") this.close();
  }
}

function appWith(options: AppOptions): { readonly app: App; readonly warnings: string[] } {
  const warnings: string[] = [];
  const logger = { warn: (text: string) => warnings.push(text), error: () => undefined };
  const limits = { memoryBytesMax: 1_024 * KiB, heartbeatMs: false, ...options.limits } as const;
  return { app: new App({ logger, ...options, limits }).route("/rooms/:name", Quiet), warnings };
}

/** A client that reads nothing, with a full socket: everything else waits in its outbox. */
async function slowClient(app: App, name: string): Promise<SlowClient> {
  const client = new SlowClient(app, `/rooms/${name}`, "");
  client.bufferedBytes = 64 * KiB;
  await nextTurn();
  return client;
}

async function send(app: App, name: string, bytes: number): Promise<void> {
  app.registry.sendJSONToRoom(`/rooms/${name}`, "x".repeat(bytes));
  // Messages are written once a tick.
  await nextTurn();
}

describe("memoryBytesMax", () => {
  it("counts bytes that several clients wait for once, and closes none of them below the bound", async () => {
    const { app } = appWith({});
    const clients: SlowClient[] = [];
    for (let n = 0; n < 20; n += 1) clients.push(await slowClient(app, "a"));
    for (let n = 0; n < 5; n += 1) await send(app, "a", 100 * KiB);
    const { memory, totals } = app.status();
    expect(memory.outboxBytes).toBeGreaterThan(500 * KiB);
    expect(memory.outboxBytes).toBeLessThan(520 * KiB);
    expect(memory.bytes).toBe(memory.outboxBytes);
    expect(totals.slow).toBe(0);
    for (const client of clients) client.readAll();
    while (app.status().memory.bytes > 0) await nextTurn();
    await app.close({ timeoutMs: 100 });
  });

  it("closes the clients that hold most with 4008, not those that share their bytes, and warns once", async () => {
    const { app, warnings } = appWith({});
    const sharing = [await slowClient(app, "shared"), await slowClient(app, "shared")];
    await send(app, "shared", 300 * KiB);
    const [small, large] = [await slowClient(app, "small"), await slowClient(app, "large")];
    await send(app, "small", 100 * KiB);
    await send(app, "large", 500 * KiB);
    expect(app.status().totals.slow).toBe(0);
    await send(app, "small", 150 * KiB);
    expect(await large.closes.have(1)).toEqual([4008]);
    for (const client of [small, ...sharing]) expect(client.closes.all).toEqual([]);
    // Now the client alone in its room holds most: the others share their bytes.
    await send(app, "small", 600 * KiB);
    expect(await small.closes.have(1)).toEqual([4008]);
    for (const client of sharing) expect(client.closes.all).toEqual([]);
    expect(app.status().totals).toMatchObject({ slow: 2, memoryCloses: 2 });
    expect(warnings).toEqual([expect.stringContaining("memoryBytesMax")]);
    for (const client of sharing) client.readAll();
    while (app.status().memory.bytes > 0) await nextTurn();
    await app.close({ timeoutMs: 100 });
  });

  it("pauses busy clients at half of it, and resumes them: nothing is dropped, and the order stays", async () => {
    const { app, warnings } = appWith({});
    const read = new Mailbox<string>();
    const gate = new Mailbox<true>();
    class Busy extends WebSocketHandler {
      override async onMessage(text: string) {
        await gate.have(1);
        read.put(text.slice(0, 8));
      }
    }
    app.route("/busy/:name", Busy);
    const clients = await Promise.all([1, 2, 3].map((n) => connect(app, `/busy/${n}`)));
    const expected: string[] = [];
    for (let n = 0; n < 60; n += 1) {
      for (const [index, client] of clients.entries()) {
        const name = `${index}-${n}`.padEnd(8);
        client.sendText(name + "x".repeat(30 * KiB));
        expected.push(name);
      }
    }
    while (app.status().totals.memoryPauses < 3) await nextTurn();
    for (let n = 0; n < 100; n += 1) await nextTurn();
    expect(app.status().memory.inboxBytes).toBeGreaterThan(512 * KiB);
    expect(app.status().memory.inboxBytes).toBeLessThan(700 * KiB);
    // Another client is served meanwhile.
    const other = await connect(app, "/rooms/other");
    other.sendText("close");
    expect(await other.closed).toMatchObject({ code: 1000 });
    gate.put(true);
    const all = await read.have(180);
    for (const index of [0, 1, 2]) {
      const own = (name: string) => name.startsWith(`${index}-`);
      expect(all.filter(own)).toEqual(expected.filter(own));
    }
    expect(app.status().memory.bytes).toBe(0);
    expect(warnings).toEqual([expect.stringContaining("sockets are paused")]);
    await app.close();
  });

  it.each(["onMessage", "serve"])(
    "counts the message that a busy handler has, until it has finished: %s",
    async (by) => {
      const { app } = appWith({});
      const gate = new Mailbox<true>();
      const has = new Mailbox<number>();
      const work = async (text: string) => {
        has.put(text.length);
        await gate.have(1);
        if (text.startsWith("throw")) throw new Error("boom");
      };
      class Busy extends WebSocketHandler {
        override async onMessage(text: string) {
          await work(text);
        }
      }
      class Serving extends WebSocketHandler {
        override async serve() {
          for await (const { text } of this.connection) await work(text);
        }
      }
      app.on("error", () => undefined);
      app.route("/busy", by === "serve" ? Serving : Busy);
      const clients = await Promise.all(["a", "b", "throw"].map(() => connect(app, "/busy")));
      for (const [index, client] of clients.entries()) client.sendText((index === 2 ? "throw" : "").padEnd(10 * KiB));
      await has.have(3);
      expect(app.status().memory).toMatchObject({ inboxBytes: 30 * KiB, bytes: 30 * KiB });
      const [first] = clients;
      gate.put(true);
      while (app.status().memory.bytes > 0) await nextTurn();
      first?.sendText("next");
      await has.have(4);
      await app.close({ timeoutMs: 100 });
      expect(app.status().memory.bytes).toBe(0);
    },
  );

  it("counts what remembered frames hold, and forgets it with their clients", async () => {
    const { app } = appWith({});
    const receiptsOf = () => app.status().memory.receiptBytes;
    const v1 = { protocols: ["enfilade.v1"] };
    const named = await connect(app, "/rooms/a?client=client-0123456789", v1);
    expect(await named.readJSON()).toMatchObject({ type: "welcome" });
    expect(receiptsOf()).toBe(0);
    named.sendJSON({ type: "message", text: "x", id: 1 });
    expect(await named.readJSON()).toMatchObject({ type: "reply", id: 1 });
    const one = receiptsOf();
    expect(one).toBeGreaterThan(600);
    await named.close();
    expect(receiptsOf()).toBe(one);
    const nameless = await connect(app, "/rooms/a", v1);
    await nameless.readJSON();
    nameless.sendJSON({ type: "message", text: "x", id: 1 });
    await nameless.readJSON();
    expect(receiptsOf()).toBeGreaterThan(one);
    await nameless.close();
    while (receiptsOf() !== one) await nextTurn();
    await app.close();
  });
});

describe("an event that has to wait", () => {
  it("is decoded again when it is read, so that only its text takes memory", async () => {
    const gate = new Mailbox<true>();
    const data = new Mailbox<unknown>();
    class Slow extends EventHandler {
      @On("note")
      async onNote(value: unknown) {
        await gate.have(1);
        data.put(value);
      }
    }
    const { app } = appWith({});
    app.route("/slow", Slow);
    const client = await connect(app, "/slow", { protocols: ["enfilade.v1"] });
    const values = [{ a: [1, { b: null }] }, "text", [[], [[]]], 0, false];
    for (const [id, value] of values.entries()) client.sendJSON({ type: "event", event: "note", data: value, id });
    while (app.status().memory.inboxBytes === 0) await nextTurn();
    gate.put(true);
    expect(await data.have(values.length)).toEqual(values);
    for (let id = -1; id < values.length; id += 1) await client.readJSON();
    expect(app.status().memory.inboxBytes).toBe(0);
    await app.close();
  });
});

describe("receiptsBytesMax", () => {
  it("bounds the frames of connected clients: those with the most forget their oldest first", async () => {
    class Echo extends WebSocketHandler {
      onMessage(text: string) {
        return text;
      }
    }
    const { app, warnings } = appWith({ limits: { receiptsBytesMax: 40 * KiB, receiptsMax: 1_000 } });
    app.route("/echo", Echo);
    const secret = `enfilade.secret.${"s".repeat(22)}`;
    const join = async (id: string, offered: string[] = []) => {
      const client = await connect(app, `/echo?client=${id}`, { protocols: ["enfilade.v1", ...offered] });
      await client.readJSON();
      return client;
    };
    const modest = await join("client-0123456789", [secret]);
    modest.sendJSON({ type: "message", text: "mine", id: 1 });
    expect(await modest.readJSON()).toMatchObject({ type: "reply", id: 1 });
    const greedy = await join("client-9876543210");
    for (let id = 0; id < 900; id += 1) greedy.sendJSON({ type: "message", text: "x", id });
    for (let id = 0; id < 900; id += 1) await greedy.readJSON();
    expect(app.status().memory.receiptBytes).toBeLessThanOrEqual(40 * KiB);
    expect(app.status().totals.receiptsForgotten).toBeGreaterThan(500);
    expect(warnings).toEqual([expect.stringContaining("receiptsBytesMax")]);
    // The client with one frame has lost nothing.
    const again = await join("client-0123456789", [secret]);
    again.sendJSON({ type: "message", text: "mine", id: 1 });
    expect(await again.readJSON()).toEqual({ type: "reply", id: 1, data: null });
    expect(app.status().totals.received).toBe(902);
    await app.close();
  });
});
