import { describe, expect, it } from "vitest";
import {
  App,
  type AppOptions,
  type Connection,
  ConnectionError,
  EnfiladeError,
  EventHandler,
  On,
  RequestError,
  WebSocketHandler,
} from "../../src/index.js";
import { type ConnectOptions, connect, ManualClock, type TestClient } from "../../src/testing/index.js";
import { closes, Mailbox } from "../support/app.js";

const v1: ConnectOptions = { protocols: ["enfilade.v1"] };
const silent = { warn: () => undefined, error: () => undefined };

class Quiet extends WebSocketHandler {
  onJSON(message: unknown) {
    this.sendJSON(message);
  }
}

function appWith(options: AppOptions = {}): App {
  return new App({ logger: silent, ...options }).route("/chat/:room", Quiet);
}

interface Pair {
  readonly client: TestClient;
  readonly connection: Connection;
}

/** A client that has read its welcome, and its connection on the server. */
async function connectPair(app: App, options = v1): Promise<Pair> {
  const client = await connect(app, "/chat/a", options);
  if (options === v1) expect(await client.readJSON()).toMatchObject({ type: "welcome" });
  const connection = app.registry.connections.at(-1);
  if (connection === undefined) throw new Error("the connection is not registered");
  return { client, connection };
}

/** The error with which a promise rejects. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`resolved with ${JSON.stringify(value)}`);
    },
    (error) => error,
  );
}

/** Resolves when the server has handled every frame that the client has sent. */
async function waitUntilHandled(client: TestClient): Promise<void> {
  client.sendJSON({ type: "ping" });
  expect(await client.readJSON()).toEqual({ type: "pong" });
}

describe("connection.sendRequest()", () => {
  it("sends a request frame with its own id, and resolves with the data of its reply, in any order", async () => {
    await using app = appWith();
    const { client, connection } = await connectPair(app);
    const replies = [connection.sendRequest("capabilities", { a: 1 }), connection.sendRequest("name")];
    expect(await client.readText()).toBe('{"type":"request","id":1,"event":"capabilities","data":{"a":1}}');
    expect(await client.readText()).toBe('{"type":"request","id":2,"event":"name"}');
    client.sendJSON({ type: "reply", id: 2, data: "Ann" });
    client.sendJSON({ type: "reply", id: 1, data: { audio: [true, null] } });
    expect(await Promise.all(replies)).toEqual([{ audio: [true, null] }, "Ann"]);
  });

  it("works while the handler is busy, such as in onConnect or in an event", async () => {
    class Asking extends EventHandler {
      override async onConnect() {
        this.emit("greeting", await this.connection.sendRequest("name"));
      }
      @On() async onAsk(event: string) {
        return [await this.connection.sendRequest(event), await this.connection.sendRequest(event)];
      }
    }
    await using app = new App({ handlers: [] }).route("/chat/:room", Asking);
    const client = await connect(app, "/chat/a", v1);
    await client.readJSON();
    client.sendJSON({ type: "event", event: "ask", data: "size", id: 1 });
    expect(await client.readJSON()).toEqual({ type: "request", id: 1, event: "name" });
    client.sendJSON({ type: "reply", id: 1, data: "Ann" });
    expect(await client.readJSON()).toEqual({ type: "message", data: { event: "greeting", data: "Ann" } });
    expect(await client.readJSON()).toEqual({ type: "request", id: 2, event: "size" });
    client.sendJSON({ type: "reply", id: 2, data: 7 });
    expect(await client.readJSON()).toEqual({ type: "request", id: 3, event: "size" });
    client.sendJSON({ type: "reply", id: 3, data: 8 });
    // The ids of the client and those of the server are independent.
    expect(await client.readJSON()).toEqual({ type: "reply", id: 1, data: [7, 8] });
  });

  it("rejects with the code and the message from the client", async () => {
    await using app = appWith();
    const { client, connection } = await connectPair(app);
    const reply = errorOf(connection.sendRequest("name"));
    await client.readJSON();
    client.sendJSON({ type: "reply", id: 1, error: { code: "no_name", message: "there is none", more: 1 } });
    const error = await reply;
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toBeInstanceOf(EnfiladeError);
    expect(error).toMatchObject({
      name: "RequestError",
      code: "ERR_REQUEST",
      eventCode: "no_name",
      message: "there is none",
    });
  });

  it("bounds the client's error, and makes it a single line", async () => {
    await using app = appWith();
    const { client, connection } = await connectPair(app);
    const reply = errorOf(connection.sendRequest("name"));
    await client.readJSON();
    const error = {
      code: "\u001b[31mx".padEnd(1_000, "y"),
      message: `a\nb\u202e\u2028${"\ud83d\ude00".repeat(5_000)}`,
    };
    client.sendJSON({ type: "reply", id: 1, error });
    const { eventCode, message } = (await reply) as RequestError;
    expect(eventCode).toBe(`\ufffd[31mx${"y".repeat(58)}`);
    expect(message).toMatch(/^a\ufffdb\ufffd\ufffd(?:\ud83d\ude00)+\ufffd?$/);
    expect(message.length).toBeLessThanOrEqual(1_024);
  });

  it("rejects after 10 seconds, or timeoutMs, and ignores a later reply", async () => {
    const clock = new ManualClock();
    const app = appWith({ clock, limits: { heartbeatMs: false } });
    const { client, connection } = await connectPair(app);
    const errors = [
      errorOf(connection.sendRequest("slow")),
      errorOf(connection.sendRequest("slow", 1, { timeoutMs: 20 })),
      errorOf(connection.sendRequest("slow", 1, { timeoutMs: 20_000 })),
    ];
    const forever = connection.sendRequest("slow", undefined, { timeoutMs: Number.POSITIVE_INFINITY });
    clock.advance(20);
    expect(await errors[1]).toMatchObject({ code: "ERR_REQUEST_TIMEOUT", message: expect.stringContaining("20 ms") });
    clock.advance(9_979);
    for (let id = 1; id <= 4; id += 1) expect(await client.readJSON()).toMatchObject({ type: "request", id });
    client.sendJSON({ type: "reply", id: 2, data: "late" });
    await waitUntilHandled(client);
    clock.advance(1);
    const error = await errors[0];
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ code: "ERR_REQUEST_TIMEOUT", eventCode: undefined });
    client.sendJSON({ type: "reply", id: 3, data: null });
    await expect(errors[2]).rejects.toThrow("resolved with null");
    clock.advance(1_000_000_000);
    client.sendJSON({ type: "reply", id: 4, data: "at last" });
    expect(await forever).toBe("at last");
    const closing = app.close();
    clock.advance(60_000);
    await closing;
  });

  it("rejects with the reason of its signal when it is aborted", async () => {
    await using app = appWith();
    const { client, connection } = await connectPair(app);
    const abort = new AbortController();
    const reply = errorOf(connection.sendRequest("name", 1, { signal: abort.signal }));
    const reason = new Error("not needed any more");
    abort.abort(reason);
    expect(await reply).toBe(reason);
    expect(await errorOf(connection.sendRequest("name", 2, { signal: abort.signal }))).toBe(reason);
    expect(await client.readJSON()).toMatchObject({ id: 1, data: 1 });
    client.sendJSON({ type: "reply", id: 1, data: "late" });
    // The second request was never sent.
    await waitUntilHandled(client);
  });

  it.each(["client", "server", "network"] as const)(
    "rejects with a ConnectionError when the connection ends by the %s, and after that",
    async (by) => {
      await using app = appWith();
      const { client, connection } = await connectPair(app);
      const replies = [errorOf(connection.sendRequest("name")), errorOf(connection.sendRequest("name"))];
      if (by === "client") void client.close(4_001, "bye");
      else if (by === "server") connection.close(4_001, "bye");
      else client.terminate();
      const closeCode = by === "network" ? 1_006 : 4_001;
      for (const reply of [...replies, errorOf(connection.sendRequest("name"))]) {
        const error = await reply;
        expect(error).toBeInstanceOf(ConnectionError);
        expect(error).toMatchObject({ code: "ERR_CONNECTION", closeCode, by });
      }
    },
  );

  it("rejects at once for a plain client, and names the required subprotocol", async () => {
    await using app = appWith();
    const { client, connection } = await connectPair(app, {});
    const error = await errorOf(connection.sendRequest("name"));
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ code: "ERR_NO_REQUESTS", message: expect.stringContaining("enfilade.v1") });
    client.sendJSON("still there");
    expect(await client.readJSON()).toBe("still there");
  });

  it("rejects past requestsMax, and accepts one more for each settled request", async () => {
    await using app = appWith({ limits: { requestsMax: 2 } });
    const { client, connection } = await connectPair(app);
    const abort = new AbortController();
    const first = connection.sendRequest("name", 1);
    const second = errorOf(connection.sendRequest("name", 2, { signal: abort.signal }));
    const refused = await errorOf(connection.sendRequest("name", 3));
    expect(refused).toMatchObject({ code: "ERR_REQUESTS_MAX", message: expect.stringContaining("requestsMax") });
    abort.abort();
    await second;
    const third = connection.sendRequest("name", 4);
    for (const data of [1, 2, 4]) expect(await client.readJSON()).toMatchObject({ type: "request", data });
    client.sendJSON({ type: "reply", id: 1, data: "a" });
    client.sendJSON({ type: "reply", id: 3, data: "b" });
    expect(await Promise.all([first, third])).toEqual(["a", "b"]);
  });

  it("refuses an invalid event, data, time or option, and sends nothing", async () => {
    await using app = appWith();
    const { client, connection } = await connectPair(app);
    const wrong: readonly (readonly [unknown[], string])[] = [
      [[undefined], "ERR_VALUE"],
      [[{ toString: () => "x" }], "ERR_VALUE"],
      [["name", 10n], "ERR_VALUE"],
      [["name", 1, { timeoutMs: 0 }], "ERR_OPTION"],
      [["name", 1, { timeoutMs: Number.NaN }], "ERR_OPTION"],
      [["name", 1, { timeoutMs: "10" }], "ERR_OPTION"],
      [["name", 1, { timeOut: 10 }], "ERR_OPTION"],
      [["name", 1, null], "ERR_OPTION"],
    ];
    for (const [args, code] of wrong) {
      const request = Reflect.apply(connection.sendRequest, connection, args);
      expect(await errorOf(request)).toMatchObject({ code });
    }
    await waitUntilHandled(client);
    const reply = connection.sendRequest("name");
    expect(await client.readJSON()).toEqual({ type: "request", id: 1, event: "name" });
    client.sendJSON({ type: "reply", id: 1, data: "Ann" });
    expect(await reply).toBe("Ann");
  });

  it("causes no app error if its client leaves while a handler waits for the reply", async () => {
    class Asking extends WebSocketHandler {
      override async onConnect() {
        await this.connection.sendRequest("name");
      }
      onMessage() {
        // This code is never reached.
      }
      override onClose() {
        left.put(this.id);
      }
      override onError(error: Error) {
        errors.put(error);
      }
    }
    const left = new Mailbox<string>();
    const errors = new Mailbox<Error>();
    await using app = new App({ logger: silent }).route("/chat/:room", Asking);
    app.on("error", (error) => errors.put(error));
    const gone = closes(app, 1);
    const client = await connect(app, "/chat/a", v1);
    await client.readJSON();
    await client.readJSON();
    client.terminate();
    await gone;
    expect(left.all).toHaveLength(1);
    expect(errors.all).toEqual([]);
  });
});

describe("a client that answers requests wrongly", () => {
  it("has no effect with replies to no request, for any number of them", async () => {
    await using app = appWith();
    const { client, connection } = await connectPair(app);
    const reply = connection.sendRequest("name");
    await client.readJSON();
    for (let id = 2; id <= 2_000; id += 1) client.sendJSON({ type: "reply", id, data: "unasked" });
    for (const id of ["1", "__proto__", "constructor", 0, 2 ** 53 - 1]) client.sendJSON({ type: "reply", id, data: 0 });
    client.sendJSON({ type: "reply", id: 1, data: "first" });
    client.sendJSON({ type: "reply", id: 1, data: "second" });
    client.sendJSON({ type: "reply", id: 1, error: { code: "third", message: "" } });
    expect(await reply).toBe("first");
    await waitUntilHandled(client);
    const next = connection.sendRequest("name");
    expect(await client.readJSON()).toMatchObject({ id: 2 });
    client.sendJSON({ type: "reply", id: 2, data: "second" });
    expect(await next).toBe("second");
  });

  it("answers only requests of its own connection", async () => {
    await using app = appWith();
    const [ann, bob] = [await connectPair(app), await connectPair(app)];
    const reply = ann.connection.sendRequest("name");
    await ann.client.readJSON();
    bob.client.sendJSON({ type: "reply", id: 1, data: "Bob" });
    await waitUntilHandled(bob.client);
    ann.client.sendJSON({ type: "reply", id: 1, data: "Ann" });
    expect(await reply).toBe("Ann");
  });

  it.each([
    '{"type":"reply"}',
    '{"type":"reply","id":1}',
    '{"type":"reply","data":1}',
    '{"type":"reply","id":null,"data":1}',
    '{"type":"reply","id":-1,"data":1}',
    '{"type":"reply","id":1.5,"data":1}',
    '{"type":"reply","id":{},"data":1}',
    '{"type":"reply","id":1,"data":1,"error":{"code":"a","message":"b"}}',
    '{"type":"reply","id":1,"error":null}',
    '{"type":"reply","id":1,"error":"no"}',
    '{"type":"reply","id":1,"error":[]}',
    '{"type":"reply","id":1,"error":{"code":"a"}}',
    '{"type":"reply","id":1,"error":{"code":1,"message":"b"}}',
    '{"type":"reply","id":1,"error":{"code":"a","message":{}}}',
  ])("is closed with 4500 for %s, because an id of the server cannot carry an error", async (text) => {
    await using app = appWith();
    const { client, connection } = await connectPair(app);
    const reply = errorOf(connection.sendRequest("name"));
    await client.readJSON();
    client.sendText(text);
    expect(await client.closed).toMatchObject({ code: 4_500, reason: "bad frame" });
    expect(await reply).toMatchObject({ code: "ERR_CONNECTION", closeCode: 4_500 });
  });
});
