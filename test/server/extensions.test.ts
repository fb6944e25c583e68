import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import express from "express";
import Fastify from "fastify";
import { Response as UndiciResponse } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, type Extension, HttpError, WebSocketHandler } from "../../src/index.js";
import { connectURL } from "../../src/testing/index.js";
import { start } from "../support/app.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** Answers with the method, the canonical path and the address. */
const mirror = (path: string, name = "mirror"): Extension => ({
  name,
  path,
  onRequest: ({ path: asked, raw, remoteAddress }) => Response.json([name, raw?.method, asked, remoteAddress]),
});

/** The answer of {@link mirror}. */
async function mirrored(answer: Promise<Response> | Response): Promise<unknown[]> {
  const parts: unknown = await (await answer).json();
  return Array.isArray(parts) ? parts : [];
}

const ask = (port: number, path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);

async function listenOn(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // The server listens on a port, so its address is an object.
  return (server.address() as AddressInfo).port;
}

describe("an extension with a path", () => {
  it("answers plain requests of any method to its path and below, and no others", async () => {
    const { port } = await start(new App().route("/echo", Echo).use(mirror("/mirror")));
    const get = await ask(port, "/mirror?x=1");
    expect(await mirrored(get)).toEqual(["mirror", "GET", "/mirror", "127.0.0.1"]);
    const post = await ask(port, "/mirror/b%C3%A4r/", { method: "POST", body: "x" });
    expect(await mirrored(post)).toEqual(["mirror", "POST", "/mirror/bär", "127.0.0.1"]);
    for (const path of ["/", "/mirrors", "/mirro", "/x/mirror"]) expect((await ask(port, path)).status).toBe(404);
    for (const path of ["/mirror//x", "/mirror/%zz"]) expect((await ask(port, path)).status).toBe(400);
    expect((await ask(port, "/echo")).status).toBe(426);
  });

  it("shares its path with a route: upgrades go to the route, other requests to the extension", async () => {
    const { port, url } = await start(new App().route("/mirror/:name", Echo).use(mirror("/mirror")));
    expect((await ask(port, "/mirror/a")).status).toBe(200);
    const client = await connectURL(`${url}/mirror/a`);
    client.sendText("hello");
    expect(await client.readText()).toBe("hello");
  });

  it("answers before one with a shorter path", async () => {
    const app = new App().use(mirror("/a/b", "inner")).use(mirror("/", "all")).use(mirror("/a", "outer"));
    const { port } = await start(app);
    const names = [];
    for (const path of ["/", "/a", "/a/bc", "/a/b", "/a/b/c"]) names.push((await mirrored(ask(port, path)))[0]);
    expect(names).toEqual(["all", "outer", "outer", "inner", "inner"]);
  });

  it("may write to the response of Node, and stream a Response with its headers and cookies", async () => {
    const chunks = ["one ", "two ", "three"];
    const body = () => new ReadableStream({ pull: (all) => endOf(all, chunks.shift()) });
    const headers: [string, string][] = [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x-part", "yes"],
    ];
    const { port } = await start(
      new App()
        .use({ name: "node", path: "/node", onRequest: (_request, response) => void response.writeHead(202).end("ok") })
        .use({ name: "web", path: "/web", onRequest: () => new Response(body(), { status: 201, headers }) })
        // undici as a package has a class of its own, with the same members.
        .use({ name: "other", path: "/other", onRequest: () => new UndiciResponse("hi") as unknown as Response }),
    );
    const node = await ask(port, "/node");
    expect([node.status, await node.text()]).toEqual([202, "ok"]);
    const web = await ask(port, "/web");
    expect([web.status, await web.text(), web.headers.get("x-part")]).toEqual([201, "one two three", "yes"]);
    expect(web.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(await (await ask(port, "/other")).text()).toBe("hi");
  });

  it("gives the client an HttpError, and for any other error a 500 without details", async () => {
    const thrown = [new HttpError(401, "Who are you?"), new Error("secret"), null];
    const { port, errors } = await start(
      new App().use({
        name: "faulty",
        path: "/faulty",
        onRequest: async () => {
          throw thrown.shift();
        },
      }),
    );
    const answers = [];
    for (let n = 0; n < 3; n += 1) {
      const answer = await ask(port, "/faulty");
      answers.push([answer.status, await answer.text()]);
    }
    expect(answers).toEqual([
      [401, "Who are you?"],
      [500, "Internal Server Error"],
      [500, "Internal Server Error"],
    ]);
    expect(errors.map(({ message }) => message)).toEqual(["secret", expect.stringContaining("null")]);
  });

  it("loses its connection when it fails after its answer has begun", async () => {
    const { port, errors } = await start(
      new App().use({
        name: "late",
        path: "/late",
        async onRequest(_request, response) {
          await new Promise((resolve) => response.write("begun", resolve));
          throw new Error("too late");
        },
      }),
    );
    await expect(ask(port, "/late").then((answer) => answer.text())).rejects.toThrow("terminated");
    expect(errors.map(({ message }) => message)).toEqual(["too late"]);
  });

  it.each<[string, unknown, string]>([
    ["a text", "hello", 'returned "hello"; return a Response or nothing'],
    ["an object", { a: 1 }, 'returned {"a":1}; return a Response or nothing'],
    ["nothing but null", null, "returned null; return a Response or nothing"],
    ["an error of Response", Response.error(), "returned Response.error(), which has no status"],
  ])("answers 500 and reports it when it returns %s", async (_what, answer, message) => {
    // In JavaScript it may return anything.
    const onRequest = () => answer as Response;
    const { port, errors } = await start(new App().use({ name: "odd", path: "/odd", onRequest }));
    expect((await ask(port, "/odd")).status).toBe(500);
    expect(errors).toEqual([expect.objectContaining({ code: "ERR_VALUE", message: expect.stringContaining(message) })]);
  });

  it("cannot return one Response with a body twice", async () => {
    const answer = new Response("once");
    const { port, errors } = await start(new App().use({ name: "again", path: "/again", onRequest: () => answer }));
    expect(await (await ask(port, "/again")).text()).toBe("once");
    expect((await ask(port, "/again")).status).toBe(500);
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringContaining("whose body was sent or read before; create one for each request"),
    ]);
  });

  it("cannot return a Response after it has written to the response of Node", async () => {
    const onRequest: Extension["onRequest"] = (_request, response) => {
      response.end("by Node");
      return new Response("by Fetch");
    };
    const { port, errors } = await start(new App().use({ name: "both", path: "/both", onRequest }));
    expect(await (await ask(port, "/both")).text()).toBe("by Node");
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining("has written to response already")]);
  });

  it("reports an error of the body that it streams, and none when the client disconnects", async () => {
    let canceled: () => void = () => undefined;
    const isCanceled = new Promise<void>((resolve) => {
      canceled = resolve;
    });
    const endless = { pull: (part: ReadableStreamDefaultController) => part.enqueue(Buffer.alloc(65_536)) };
    const failing = {
      pull() {
        throw new Error("no more");
      },
    };
    const { port, errors } = await start(
      new App().use({
        name: "streams",
        path: "/streams",
        onRequest: ({ path }) =>
          new Response(new ReadableStream(path === "/streams" ? { ...endless, cancel: canceled } : failing)),
      }),
    );
    const leaving = new AbortController();
    const answer = await ask(port, "/streams", { signal: leaving.signal });
    await answer.body?.getReader().read();
    leaving.abort();
    await isCanceled;
    await expect(ask(port, "/streams/failing").then((other) => other.text())).rejects.toThrow();
    expect(errors.map(({ message }) => message)).toEqual(["no more"]);
  });

  it("sees the client that a trusted proxy names", async () => {
    const { port } = await start(new App({ trustProxy: 1 }).use(mirror("/mirror")));
    const answer = await ask(port, "/mirror", { headers: { "x-forwarded-for": "203.0.113.9" } });
    expect((await mirrored(answer))[3]).toBe("203.0.113.9");
  });
});

function endOf(controller: ReadableStreamDefaultController, chunk: string | undefined): void {
  if (chunk === undefined) controller.close();
  else controller.enqueue(new TextEncoder().encode(chunk));
}

describe("an extension answers", () => {
  const body: Extension = {
    name: "body",
    path: "/body",
    onRequest: async ({ raw }) => new Response(raw && (await new Response(Readable.toWeb(raw)).text())),
  };
  const makeApp = () => new App().route("/echo", Echo).use(mirror("/mirror")).use(body);

  it("in a server of its own, and 503 after the app has closed", async () => {
    const app = makeApp();
    const port = await listenOn(createServer(app.requestListener));
    expect((await ask(port, "/mirror")).status).toBe(200);
    expect((await ask(port, "/other")).status).toBe(404);
    await app.close();
    expect((await ask(port, "/mirror")).status).toBe(503);
  });

  it("in Express 5, beside its pages", async () => {
    await using app = makeApp();
    const site = express()
      .use(app.requestListener)
      .get("/page", (_request, response) => void response.send("a page"));
    const server = createServer(site);
    app.attach(server);
    const port = await listenOn(server);
    expect((await mirrored(ask(port, "/mirror/a")))[2]).toBe("/mirror/a");
    expect(await (await ask(port, "/page")).text()).toBe("a page");
    expect((await ask(port, "/echo")).status).toBe(426);
  });

  it("in Fastify 5, beside its pages", async () => {
    const fastify = Fastify();
    onTestFinished(() => fastify.close());
    const app = makeApp().attach(fastify.server);
    fastify.addHook("preClose", () => app.close());
    fastify.get("/page", async () => "a page");
    fastify.addHook("onRequest", async (request, reply) => {
      if (!request.is404) return;
      reply.hijack();
      app.requestListener(request.raw, reply.raw);
    });
    const url = await fastify.listen({ host: "127.0.0.1", port: 0 });
    expect((await mirrored(fetch(`${url}/mirror/a`)))[2]).toBe("/mirror/a");
    const json = { method: "POST", headers: { "content-type": "application/json" }, body: '{"a":1}' };
    expect(await (await fetch(`${url}/body`, json)).text()).toBe('{"a":1}');
    expect(await (await fetch(`${url}/page`)).text()).toBe("a page");
  });

  it("leaves a server with other listeners to them", async () => {
    await using app = makeApp();
    const server = createServer((_request, response) => response.end("theirs"));
    app.attach(server);
    expect(await (await ask(await listenOn(server), "/mirror")).text()).toBe("theirs");
  });
});

describe("an extension with hooks", () => {
  const recorder = (calls: string[], name = "recorder"): Extension => ({
    name,
    install: ({ routes }) => void calls.push(`install ${routes.length}`),
    onStart: async () => void calls.push("start"),
    onClose: async () => void calls.push("close"),
  });

  it("is installed at once, starts before the app listens, and closes with it, each once", async () => {
    const calls: string[] = [];
    const app = new App().route("/echo", Echo).use(recorder(calls));
    expect(calls).toEqual(["install 1"]);
    const server = createServer();
    await app.listen(0, "127.0.0.1");
    app.attach(server);
    expect(calls).toEqual(["install 1", "start"]);
    await Promise.all([app.close(), app.close()]);
    expect(calls).toEqual(["install 1", "start", "close"]);
  });

  it("starts at once in an app that has started", async () => {
    const calls: string[] = [];
    const { app } = await start(new App());
    app.use(recorder(calls));
    expect(calls).toEqual(["install 0", "start"]);
  });

  it("may add routes", async () => {
    const { url } = await start(new App().use({ name: "echo", install: (app) => void app.route("/added", Echo) }));
    const client = await connectURL(`${url}/added`);
    client.sendText("hello");
    expect(await client.readText()).toBe("hello");
  });

  it("makes listen() reject when its start fails, and reports it with attach()", async () => {
    const failing: Extension = {
      name: "failing",
      onStart() {
        throw new Error("no database");
      },
    };
    await expect(new App().use(failing).listen(0, "127.0.0.1")).rejects.toThrow("no database");
    const errors: Error[] = [];
    await using app = new App().use(failing);
    app.on("error", (error) => errors.push(error));
    app.attach(createServer());
    expect(errors.map(({ message }) => message)).toEqual(["no database"]);
  });

  it("reports an error of onClose, and does not hold up close() past its time", async () => {
    const warnings: string[] = [];
    const logger = { warn: (line: string) => warnings.push(line), error: () => undefined };
    const errors: Error[] = [];
    const app = new App({ logger })
      .use({ name: "hanging", onClose: () => new Promise(() => undefined) })
      .use({ name: "failing", onClose: () => Promise.reject(new Error("not saved")) });
    app.on("error", (error) => errors.push(error));
    await app.listen(0, "127.0.0.1");
    await app.close({ timeoutMs: 50 });
    expect(warnings).toEqual(["enfilade: onClose of an extension had not ended after 50 ms"]);
    expect(errors.map(({ message }) => message)).toEqual(["not saved"]);
    expect(app.status().state).toBe("closed");
  });
});

describe("use() refuses", () => {
  it.each<[string, unknown, string]>([
    ["nothing", undefined, "use() takes an extension: an object with a name, such as metrics(); got undefined"],
    ["a function", mirror, "got the function mirror"],
    ["an object without a name", { path: "/x" }, "an object with a name"],
    ["an unknown key", { name: "x", onRequst: () => undefined }, 'did you mean "onRequest"?'],
    [
      "a hook that is no function",
      { name: "x", onStart: "now" },
      'onStart of the extension x takes a function, got "now"',
    ],
    ["a path without onRequest", { name: "x", path: "/x" }, "the extension x needs both path and onRequest"],
    ["onRequest without a path", { name: "x", onRequest: () => undefined }, "needs both path and onRequest"],
    [
      "an invalid path",
      { name: "x", path: "x", onRequest: () => undefined },
      'path of the extension x: "x" is not a room path: it does not begin with "/"',
    ],
    [
      "a path that is no string",
      { name: "x", path: 7, onRequest: () => undefined },
      'path of the extension x takes a path such as "/rooms", got 7',
    ],
    [
      "a path with a parameter",
      { name: "x", path: "/x/:id/y", onRequest: () => undefined },
      'path of the extension x takes a path without parameters; pass "/x"',
    ],
    [
      "an install that returns a promise",
      { name: "x", install: () => Promise.reject(new Error("no database")) },
      "install of the extension x returned a promise; use() does not wait; move what takes time to onStart",
    ],
  ])("%s", (_what, extension, message) => {
    // In JavaScript it may be anything.
    expect(() => new App().use(extension as Extension)).toThrow(message);
  });

  it("one whose install throws, and keeps nothing of it", () => {
    const failing: Extension = {
      ...mirror("/mirror", "failing"),
      install() {
        throw new Error("no license");
      },
    };
    const app = new App();
    expect(() => app.use(failing)).toThrow("no license");
    expect(() => app.use(mirror("/mirror"))).not.toThrow();
  });

  it("a path that another extension has", () => {
    const app = new App().use(mirror("/mirror", "first"));
    expect(() => app.use(mirror("/mirror/", "second"))).toThrow("the extensions first and second have one path");
  });

  it("an extension that the app has already", () => {
    const extension: Extension = { name: "x", install: () => undefined };
    const app = new App().use(extension);
    expect(() => app.use(extension)).toThrow("the app has this extension x already; call use() once");
  });

  it("an extension of an app that is closed", async () => {
    const app = new App();
    await app.close();
    expect(() => app.use(mirror("/mirror"))).toThrow("the app is closed and cannot be extended");
  });
});
