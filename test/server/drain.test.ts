import { describe, expect, it } from "vitest";
import { App, type AppOptions, anonymous, type DrainResult, WebSocketHandler } from "../../src/index.js";
import { ManualClock, type TestClient } from "../../src/testing/index.js";
import { closes, Mailbox, start } from "../support/app.js";
import { LineClient, serveLines } from "../support/lines.js";

const v1 = { protocols: ["enfilade.v1"] };

/** The message `slow` is handled when the test releases it. */
class Chat extends WebSocketHandler<{ room: string }, { id: string } | undefined> {
  static readonly begun = new Mailbox<string>();
  static readonly released = new Mailbox<true>();
  override authorize() {
    const id = this.query.get("as");
    return id === null ? anonymous : { id };
  }
  async onMessage(text: string) {
    Chat.begun.put(text);
    if (text === "slow") await Chat.released.have(1);
    this.sendText(`done ${text}`);
  }
}

interface DrainableApp {
  readonly app: App;
  readonly clock: ManualClock;
  readonly warnings: string[];
  open(path: string, options?: object): Promise<TestClient>;
}

async function startApp(options: AppOptions = {}): Promise<DrainableApp> {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const logger = { warn: (text: string) => warnings.push(text), error: () => undefined };
  // The clients of these tests answer no pings while the clock jumps.
  const limits = { heartbeatMs: false as const };
  const app = new App({ clock, logger, limits, ...options }).route("/chat/:room", Chat);
  return { ...(await start(app)), clock, warnings };
}

/** A client of `enfilade.v1` that has read its welcome. */
async function openV1({ open }: DrainableApp, path = "/chat/a"): Promise<TestClient> {
  const client = await open(path, v1);
  expect(await client.readJSON()).toMatchObject({ type: "welcome" });
  return client;
}

/** Resolves when what the app has begun in this turn of the event loop is done. */
async function turns(): Promise<void> {
  for (let n = 0; n < 5; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves with what a promise has resolved with by now. */
async function stateOf<T>(promise: Promise<T>): Promise<T | "pending"> {
  await turns();
  return Promise.race([promise, Promise.resolve("pending" as const)]);
}

describe("drain()", () => {
  it("refuses new clients on every transport with 503 and Retry-After until the balancer has noticed", async () => {
    const running = await startApp();
    const { app, clock, open } = running;
    const client = await openV1(running);
    const port = await serveLines(app);
    expect(app.status().ready).toBe(true);
    const drained = app.drain({ withinMs: 60_000 });
    expect(app.status()).toMatchObject({ state: "open", ready: false });
    const refusal = { status: 503, message: "The server is draining" };
    await expect(open("/chat/a")).rejects.toMatchObject({ ...refusal, headers: { "retry-after": "5" } });
    expect(await new LineClient(port, "/chat/a").next()).toEqual({ refused: 503, body: refusal.message });
    clock.advance(3_500);
    await expect(open("/chat/a", v1)).rejects.toMatchObject({ ...refusal, headers: { "retry-after": "2" } });
    clock.advance(20_000);
    await expect(open("/chat/a")).rejects.toMatchObject({ ...refusal, headers: { "retry-after": "1" } });
    expect(app.status().totals).toMatchObject({ opened: 1, refused: 4 });
    await client.close();
    await drained;
  });

  it("refuses a client that was waiting for authorize when it began", async () => {
    const asked = new Mailbox<() => void>();
    const authorize = () => new Promise<typeof anonymous>((resolve) => asked.put(() => resolve(anonymous)));
    const { app, open } = await startApp({ authorize });
    const opening = open("/chat/a");
    opening.catch(() => undefined);
    const [accept] = await asked.have(1);
    expect(await app.drain()).toEqual({ left: 0, remaining: [] });
    accept?.();
    await expect(opening).rejects.toMatchObject({ status: 503, headers: { "retry-after": "5" } });
  });

  it("gives each client its own moment, evenly spread, with plain clients closed in between by 1012", async () => {
    const running = await startApp();
    const { app, clock, open } = running;
    const closed: [at: number, code: number][] = [];
    const clients: TestClient[] = [];
    for (let n = 0; n < 9; n += 1) {
      const client = n % 3 === 2 ? await open("/chat/a") : await openV1(running);
      clients.push(client);
    }
    const plain = clients.filter((_, n) => n % 3 === 2);
    for (const client of plain) void client.closed.then(({ code }) => closed.push([clock.now(), code]));
    const drained = app.drain({ withinMs: 20_000, settleMs: 2_000 });
    const moments: unknown[] = [];
    for (const client of clients.filter((one) => !plain.includes(one))) {
      const { afterMs, ...frame } = Object(await client.readJSON());
      expect(frame).toEqual({ type: "drain", withinMs: 20_000 });
      moments.push(afterMs);
    }
    // 18,000 ms, without the tenth that is kept for the last ones, for 9 clients.
    expect(moments).toEqual([2_000, 3_800, 7_400, 9_200, 12_800, 14_600]);
    for (const [index, at] of [5_600, 11_000, 16_400].entries()) {
      clock.advance(at - 1 - clock.now());
      await turns();
      expect(closed).toHaveLength(index);
      clock.advance(1);
      expect(await plain[index]?.closed).toMatchObject({ code: 1012, reason: "service restart" });
    }
    expect(closed).toEqual([
      [5_600, 1012],
      [11_000, 1012],
      [16_400, 1012],
    ]);
    for (const client of clients) await client.close();
    expect(await drained).toEqual({ left: 9, remaining: [] });
    expect(running.warnings).toEqual([]);
  });

  it("lets a handler finish with what a plain client has sent, but not for long", async () => {
    const { app, clock, open } = await startApp();
    const [first, second] = [await open("/chat/a"), await open("/chat/a")];
    for (const client of [first, second]) client.sendText("slow");
    await Chat.begun.have(2);
    const drained = app.drain({ withinMs: 10_000, settleMs: 0 });
    expect(await stateOf(first.closed)).toBe("pending");
    clock.advance(500);
    expect(await first.closed).toMatchObject({ code: 1012 });
    clock.advance(4_100);
    expect(await stateOf(second.closed)).toBe("pending");
    Chat.released.put(true);
    expect(await second.readText()).toBe("done slow");
    expect(await second.closed).toMatchObject({ code: 1012 });
    expect(await drained).toEqual({ left: 2, remaining: [] });
  });

  it("says who is still there when the time is up, and warns of it once", async () => {
    const running = await startApp();
    const { app, clock, warnings, open } = running;
    const ann = await openV1(running, "/chat/a?as=ann");
    await openV1(running, "/chat/b");
    const plain = await open("/chat/c");
    const drained = app.drain({ withinMs: 3_000 });
    expect(await ann.readJSON()).toEqual({ type: "drain", withinMs: 3_000, afterMs: 500 });
    clock.advance(2_999);
    await plain.closed;
    expect(await stateOf(drained)).toBe("pending");
    clock.advance(1);
    const [first, second] = app.registry.connections;
    const expected: DrainResult = {
      left: 1,
      remaining: [
        { id: first?.id ?? "", user: { id: "ann" }, path: "/chat/a" },
        { id: second?.id ?? "", user: undefined, path: "/chat/b" },
      ],
    };
    expect(await drained).toEqual(expected);
    expect(warnings).toEqual([expect.stringMatching(/^enfilade: 2 of 3 connections had not left 3000 ms after drain/)]);
    expect(warnings[0]).toMatch(/load balancer/);
    expect(await app.drain()).toEqual(expected);
    expect(warnings).toHaveLength(1);
  });

  it("resolves when the last client has left, and at once without clients", async () => {
    const running = await startApp();
    const client = await openV1(running);
    const closed = closes(running.app, 1);
    const drained = running.app.drain();
    await expect(running.app.drain({ withinMs: 1 })).rejects.toMatchObject({
      code: "ERR_APP_STATE",
      message: expect.stringMatching(/drains already, with withinMs 30000 and settleMs 5000/),
    });
    await expect(running.app.drain({ settleMs: 1 })).rejects.toMatchObject({ code: "ERR_APP_STATE" });
    void running.app.drain({ withinMs: 30_000, settleMs: 5_000 });
    expect(await stateOf(drained)).toBe("pending");
    await client.close();
    await closed;
    expect(await drained).toEqual({ left: 1, remaining: [] });
    expect(await running.app.drain()).toEqual({ left: 1, remaining: [] });
    const empty = await startApp();
    expect(await empty.app.drain()).toEqual({ left: 0, remaining: [] });
  });

  it("ends at close(), which closes the others with 1001, without timers and warnings", async () => {
    const running = await startApp();
    const { app, clock, warnings, open } = running;
    const [client, plain] = [await openV1(running), await open("/chat/b")];
    const drained = app.drain({ withinMs: 30_000 });
    await client.readJSON();
    const closing = app.close();
    expect(await drained).toMatchObject({ left: 0, remaining: [{ path: "/chat/a" }, { path: "/chat/b" }] });
    expect([(await client.closed).code, (await plain.closed).code]).toEqual([1001, 1001]);
    await closing;
    clock.advance(60_000);
    expect(warnings).toEqual([]);
    expect(await app.drain()).toMatchObject({ left: 0 });
  });

  it("tells many clients in slices, so that the event loop is free in between", async () => {
    const running = await startApp();
    const { app } = running;
    const clients = await Promise.all(Array.from({ length: 200 }, () => openV1(running)));
    const delivered: number[] = [];
    let isWatching = true;
    const watch = () => {
      delivered.push(app.status().totals.delivered);
      if (isWatching) setImmediate(watch);
    };
    watch();
    void app.drain();
    for (const client of clients) await client.readJSON();
    isWatching = false;
    const steps = delivered.map((count, n) => count - (delivered[n - 1] ?? count));
    expect(Math.max(...steps)).toBeLessThanOrEqual(50);
    expect(delivered.at(-1)).toBe(400);
    await Promise.all(clients.map((client) => client.close()));
  });

  it.each([
    [{ withinMs: 0 }, "withinMs of drain() takes a number above 0 and up to 2147483647, got 0"],
    [{ withinMs: Number.NaN }, "withinMs of drain() takes a number above 0 and up to 2147483647, got NaN"],
    [{ withinMs: "1000" }, "withinMs of drain() takes a number above 0 and up to 2147483647, got 1000"],
    [{ settleMs: -1 }, "settleMs of drain() takes a number of at least 0 and below withinMs, 30000, got -1"],
    [
      { withinMs: 1_000, settleMs: 1_000 },
      "settleMs of drain() takes a number of at least 0 and below withinMs, 1000, got 1000",
    ],
  ])("refuses %o with ERR_OPTION, and does not begin", async (options, message) => {
    const { app } = await startApp();
    // Invalid on purpose.
    await expect(app.drain(options as object)).rejects.toMatchObject({ code: "ERR_OPTION", message });
    expect(app.status().ready).toBe(true);
  });
});
