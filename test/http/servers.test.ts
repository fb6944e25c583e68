import { createServer, type Server } from "node:http";
import { type ClientHttp2Session, connect, createServer as createHTTP2Server, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import express from "express";
import Fastify from "fastify";
import { describe, expect, onTestFinished, test } from "vitest";
import { App, WebSocketHandler } from "../../src/index.js";
import { fetchOf } from "../../src/testing/index.js";
import { nginx } from "../docs/reverseProxies.js";
import { Mailbox, start } from "../support/app.js";
import { missing } from "../support/parts.js";
import { content, listen, post, warningsOfNode } from "./support.js";

const closed = new Mailbox<number>();

class Chat extends WebSocketHandler {
  onJSON(message: unknown) {
    this.sendJSONToThisRoom(message);
    this.sendJSON("sent");
  }
  onClose(code: number) {
    closed.put(code);
  }
}

function makeApp(): App {
  const app = new App().route("/chat/:channel", Chat, { http: true, history: { size: 10 }, presence: "count" });
  onTestFinished(() => app.close({ timeoutMs: 200 }));
  return app;
}

async function portOf(server: Server | Http2Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Listens, sends and reads: what every server has to let through. */
async function useRoom(url: string, fetcher?: typeof fetch): Promise<void> {
  const stream = await listen(url, {}, fetcher);
  await stream.events.have(1);
  const sent = await post(url, { n: 1 }, {}, fetcher);
  expect(await sent.json()).toBe("sent");
  expect(await stream.messages(1)).toEqual([{ n: 1 }]);
  const before = closed.all.length;
  stream.leave();
  expect((await closed.have(before + 1)).at(-1)).toBe(1005);
}

test("a bare server of Node", async () => {
  const port = await portOf(createServer(makeApp().requestListener));
  await useRoom(`http://127.0.0.1:${port}/chat/a`);
  expect(await content(`http://127.0.0.1:${port}/chat/a`)).toMatchObject({ presence: { count: 0 } });
});

test("Express 5, and the error of a body that was read before", async () => {
  const app = makeApp();
  const errors: Error[] = [];
  app.on("error", (error) => errors.push(error));
  const site = express();
  site.use("/late", express.json());
  site.use("/late", app.requestListener);
  site.use(app.requestListener);
  const port = await portOf(createServer(site));
  await useRoom(`http://127.0.0.1:${port}/chat/a`);
  const late = await post(`http://127.0.0.1:${port}/late/chat/a`, { n: 1 });
  expect(late.status).toBe(500);
  expect(errors.map(({ message }) => message)).toEqual([
    "the body of a POST was read before it reached the app; " +
      "pass the request to app.requestListener before anything that reads bodies, such as express.json()",
  ]);
});

test("a body that middleware has read in part is an error, and not cut", async () => {
  const app = makeApp();
  const errors: Error[] = [];
  app.on("error", (error) => errors.push(error));
  const port = await portOf(
    createServer((request, response) => {
      request.once("data", () => app.requestListener(request, response));
    }),
  );
  expect((await post(`http://127.0.0.1:${port}/chat/a`, { n: 1 })).status).toBe(500);
  expect(errors).toHaveLength(1);
});

test("Fastify 5", async () => {
  const app = makeApp();
  const fastify = Fastify();
  onTestFinished(() => fastify.close());
  fastify.addHook("preClose", () => app.close());
  fastify.addHook("onRequest", async (request, reply) => {
    if (!request.is404) return;
    reply.hijack();
    app.requestListener(request.raw, reply.raw);
  });
  await useRoom(`${await fastify.listen({ host: "127.0.0.1", port: 0 })}/chat/a`);
});

test("in memory, with enfilade/testing", async () => {
  const fetchApp = fetchOf(makeApp());
  await useRoom("/chat/a", (path, init) => fetchApp(String(path), init));
  const response = await fetchApp("/chat/a?limit=1", { headers: { accept: "application/json" } });
  expect(await response.json()).toMatchObject({ room: "/chat/a", publications: [{ data: { n: 1 } }] });
  await expect(fetchApp("chat")).rejects.toThrow('fetch takes a path such as "/chat/x", got "chat"');
});

describe("HTTP/2", () => {
  async function startSession(): Promise<{ readonly session: ClientHttp2Session; readonly origin: string }> {
    const origin = `http://127.0.0.1:${await portOf(createHTTP2Server(makeApp().requestListener))}`;
    const session = connect(origin);
    onTestFinished(() => session.destroy());
    return { session, origin };
  }

  /** A request as `fetch` would send it, over one session. */
  function fetchOver(session: ClientHttp2Session): typeof fetch {
    return async (path, init = {}) => {
      const { method = "GET", body, signal } = init;
      const headers = Object.fromEntries(new Headers(init.headers));
      const stream = session.request({ ":path": String(path), ":method": method, ...headers });
      signal?.addEventListener("abort", () => stream.close());
      stream.on("error", () => undefined);
      stream.end(body);
      const status = await new Promise<number>((resolve) =>
        stream.once("response", (headers) => resolve(headers[":status"] ?? 0)),
      );
      const source = new ReadableStream({
        start(controller) {
          stream.on("data", (chunk) => controller.enqueue(chunk));
          stream.on("end", () => controller.close());
        },
      });
      return new Response(source, { status });
    };
  }

  test("one session carries a stream and requests", async () => {
    await useRoom("/chat/a", fetchOver((await startSession()).session));
  });

  test("one session carries many streams, and Node warns of no leak", async () => {
    const warnings = warningsOfNode();
    const { session } = await startSession();
    const fetcher = fetchOver(session);
    const streams = await Promise.all(Array.from({ length: 20 }, () => listen("/chat/a", {}, fetcher)));
    expect((await post("/chat/a", { n: 1 }, {}, fetcher)).status).toBe(200);
    for (const stream of streams) expect(await stream.messages(1)).toEqual([{ n: 1 }]);
    const before = closed.all.length;
    session.destroy();
    await closed.have(before + 20);
    expect(warnings).toEqual([]);
  });

  test("refusals have no header of a connection, and the process goes on", async () => {
    const app = makeApp();
    class Copying extends Chat {
      authorize() {
        return new Response("no", { status: 418, headers: { connection: "close", "transfer-encoding": "chunked" } });
      }
    }
    app.route("/plain", Chat).route("/publish", Chat, { http: { publish: true } });
    app.route("/events", Chat, { http: { events: true } }).route("/copying", Copying, { http: true });
    const session = connect(`http://127.0.0.1:${await portOf(createHTTP2Server(app.requestListener))}`);
    onTestFinished(() => session.destroy());
    const ask = async (path: string, headers = {}) => (await fetchOver(session)(path, { headers })).status;
    expect(await ask("/plain")).toBe(426);
    expect(await ask("/publish")).toBe(405);
    expect(await ask("/events", { "enfilade-protocol": "enfilade.v1" })).toBe(426);
    expect(await ask("/chat/a", { "sec-websocket-key": "x" })).toBe(426);
    expect(await ask("/copying")).toBe(418);
    await useRoom("/chat/a", fetchOver(session));
  });

  test("a page of the same host is known by its authority", async () => {
    const { session, origin } = await startSession();
    const statusOf = async (from: string) => (await post("/chat/a", 1, { origin: from }, fetchOver(session))).status;
    expect(await statusOf(origin)).toBe(200);
    expect(await statusOf("https://evil.example")).toBe(403);
  });
});

test.skipIf(missing("nginx", "an event stream through nginx"))("nginx passes each event on at once", async () => {
  const { port } = await start(makeApp());
  await useRoom(`http://127.0.0.1:${await nginx.start(port)}/chat/a`);
});
