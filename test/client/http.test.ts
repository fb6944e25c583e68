import { describe, expect, onTestFinished, test, vi } from "vitest";
import { WebSocket } from "ws";
import { httpFallback } from "../../src/client/http/index.js";
import { type ClientRoom, type ConnectOptions, connect, type WebSocketConstructor } from "../../src/client/index.js";
import { App, anonymous, EventHandler, HttpError } from "../../src/index.js";
import { nginx } from "../docs/reverseProxies.js";
import { Mailbox, type RunningApp, start } from "../support/app.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";

class Chat extends EventHandler<{ channel: string }> {
  static events = { say: "onSay", add: "onAdd", slow: "onSlow" };

  authorize({ query, token }: { readonly query: URLSearchParams; readonly token: string | undefined }) {
    if (query.get("refuse") !== null) throw new HttpError(Number(query.get("refuse")));
    return token === undefined ? anonymous : { id: token };
  }
  onSay(data: unknown) {
    this.sendJSONToThisRoom(data);
  }
  onAdd([a, b]: readonly [number, number]) {
    return a + b;
  }
  async onSlow(n: number) {
    await new Promise((resolve) => setImmediate(resolve));
    this.sendJSONToThisRoom(n);
    return n;
  }
  onBinary(bytes: Uint8Array) {
    this.sendJSON([...bytes]);
  }
}

function startChat(): Promise<RunningApp> {
  const options = { http: true, history: { size: 10_000 }, presence: "full" } as const;
  return start(new App().route("/chat/:channel", Chat, options));
}

/** A WebSocket class of a network that lets none through, as long as it is blocked. */
function blockable(): { readonly WebSocket: WebSocketConstructor; isBlocked: boolean; attempts: number } {
  const network = {
    isBlocked: true,
    attempts: 0,
    WebSocket: class extends WebSocket {
      constructor(url: string, subprotocols: string[]) {
        network.attempts += 1;
        // Nothing listens there.
        super(network.isBlocked ? "ws://127.0.0.1:1/" : url, subprotocols);
      }
    },
  };
  return network;
}

function join(port: number, options: ConnectOptions = {}, path = "/chat/a"): ClientRoom {
  const WebSocketClass = options.WebSocket ?? httpFallback({ WebSocket: blockable().WebSocket });
  const room = connect(`ws://127.0.0.1:${port}${path}`, { random: () => 0, ...options, WebSocket: WebSocketClass });
  onTestFinished(() => room.close());
  return room;
}

function messagesOf(room: ClientRoom): Mailbox<unknown> {
  const messages = new Mailbox<unknown>();
  room.on("message", ({ data }) => messages.put(data));
  return messages;
}

describe("a client without a WebSocket", () => {
  test("uses HTTP at the third attempt, with requests, messages, presence and its token", async () => {
    const { port, app } = await startChat();
    const network = blockable();
    const room = join(port, { WebSocket: httpFallback({ WebSocket: network.WebSocket }), token: () => "ann" });
    const messages = messagesOf(room);
    await room.opened;
    expect(network.attempts).toBe(2);
    expect(await room.request("add", [1, 2])).toBe(3);
    room.emit("say", { n: 1 });
    expect(await messages.have(1)).toEqual([{ n: 1 }]);
    expect(app.registry.users.map(({ id }) => id)).toEqual(["ann"]);
    expect(room.presence?.count).toBe(1);
    room.sendBinary(Uint8Array.of(1, 2, 3));
    expect(await messages.have(2)).toEqual([{ n: 1 }, [1, 2, 3]]);
  });

  test("sends many frames in their order", async () => {
    const { port } = await startChat();
    const room = join(port);
    const messages = messagesOf(room);
    await room.opened;
    const numbers = Array.from({ length: 2_000 }, (_, n) => n);
    const replies = Promise.all(numbers.slice(0, 100).map((n) => room.request("slow", n)));
    for (const n of numbers.slice(100)) room.emit("slow", n);
    expect(await replies).toEqual(numbers.slice(0, 100));
    expect(await messages.have(2_000)).toEqual(numbers);
  });

  test("gets each message once and in order over 20 cuts, and its requests run once", async () => {
    const { port, app } = await startChat();
    const proxy = await startProxy(port);
    const room = join(proxy.port);
    const messages = messagesOf(room);
    const opened = new Mailbox<string>();
    room.on("state", (state) => state === "open" && opened.put(state));
    await room.opened;
    const replies: Promise<unknown>[] = [];
    let sent = 0;
    const expected: unknown[] = [];
    for (let cut = 1; cut <= 20; cut += 1) {
      await opened.have(cut);
      for (let n = 0; n < 10; n += 1) {
        sent += 1;
        expected.push(`server ${sent}`);
        app.registry.room("/chat/a").sendJSON(`server ${sent}`);
      }
      replies.push(room.request("slow", cut));
      proxy.cut();
      proxy.open();
    }
    expect(await Promise.all(replies)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    const all = await messages.have(expected.length + 20);
    expect(all.filter((message) => typeof message === "string")).toEqual(expected);
    expect(all.filter((message) => typeof message === "number")).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
  });

  test.each([401, 403, 404])("is closed for good when the server refuses it with %i", async (status) => {
    const { port } = await startChat();
    const room = join(port, {}, `/chat/a?refuse=${status}`);
    const closed = new Promise((resolve) => room.on("state", (state, detail) => state === "closed" && resolve(detail)));
    await expect(room.opened).rejects.toThrow();
    expect(await closed).toMatchObject({ status });
  });

  test("goes back to a WebSocket if the room has no plain HTTP", async () => {
    const { port } = await start(new App().route("/chat/:channel", Chat, { http: { events: true } }));
    const network = blockable();
    const room = join(port, { WebSocket: httpFallback({ WebSocket: network.WebSocket }) });
    const problems = new Mailbox<string>();
    room.on("state", (state, { reason = "" }) => {
      if (state !== "waiting") return;
      problems.put(reason);
      // The network works when the client comes back to it.
      network.isBlocked = problems.all.length < 3;
    });
    await room.opened;
    expect(problems.all[2]).toContain("the room has no plain HTTP (426 This route needs http: { events, publish })");
    expect(network.attempts).toBe(3);
  });

  test("sends what waits when it is closed", async () => {
    const { port, app } = await startChat();
    const listener = join(port);
    const messages = messagesOf(listener);
    await listener.opened;
    const room = join(port);
    await room.opened;
    for (let n = 0; n < 5; n += 1) room.emit("say", n);
    room.close();
    expect(await messages.have(5)).toEqual([0, 1, 2, 3, 4]);
    expect(app.status().handshakes).toBe(0);
  });

  test("gets the close code of the server", async () => {
    const { port, app } = await startChat();
    const room = join(port);
    await room.opened;
    const closed = new Promise((resolve) => room.on("state", (state, detail) => state === "closed" && resolve(detail)));
    app.registry.room("/chat/a").close(4600, "enough");
    expect(await closed).toMatchObject({ code: 4600, reason: "enough" });
  });

  test("moves to a WebSocket when one can be opened again, without a loss", async () => {
    const { port, app } = await startChat();
    const network = blockable();
    const room = join(port, { WebSocket: httpFallback({ WebSocket: network.WebSocket, retryMs: 300 }) });
    const messages = messagesOf(room);
    await room.opened;
    network.isBlocked = false;
    const isOnWebSocket = () => app.registry.connections.some(({ request }) => request.headers.upgrade !== undefined);
    let sent = 0;
    while (!isOnWebSocket() || app.registry.connections.length > 1) {
      sent += 1;
      room.emit("say", sent);
      await messages.have(sent);
    }
    room.emit("say", sent + 1);
    expect(await messages.have(sent + 1)).toEqual(Array.from({ length: sent + 1 }, (_, n) => n + 1));
    expect(await room.request("add", [1, 2])).toBe(3);
  });

  test("is closed for good by a message that is too large, as over a WebSocket", async () => {
    const { port } = await startChat();
    const room = join(port);
    const errors = new Mailbox<unknown>();
    const states: string[] = [];
    room.on("error", (error) => errors.put(error));
    await room.opened;
    room.on("state", (state, { code, reason }) => states.push(`${state} ${code} ${reason}`));
    room.emit("say", "x".repeat(70_000));
    const behind = room.request("add", [1, 2]);
    await expect(behind).rejects.toMatchObject({ code: "closed" });
    expect(states).toEqual(["closed 1009 message too big"]);
    expect((await errors.have(2)).at(-1)).toMatchObject({ code: "ERR_CONNECTION", closeCode: 1009 });
  });

  test("reports once that the room has no plain HTTP", async () => {
    const { port } = await start(new App().route("/chat/:channel", Chat));
    const errors = new Mailbox<Error>();
    const room = join(port);
    room.on("error", (error) => errors.put(error));
    const messages = (await errors.have(2)).map(({ message }) => message);
    expect(messages).toEqual([
      "no connection: 1006 no WebSocket",
      "no connection: 1006 the room has no plain HTTP (426 This is a WebSocket)",
    ]);
  });

  test.skipIf(missing("nginx", "a proxy that strips upgrades"))("works behind nginx that strips upgrades", async () => {
    const { port, app } = await startChat();
    const stripped = await nginx.start(port, (config) =>
      config.replace(/proxy_set_header (?:Upgrade|Connection) .*;/g, ""),
    );
    const opened: string[] = [];
    app.on("open", ({ request }) => opened.push(request.headers.accept ?? "none"));
    const room = join(stripped, { WebSocket: httpFallback({ WebSocket }) });
    const messages = messagesOf(room);
    await room.opened;
    room.emit("say", "hello");
    expect(await messages.have(1)).toEqual(["hello"]);
    // The stripped upgrades opened no event stream.
    expect(opened).toEqual(["text/event-stream"]);
  });
});

/** A `fetch` that sends POSTs to a port of their own, and reports their bodies and the statuses of the answers. */
class FetchWithPosts {
  readonly begun = new Mailbox<unknown>();
  readonly answered = new Mailbox<number>();
  port: number;

  constructor(port: number) {
    this.port = port;
  }

  readonly fetch: typeof fetch = async (input, init) => {
    if (init?.method !== "POST") return fetch(input, init);
    const url = new URL(String(input));
    url.port = String(this.port);
    this.begun.put(init.body);
    const response = await fetch(url, init);
    this.answered.put(response.status);
    return response;
  };
}

/** From now on, a test can move the timers of the client; they also run with the time. */
function moveTimers(): (ms: number) => Promise<unknown> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"], shouldAdvanceTime: true });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  return (ms) => vi.advanceTimersByTimeAsync(ms);
}

describe("a request with frames that is not answered", () => {
  /** A room whose POSTs take a proxy, and its event stream does not. */
  async function joinOverProxy(port: number) {
    const proxy = await startProxy(port);
    const posts = new FetchWithPosts(proxy.port);
    const room = join(port, { WebSocket: httpFallback({ WebSocket: blockable().WebSocket, fetch: posts.fetch }) });
    const states = new Mailbox<string>();
    await room.opened;
    expect(await room.request("add", [1, 1])).toBe(2);
    room.on("state", (state) => states.put(state));
    return { room, states, proxy, posts };
  }

  test("makes the client connect again if the server does not have it", async () => {
    const { port } = await startChat();
    const { room, states, proxy, posts } = await joinOverProxy(port);
    const advance = moveTimers();
    proxy.stall();
    // Within the default timeout of a request.
    const reply = room.request("add", [1, 2]);
    await posts.begun.have(2);
    posts.port = port;
    await advance(5_000);
    expect((await posts.begun.have(3))[2]).toBe('{"type":"ping"}');
    expect(await reply).toBe(3);
    expect(await states.have(3)).toEqual(["waiting", "connecting", "open"]);
  });

  test("makes the client connect again if no other request is answered either", async () => {
    const { port } = await startChat();
    const { room, states, proxy, posts } = await joinOverProxy(port);
    const advance = moveTimers();
    proxy.stall();
    const reply = room.request("add", [1, 2], { timeoutMs: 60_000 });
    await posts.begun.have(2);
    await advance(5_000);
    await posts.begun.have(3);
    posts.port = port;
    await advance(5_000);
    expect(await reply).toBe(3);
    expect(await states.have(3)).toEqual(["waiting", "connecting", "open"]);
  });

  test("is waited for as long as the server has it", async () => {
    const works = new Mailbox<() => void>();
    class Busy extends EventHandler {
      static events = { add: "onAdd", work: "onWork" };
      onAdd([a, b]: readonly [number, number]) {
        return a + b;
      }
      onWork(n: number): Promise<number> {
        return new Promise((resolve) => works.put(() => resolve(n)));
      }
    }
    const app = new App({ limits: { inboxMessagesMax: 2 } }).route("/chat/:name", Busy, { http: true });
    const { port } = await start(app);
    const { room, states, posts } = await joinOverProxy(port);
    const advance = moveTimers();
    const numbers = Array.from({ length: 8 }, (_, n) => n);
    const replies = Promise.all(numbers.map((n) => room.request("work", n, { timeoutMs: 600_000 })));
    await works.have(1);
    for (let probes = 1; probes <= 3; probes += 1) {
      while (posts.begun.all.length < 2 + probes) await advance(1_000);
      await posts.answered.have(1 + probes);
    }
    expect(posts.answered.all.slice(0, 4)).toEqual([204, 409, 409, 409]);
    for (const n of numbers) (await works.have(n + 1))[n]?.();
    expect(await replies).toEqual(numbers);
    expect(states.all).toEqual([]);
  });
});

describe("the class", () => {
  test("refuses wrong options", () => {
    const wrong = [{ retryMs: 0 }, { retryMs: Number.POSITIVE_INFINITY }, { retryMs: "5" }];
    for (const one of wrong) expect(() => httpFallback(one as object)).toThrow("retryMs takes milliseconds from 1 to");
    expect(() => httpFallback({ WebSocket, fetch: 5 } as object)).toThrow("fetch of httpFallback() takes a function");
    expect(() => httpFallback({ WebSocket: null } as object)).toThrow("WebSocket of httpFallback() takes a function");
    expect(() => httpFallback({ retryms: 1 } as object)).toThrow('did you mean "retryMs"?');
  });

  test("shares between rooms what is known of the network", async () => {
    const { port } = await startChat();
    const network = blockable();
    const shared = httpFallback({ WebSocket: network.WebSocket });
    await join(port, { WebSocket: shared }).opened;
    await join(port, { WebSocket: shared }, "/chat/b").opened;
    expect(network.attempts).toBe(2);
  });
});

describe("requests with frames", () => {
  test("a key of no stream, two at once and too large ones are refused", async () => {
    const { port, app } = await startChat();
    const url = `http://127.0.0.1:${port}/chat/a`;
    const send = (key: string, body: string, headers = {}) =>
      fetch(url, { method: "POST", headers: { "enfilade-stream": key, ...headers }, body });
    expect((await send("unknown", "{}")).status).toBe(410);
    const abort = new AbortController();
    onTestFinished(() => abort.abort());
    const headers = { accept: "text/event-stream", "enfilade-protocol": "enfilade.v1" };
    const stream = await fetch(url, { headers, signal: abort.signal });
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    const { value: first = "" } = (await reader?.read()) ?? {};
    const [, key = ""] = /"key":"([\w-]{22})"/.exec(first) ?? [];
    expect((await send(key, '{"type":"ping"}', { origin: "https://evil.example" })).status).toBe(403);
    expect((await send(key, '{"type":"ping"}\n{"type":"ping"}')).status).toBe(204);
    let text = first;
    while (text.split('{"type":"pong"}').length < 3) text += (await reader?.read())?.value ?? "";
    expect((await send(key, "{}", { "content-type": "application/xml" })).status).toBe(415);
    expect(
      (
        await fetch(url.replace("/chat/a", "/chat/b"), {
          method: "POST",
          headers: { "enfilade-stream": key },
          body: "{}",
        })
      ).status,
    ).toBe(410);
    expect((await send(key, "x".repeat(200_000))).status).toBe(413);
    while (!text.includes("event: close")) text += (await reader?.read())?.value ?? "";
    expect(text).toContain('data: {"code":1009,"reason":"message too big"}');
    expect((await send(key, "{}")).status).toBe(410);
    expect(app.status().handshakes).toBe(0);
  });
});
