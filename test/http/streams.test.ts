import { expect, test } from "vitest";
import { App, EventError, EventHandler } from "../../src/index.js";
import { Mailbox, start } from "../support/app.js";
import { Generators, startStreams, streaming } from "../support/streams.js";
import { EventReader } from "./support.js";

const key = "c2f1e0b4-0000-4000-8000-000000000001";

/** Posts an event, and asks for a stream. */
async function ask(url: string, event: object, headers: Readonly<Record<string, string>> = {}) {
  const abort = new AbortController();
  const response = await fetch(url, {
    method: "POST",
    headers: { accept: "text/event-stream", ...headers },
    body: JSON.stringify(event),
    signal: abort.signal,
  });
  return { response, abort, read: () => new EventReader(response, abort) };
}

async function startHTTP() {
  const running = await startStreams();
  const origin = `http://127.0.0.1:${running.port}`;
  return { ...running, origin, room: `${origin}/room/a` };
}

test("a POST that accepts an event stream gets each value with its number, and then the reply", async () => {
  const { room } = await startHTTP();
  const { response, read } = await ask(room, { event: "count", data: 3 });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(response.headers.get("cache-control")).toContain("no-transform");
  const stream = read();
  await stream.ended;
  expect(stream.events.all).toEqual([
    { type: "message", id: "0", data: "0" },
    { type: "message", id: "1", data: "1" },
    { type: "message", id: "2", data: "2" },
    { type: "reply", id: undefined, data: '"3 numbers"' },
  ]);
});

test("a value arrives while the generator waits for the next one", async () => {
  const steps = new Mailbox<string>();
  class Steps extends EventHandler {
    static events = { steps: "onSteps" };
    async *onSteps() {
      for (let n = 1; ; n += 1) {
        yield n;
        await steps.have(n);
      }
    }
  }
  const { port } = await start(new App().route("/steps", Steps, { http: true }));
  const { read, abort } = await ask(`http://127.0.0.1:${port}/steps`, { event: "steps" });
  const stream = read();
  for (let n = 1; n < 4; n += 1) {
    expect((await stream.messages(n)).at(-1)).toBe(n);
    steps.put("next");
  }
  abort.abort();
});

test("a client that goes away aborts the generator at once", async () => {
  const { room, generators } = await startHTTP();
  const { read } = await ask(room, { event: "count", data: 1e9 });
  const stream = read();
  await stream.messages(100);
  stream.leave();
  expect(await generators.ended.have(2)).toEqual(["aborted", "returned"]);
});

test("a client that does not read stops the generator", async () => {
  const { room, generators, app } = await startHTTP();
  const { response, abort } = await ask(room, { event: "count", data: 1e9 });
  let seen = -1;
  while (generators.asked.all.length !== seen) {
    seen = generators.asked.all.length;
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(seen).toBeLessThan(2_000_000);
  expect(app.status().memory.outboxBytes).toBeLessThan(1_000_000);
  expect(response.ok).toBe(true);
  abort.abort();
  await generators.ended.have(2);
});

test("an error before the first value has a status, and one after it is an event", async () => {
  class Failing extends EventHandler {
    static events = { refuse: "onRefuse", late: "onLate", broken: "onBroken", big: "onBig" };
    onRefuse(): AsyncGenerator<number> {
      throw new EventError("not_now", "later");
    }
    async *onLate() {
      yield 1;
      throw new EventError("no_more", "there is no more");
    }
    async *onBroken() {
      yield 1;
      throw new Error("secret details");
    }
    async *onBig() {
      yield 1n;
    }
  }
  const { port, errors } = await start(new App().route("/failing", Failing, { http: true }));
  const url = `http://127.0.0.1:${port}/failing`;
  const refused = await ask(url, { event: "refuse" });
  expect([refused.response.status, await refused.response.json()]).toEqual([
    400,
    { error: { code: "not_now", message: "later" } },
  ]);
  expect((await ask(url, { event: "none" })).response.status).toBe(404);
  const endOf = async (event: string) => {
    const stream = (await ask(url, { event })).read();
    await stream.ended;
    return stream.events.all.map(({ type, data = "null" }) => [type, JSON.parse(data)]);
  };
  expect(await endOf("late")).toEqual([
    ["message", 1],
    ["error", { code: "no_more", message: "there is no more" }],
  ]);
  expect(await endOf("broken")).toEqual([
    ["message", 1],
    ["error", { code: "internal", message: "internal error" }],
  ]);
  expect(await endOf("big")).toEqual([["error", { code: "internal", message: "internal error" }]]);
  expect(errors.map(({ message }) => message)).toEqual(["secret details", expect.stringContaining("JSON cannot")]);
});

test("an event that is answered with one value has its ordinary response", async () => {
  const { room } = await startHTTP();
  const { response } = await ask(room, { event: "echo", data: { a: 1 } });
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(await response.json()).toEqual({ a: 1 });
});

test.each(["*/*", "application/json", "application/json, text/event-stream"])(
  "a POST with Accept: %s gets 406 for a stream, whose generator does not begin",
  async (accept) => {
    const { room, generators } = await startHTTP();
    const { response } = await ask(room, { event: "count", data: 3 }, { accept });
    expect([response.status, await response.json()]).toEqual([
      406,
      { error: { code: "is_stream", message: "this event is answered with a stream" } },
    ]);
    expect(generators.asked.all).toEqual([]);
  },
);

test("a request with the same Idempotency-Key gets 409, during the stream and after it", async () => {
  const { room, generators } = await startHTTP();
  const headers = { "idempotency-key": key };
  const first = await ask(room, { event: "count", data: 1e9 }, headers);
  const stream = first.read();
  await stream.messages(1);
  const during = await ask(room, { event: "count", data: 1e9 }, headers);
  expect([during.response.status, await during.response.json()]).toMatchObject([409, { error: { code: "duplicate" } }]);
  stream.leave();
  await generators.ended.have(2);
  expect((await ask(room, { event: "count", data: 1e9 }, headers)).response.status).toBe(409);
  expect(generators.ended.all).toHaveLength(2);
});

test("a stream ends with an error when its user is revoked, and when the app closes", async () => {
  const generators = new Generators();
  const app = new App({ authorize: () => ({ id: "ann" }), limits: { closeMs: 100 } });
  app.route("/room/:name", streaming(generators), { http: true });
  const { port } = await start(app);
  const room = `http://127.0.0.1:${port}/room/a`;
  const revoked = (await ask(room, { event: "count", data: 1e9 })).read();
  await revoked.messages(1);
  await app.revoke({ user: "ann" });
  expect(await revoked.data("error", 1)).toMatchObject([{ code: "closed", closeCode: 4501 }]);
  const closed = (await ask(room, { event: "count", data: 1e9 })).read();
  await closed.messages(1);
  const closing = app.close({ timeoutMs: 100 });
  expect(await closed.data("error", 1)).toMatchObject([{ code: "closed", closeCode: 1001 }]);
  await closing;
  await generators.ended.have(4);
});
