import { request } from "node:http";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { App, EventError, EventHandler, MessageError, WebSocketHandler } from "../../src/index.js";
import { Mailbox, start } from "../support/app.js";
import { content, listen, post } from "./support.js";

const kept = { http: true, history: { size: 100 } } as const;
const key = "c2f1e0b4-0000-4000-8000-000000000001";

class Chat extends WebSocketHandler {
  onJSON(message: unknown) {
    this.sendJSONToThisRoom(message);
    this.sendJSON({ got: message });
  }
}

class Sums extends EventHandler {
  static events = { add: "onAdd", fail: "onFail", refuse: "onRefuse", quiet: "onQuiet", tell: "onTell" };

  onAdd({ a, b }: { readonly a: number; readonly b: number }) {
    return a + b;
  }
  onFail() {
    throw new Error("secret detail");
  }
  onRefuse() {
    throw new EventError("not_now", "later");
  }
  onQuiet() {
    return undefined;
  }
  onTell() {
    this.emit("told", 1);
    this.sendText("two");
    this.sendBinary(Uint8Array.of(3));
  }
}

async function startApp() {
  const app = new App().route("/chat/:channel", Chat, kept).route("/sums", Sums, { http: true });
  const running = await start(app);
  const origin = `http://127.0.0.1:${running.port}`;
  return { ...running, origin, chat: `${origin}/chat/a`, sums: `${origin}/sums` };
}

test("a POST is read by the handler, and answered with what it sends to its client", async () => {
  const { chat, open } = await startApp();
  const client = await open("/chat/a");
  const stream = await listen(chat);
  const response = await post(chat, { n: 1 });
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(await response.json()).toEqual({ got: { n: 1 } });
  expect(await client.readJSON()).toEqual({ n: 1 });
  expect(await stream.messages(1)).toEqual([{ n: 1 }]);
  expect((await content(chat)).publications).toMatchObject([{ data: { n: 1 } }]);
});

test.each([
  ["a reply", { event: "add", data: { a: 1, b: 2 } }, 200, 3],
  ["nothing", { event: "quiet" }, 204, undefined],
  ["messages", { event: "tell" }, 200, [{ data: { event: "told", data: 1 } }, { text: "two" }, { base64: "Aw==" }]],
  ["a failure", { event: "fail" }, 500, { error: { code: "internal", message: "internal error" } }],
  ["a refusal", { event: "refuse" }, 400, { error: { code: "not_now", message: "later" } }],
  ["no such event", { event: "nope" }, 404, { error: { code: "unknown_event", message: "there is no such event" } }],
])("an event is answered with %s", async (_name, event, status, body) => {
  const { sums } = await startApp();
  const response = await post(sums, event);
  expect(response.status).toBe(status);
  const text = await response.text();
  expect(text === "" ? undefined : JSON.parse(text)).toEqual(body);
});

test("one text or one binary message is the body itself", async () => {
  class Echo extends WebSocketHandler {
    onMessage(text: string) {
      this.sendText(text.toUpperCase());
    }
    onBinary(bytes: Uint8Array) {
      this.sendBinary(bytes.toReversed());
    }
  }
  const { port } = await start(new App().route("/echo", Echo, { http: { publish: true } }));
  const url = `http://127.0.0.1:${port}/echo`;
  const text = await fetch(url, { method: "POST", body: "grüße" });
  expect([text.headers.get("content-type"), await text.text()]).toEqual(["text/plain; charset=utf-8", "GRÜSSE"]);
  const headers = { "content-type": "application/octet-stream" };
  const bytes = await fetch(url, { method: "POST", headers, body: Uint8Array.of(1, 2, 3) });
  expect([...new Uint8Array(await bytes.arrayBuffer())]).toEqual([3, 2, 1]);
});

test("a handler with serve reads one message, and then the end", async () => {
  class Serving extends WebSocketHandler {
    async serve() {
      const messages: string[] = [];
      for await (const { text } of this.connection) messages.push(text);
      this.sendJSON({ messages });
    }
  }
  const { port } = await start(new App().route("/s", Serving, { http: true }));
  const response = await fetch(`http://127.0.0.1:${port}/s`, { method: "POST", body: "one" });
  expect(await response.json()).toEqual({ messages: ["one"] });
});

test("a POST enters no room and calls no hook", async () => {
  const called: string[] = [];
  class Hooks extends WebSocketHandler {
    onConnect() {
      called.push("connect");
    }
    onJSON() {
      this.join("/elsewhere");
      this.sendJSON({ size: this.room.size, rooms: this.rooms });
    }
    onClose() {
      called.push("close");
    }
  }
  const { port, app } = await start(new App().route("/h", Hooks, { http: true, presence: "full" }));
  const response = await post(`http://127.0.0.1:${port}/h`, 1);
  expect(await response.json()).toEqual({ size: 0, rooms: [] });
  await app.close();
  expect(called).toEqual([]);
  expect(app.status().totals.opened).toBe(0);
});

test("a repeated Idempotency-Key runs the message once, and gets the same answer", async () => {
  const { chat } = await startApp();
  const headers = { "idempotency-key": key };
  const answers = [await post(chat, { n: 1 }, headers), await post(chat, { n: 1 }, { "idempotency-key": `"${key}"` })];
  for (const answer of answers) expect(await answer.json()).toEqual({ got: { n: 1 } });
  expect((await content(chat)).publications).toHaveLength(1);
});

test("a repeated key waits for the first request, and both get the answer", async () => {
  const begun = new Mailbox<() => void>();
  class Slow extends EventHandler {
    static events = { ask: "onAsk" };
    async onAsk() {
      await new Promise<void>((resolve) => begun.put(resolve));
      return "answer";
    }
  }
  const { port } = await start(new App().route("/slow", Slow, { http: true }));
  const ask = () => post(`http://127.0.0.1:${port}/slow`, { event: "ask" }, { "idempotency-key": key });
  const first = ask();
  const [finish] = await begun.have(1);
  const second = ask();
  // A request of another connection shows that the server has read the second one.
  await content(`http://127.0.0.1:${port}/slow`).catch(() => undefined);
  finish?.();
  expect(await (await first).json()).toBe("answer");
  expect(await (await second).json()).toBe("answer");
  expect(begun.all).toHaveLength(1);
});

test("each of several requests with one key gets the answer", async () => {
  const begun = new Mailbox<() => void>();
  class Slow extends WebSocketHandler {
    async onJSON() {
      await new Promise<void>((resolve) => begun.put(resolve));
      this.sendJSON("answer");
    }
  }
  const { port } = await start(new App().route("/slow", Slow, { http: true }));
  const ask = () => post(`http://127.0.0.1:${port}/slow`, 1, { "idempotency-key": key });
  const first = ask();
  const [finish] = await begun.have(1);
  const others = [ask(), ask(), ask()];
  // A request after them shows that the server has read them.
  await post(`http://127.0.0.1:${port}/slow`, 2, { "idempotency-key": `${key}-other` }, (url, init) => {
    const answer = fetch(url, init);
    void begun.have(2).then(([, second]) => second?.());
    return answer;
  });
  finish?.();
  for (const answer of await Promise.all([first, ...others])) expect(await answer.json()).toBe("answer");
  expect(begun.all).toHaveLength(2);
});

test("a repeated key gets the same answer also if the handler closed, failed, or read with serve", async () => {
  class Closing extends WebSocketHandler {
    onMessage(text: string) {
      if (text === "throw") throw new Error("secret detail");
      this.sendText("not this");
      this.close(4001, "no");
    }
  }
  class Serving extends WebSocketHandler {
    async serve() {
      const text = await this.connection.readText();
      this.sendText(`got ${text}`);
    }
  }
  const app = new App().route("/closing", Closing, { http: true }).route("/serving", Serving, { http: true });
  const { port } = await start(app);
  const ask = async (path: string, body: string) => {
    const headers = { "idempotency-key": `${key}-${body}` };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body, headers });
    return [response.status, await response.text()];
  };
  const cases = [
    ["/closing", "close", 400, '{"error":{"code":"closed","message":"no","closeCode":4001}}'],
    ["/closing", "throw", 500, '{"error":{"code":"closed","message":"internal error","closeCode":1011}}'],
    ["/serving", "hello", 200, "got hello"],
  ] as const;
  for (const [path, body, ...answer] of cases) {
    expect(await ask(path, body)).toEqual(answer);
    expect(await ask(path, body)).toEqual(answer);
  }
});

test("a repeated key gets the failure of a handler whose client had left", async () => {
  const begun = new Mailbox<AbortSignal>();
  class Failing extends WebSocketHandler {
    async onJSON() {
      begun.put(this.signal);
      await new Promise((resolve) => this.signal.addEventListener("abort", resolve));
      throw new Error("secret detail");
    }
  }
  const { port, app } = await start(new App().route("/f", Failing, { http: true }));
  const failed = new Mailbox<Error>();
  app.on("error", (error) => failed.put(error));
  const abort = new AbortController();
  const headers = { "idempotency-key": key };
  const url = `http://127.0.0.1:${port}/f`;
  const first = fetch(url, { method: "POST", body: "1", headers, signal: abort.signal }).catch(() => "gone");
  await begun.have(1);
  abort.abort();
  await failed.have(1);
  expect(await first).toBe("gone");
  expect((await post(url, 1, headers)).status).toBe(500);
  expect(begun.all).toHaveLength(1);
});

test.each([10n, () => 1, Symbol("x")])("a reply that JSON cannot encode is answered with 500: %s", async (reply) => {
  class Bad extends EventHandler {
    static events = { ask: "onAsk" };
    onAsk() {
      return reply;
    }
  }
  const { port, errors } = await start(new App().route("/bad", Bad, { http: true }));
  const response = await post(`http://127.0.0.1:${port}/bad`, { event: "ask" });
  expect([response.status, await response.json()]).toEqual([
    500,
    { error: { code: "internal", message: "internal error" } },
  ]);
  expect(errors).toHaveLength(1);
});

test("an answer above outboxBytesMax is answered with 500, and reported", async () => {
  class Big extends WebSocketHandler {
    onMessage() {
      for (let n = 0; n < 10; n += 1) this.sendText("x".repeat(1_000));
    }
  }
  const limits = { outboxBytesMax: 5_000 };
  const { port, errors } = await start(new App().route("/big", Big, { http: true, limits }));
  const response = await fetch(`http://127.0.0.1:${port}/big`, { method: "POST", body: "x" });
  expect([response.status, response.headers.get("retry-after")]).toEqual([500, null]);
  expect(errors.map(({ message }) => message)).toEqual([
    "an answer has more bytes than outboxBytesMax; " +
      "raise outboxBytesMax of the route, or send less to the client of a POST",
  ]);
});

test("access that is revoked while the body is on its way ends the request", async () => {
  const got: unknown[] = [];
  class Members extends WebSocketHandler {
    authorize() {
      return { id: "ann" };
    }
    onMessage(text: string) {
      got.push(text);
    }
  }
  const { port, app } = await start(new App().route("/m", Members, { http: true }));
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const head = "POST /m HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
  socket.setEncoding("utf8").write(head);
  const answers = socket[Symbol.asyncIterator]();
  expect((await answers.next()).value).toMatch(/^HTTP\/1\.1 100/);
  await app.revoke({ user: "ann" });
  expect((await answers.next()).value).toMatch(/^HTTP\/1\.1 403 .*"message":"revoked"/s);
  expect(got).toEqual([]);
});

test("another user, or another room, does not get the answer to a key", async () => {
  class Users extends EventHandler<{ room: string }, { id: string }> {
    static events = { who: "onWho" };
    authorize({ token = "" }) {
      return { id: token };
    }
    onWho() {
      return `${this.user.id} in ${this.params.room}`;
    }
  }
  const { port } = await start(new App().route("/u/:room", Users, { http: true }));
  const ask = async (room: string, user: string) => {
    const headers = { "idempotency-key": key, authorization: `Bearer ${user}` };
    return (await post(`http://127.0.0.1:${port}/u/${room}`, { event: "who" }, headers)).json();
  };
  expect([await ask("a", "ann"), await ask("a", "bob"), await ask("b", "ann"), await ask("a", "ann")]).toEqual([
    "ann in a",
    "bob in a",
    "ann in b",
    "ann in a",
  ]);
});

test("a client that leaves before the answer ends its handler", async () => {
  const steps = new Mailbox<string>();
  class Waiting extends WebSocketHandler {
    async onJSON() {
      steps.put("begun");
      await new Promise((resolve) => this.signal.addEventListener("abort", resolve));
      steps.put("aborted");
    }
  }
  const { port } = await start(new App().route("/w", Waiting, { http: true }));
  const abort = new AbortController();
  const options = { method: "POST", body: "1", signal: abort.signal };
  const answer = fetch(`http://127.0.0.1:${port}/w`, options).catch(() => "gone");
  await steps.have(1);
  abort.abort();
  expect(await steps.have(2)).toEqual(["begun", "aborted"]);
  expect(await answer).toBe("gone");
});

test("bad input gets a status and a fixed phrase, and never a stack", async () => {
  class Strict extends WebSocketHandler {
    onJSON(message: { readonly fail?: true }) {
      if (message.fail) throw new Error("secret detail");
    }
  }
  const limits = { messageBytesMax: 100 };
  const { port, errors } = await start(new App({ badMessage: "close" }).route("/s", Strict, { http: true, limits }));
  const url = `http://127.0.0.1:${port}/s`;
  const send = async (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
    method = "POST",
  ) => {
    const response = await fetch(url, { method, body, headers });
    return [response.status, await response.text()];
  };
  const closed = (closeCode: number, message: string) =>
    JSON.stringify({ error: { code: "closed", message, closeCode } });
  const types =
    "The body has to be application/json, text/plain or application/octet-stream, in UTF-8 and not compressed";
  expect(await send("{")).toEqual([400, closed(1007, "the message is not JSON")]);
  expect(await send(Uint8Array.of(0xff), { "content-type": "text/plain" })).toEqual([
    400,
    closed(1007, "text is not UTF-8"),
  ]);
  expect(await send("x", { "content-type": "application/octet-stream" })).toEqual([
    415,
    closed(1003, "binary messages are not read here"),
  ]);
  expect(await send("{}", { "content-type": "image/png" })).toEqual([415, types]);
  expect(await send("{}", { "content-type": "text/plain; charset=latin1" })).toEqual([415, types]);
  expect(await send("{}", { "content-encoding": "gzip" })).toEqual([415, types]);
  expect(await send("x".repeat(101))).toEqual([413, "The body has more than 100 bytes"]);
  expect(await send('{"fail":true}')).toEqual([500, closed(1011, "internal error")]);
  expect(await send("{}", { "idempotency-key": "short" })).toEqual([
    400,
    "Idempotency-Key takes 16 to 64 letters, digits, hyphens or underscores",
  ]);
  expect(await send("{}", {}, "PUT")).toEqual([405, "Method Not Allowed"]);
  expect(errors.map(({ message }) => message)).toEqual(["secret detail"]);
});

test("a body of unknown length is cut at the limit", async () => {
  const { port } = await start(new App().route("/c", Chat, { http: true, limits: { messageBytesMax: 100 } }));
  const status = await new Promise((resolve, reject) => {
    const sending = request({ port, host: "127.0.0.1", path: "/c", method: "POST" }, (response) => {
      response.resume();
      resolve([response.statusCode, response.headers.connection]);
    });
    sending.on("error", reject);
    onTestFinished(() => void sending.destroy());
    // Chunked, and never ended.
    sending.write("x".repeat(200));
  });
  expect(status).toEqual([413, "close"]);
});

test("a body that does not end is answered with 408 after messageMs", async () => {
  const { port, app } = await start(new App().route("/c", Chat, { http: true, limits: { messageMs: 200 } }));
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.write("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12");
  let answer = "";
  for await (const chunk of socket.setEncoding("utf8")) answer += chunk;
  expect(answer).toMatch(/^HTTP\/1\.1 408 .*"message":"message took too long"/s);
  expect(app.status().handshakes).toBe(0);
});

test("an error that the handler may pass on is that of the message", async () => {
  const got = new Mailbox<unknown>();
  class Lenient extends WebSocketHandler {
    onJSON(_message: unknown, error?: Error) {
      got.put(error instanceof MessageError && error.code);
      this.sendText("not JSON");
    }
  }
  const { port } = await start(new App().route("/l", Lenient, { http: true }));
  const response = await fetch(`http://127.0.0.1:${port}/l`, { method: "POST", body: "{" });
  expect([response.status, await response.text()]).toEqual([200, "not JSON"]);
  expect(got.all).toEqual(["ERR_BAD_JSON"]);
});
