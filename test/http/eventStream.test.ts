import { EventSource } from "undici";
import { expect, onTestFinished, test } from "vitest";
import { App, EventHandler, HttpError, skip, WebSocketHandler } from "../../src/index.js";
import { closes, Mailbox, start } from "../support/app.js";
import { content, listen, post } from "./support.js";

class Chat extends WebSocketHandler {
  onJSON(message: unknown) {
    this.sendJSONToThisRoom(message);
  }
}

const kept = { http: true, history: { size: 100 } } as const;

async function startKept() {
  const running = await start(new App().route("/chat/:channel", Chat, kept));
  return { ...running, url: `http://127.0.0.1:${running.port}/chat/a` };
}

test("an event stream gets what WebSocket clients send, with positions as ids", async () => {
  const { url, open } = await startKept();
  const stream = await listen(url);
  const client = await open("/chat/a");
  client.sendJSON({ n: 1 });
  client.sendJSON({ n: 2 });
  expect(await stream.messages(2)).toEqual([{ n: 1 }, { n: 2 }]);
  expect(stream.lastId).toBe((await content(url)).position);
});

test("the first block has the position where the stream begins", async () => {
  const { url } = await startKept();
  await post(url, { n: 1 });
  const stream = await listen(url);
  const [first] = await stream.events.have(1);
  expect(first).toEqual({ type: "", data: undefined, id: (await content(url)).position });
});

test.each(["last-event-id", "query"])("a stream that resumes by %s gets all that it missed, once", async (way) => {
  const { url } = await startKept();
  const first = await listen(url);
  await post(url, { n: 1 });
  await first.messages(1);
  const since = first.lastId ?? "";
  first.leave();
  await first.ended;
  for (const n of [2, 3]) await post(url, { n });
  const second =
    way === "query" ? await listen(`${url}?since=${since}`) : await listen(url, { "last-event-id": since });
  await post(url, { n: 4 });
  expect(await second.messages(3)).toEqual([{ n: 2 }, { n: 3 }, { n: 4 }]);
  expect(second.events.all.some(({ type }) => type === "lost")).toBe(false);
});

test("a client without `since` gets as many old messages as `replay` says", async () => {
  const { port } = await start(new App().route("/chat", Chat, { ...kept, replay: 2 }));
  const url = `http://127.0.0.1:${port}/chat`;
  for (const n of [1, 2, 3]) await post(url, { n });
  expect(await (await listen(url)).messages(2)).toEqual([{ n: 2 }, { n: 3 }]);
});

test("an invalid `since` is reported as a loss", async () => {
  const { url } = await startKept();
  const stream = await listen(`${url}?since=nonsense`);
  expect(await stream.data("lost", 1)).toEqual([{ reason: "invalid" }]);
});

test("messages that the history no longer has are reported with their number", async () => {
  const { port } = await start(new App().route("/chat", Chat, { http: true, history: { size: 2 } }));
  const url = `http://127.0.0.1:${port}/chat`;
  await post(url, { n: 0 });
  const { position } = await content(url);
  for (const n of [1, 2, 3, 4, 5]) await post(url, { n });
  const stream = await listen(`${url}?since=${position}`);
  expect(await stream.data("lost", 1)).toEqual([{ reason: "trimmed", missed: 3 }]);
  expect(await stream.messages(2)).toEqual([{ n: 4 }, { n: 5 }]);
});

test("the standard client of another library resumes by itself when its link breaks", async () => {
  const { url, app } = await startKept();
  const got = new Mailbox<unknown>();
  const source = new EventSource(url);
  onTestFinished(() => source.close());
  source.onmessage = ({ data }) => got.put(JSON.parse(data));
  await new Promise((resolve) => source.addEventListener("open", resolve, { once: true }));
  await post(url, { n: 1 });
  await got.have(1);
  for (const connection of app.registry.connections) connection.close(4000, "again");
  await post(url, { n: 2 });
  expect(await got.have(2)).toEqual([{ n: 1 }, { n: 2 }]);
});

test("the connection is a member: hooks, presence and the count of the room", async () => {
  const hooks = new Mailbox<string>();
  class Members extends WebSocketHandler {
    authorize() {
      return { id: "ann" };
    }
    onConnect() {
      hooks.put(`connect ${this.room.size}`);
      this.sendJSON({ welcome: this.user });
    }
    onJSON() {
      // The clients of this test send nothing.
    }
    onClose(code: number) {
      hooks.put(`close ${code}`);
    }
  }
  const { port, app } = await start(new App().route("/m", Members, { http: true, presence: "full" }));
  const stream = await listen(`http://127.0.0.1:${port}/m`);
  expect(await stream.messages(1)).toEqual([{ welcome: { id: "ann" } }]);
  expect(await stream.data("presence", 1)).toMatchObject([{ count: 1, users: [{ id: "ann", connections: 1 }] }]);
  expect(app.registry.room("/m").size).toBe(1);
  stream.leave();
  expect(await hooks.have(2)).toEqual(["connect 1", "close 1005"]);
  expect(app.registry.room("/m").size).toBe(0);
});

test("a client that goes away aborts the signal of its handler at once", async () => {
  const aborted = new Mailbox<boolean>();
  class Waiting extends WebSocketHandler {
    async serve() {
      await new Promise((resolve) => this.signal.addEventListener("abort", resolve));
      aborted.put(true);
    }
  }
  const { port } = await start(new App().route("/w", Waiting, { http: true }));
  const stream = await listen(`http://127.0.0.1:${port}/w`);
  stream.leave();
  expect(await aborted.have(1)).toEqual([true]);
});

test("text keeps its lines, bytes arrive in base64, and events in the format of the route", async () => {
  class Forms extends EventHandler {
    static events = { go: "onGo" };
    onGo() {
      this.emit("said", { by: "ann" });
      this.sendText("one\ntwo\n");
      this.sendText("");
      this.sendBinary(Uint8Array.of(1, 2, 255));
    }
    onConnect() {
      this.onGo();
    }
  }
  const { port } = await start(new App().route("/f", Forms, { http: true }));
  const stream = await listen(`http://127.0.0.1:${port}/f`);
  const events = await stream.events.have(5);
  expect(events.slice(1).map(({ type, data }) => [type, data])).toEqual([
    ["message", '{"event":"said","data":{"by":"ann"}}'],
    ["message", "one\ntwo\n"],
    ["message", ""],
    ["binary", "AQL/"],
  ]);
});

test("a client that is excepted from a message does not get it when it resumes", async () => {
  const { url, app } = await startKept();
  const stream = await listen(url);
  await stream.events.have(1);
  const [connection] = [...app.registry.connections];
  app.registry.room("/chat/a").sendJSON({ secret: true }, { except: [connection?.id ?? ""] });
  await stream.events.have(2);
  const second = await listen(url, { "last-event-id": stream.lastId ?? "" });
  await post(url, { n: 1 });
  expect(await second.messages(1)).toEqual([{ n: 1 }]);
});

test("the server closes a stream with its code and reason", async () => {
  const { url, app } = await startKept();
  const stream = await listen(url);
  await stream.events.have(1);
  const closed = closes(app, 1);
  for (const connection of app.registry.connections) connection.close(4001, "enough");
  expect(await stream.data("close", 1)).toEqual([{ code: 4001, reason: "enough" }]);
  await stream.ended;
  await closed;
});

test("a drain moves event streams away, and new ones are refused", async () => {
  const { url, app } = await startKept();
  const stream = await listen(url);
  await stream.events.have(1);
  await app.drain({ withinMs: 100, settleMs: 0 });
  expect(await stream.data("close", 1)).toMatchObject([{ code: 1012 }]);
  const refused = await fetch(url);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
});

test("messages that a slow client loses by policy are reported to it", async () => {
  class Fast extends WebSocketHandler {
    onConnect() {
      const text = "x".repeat(1_000);
      for (let n = 0; n < 20; n += 1) this.connection.sendJSON({ n, text }, { policy: skip });
      this.connection.sendJSON("last");
    }
    onJSON() {
      // The clients of this test send nothing.
    }
  }
  const limits = { highWaterBytes: 1 };
  const { port } = await start(new App().route("/s", Fast, { http: true, limits }));
  const stream = await listen(`http://127.0.0.1:${port}/s`);
  const [lost] = (await stream.data("lost", 1)) as { missed: number }[];
  const messages = await stream.messages(1);
  expect(messages.length + (lost?.missed ?? 0)).toBe(21);
});

const refusals: readonly (readonly [number, () => Response])[] = [
  [
    401,
    () => {
      throw new HttpError(401, "no");
    },
  ],
  [302, () => new Response(null, { status: 302, headers: { location: "/login" } })],
];

test.each(refusals)("authorize refuses with %s", async (status, authorize) => {
  class Guarded extends WebSocketHandler {
    authorize() {
      return authorize();
    }
    onJSON() {
      // The clients of this test send nothing.
    }
  }
  const { port } = await start(new App().route("/g", Guarded, { http: true }));
  const response = await fetch(`http://127.0.0.1:${port}/g`, { redirect: "manual" });
  expect(response.status).toBe(status);
});
