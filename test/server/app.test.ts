import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import express from "express";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { App, type DeliveryPolicy, Route, WebSocketHandler } from "../../src/index.js";
import { connect, connectURL } from "../../src/testing/index.js";
import { Mailbox, start, startWith } from "../support/app.js";
import { answerTo, clientFrame, rawClient, rawConnection, upgradeRequest } from "../support/raw.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

async function listenOn(server: Server): Promise<{ port: number; url: string }> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // The server listens on a port, so its address is an object.
  const { port } = server.address() as AddressInfo;
  return { port, url: `ws://127.0.0.1:${port}` };
}

async function echo(url: string): Promise<string> {
  const client = await connectURL(url);
  client.sendText("echo");
  const text = await client.readText();
  await client.close();
  return text;
}

/** Status and body of a plain GET. */
async function get(port: number, path: string): Promise<[number | undefined, string]> {
  const asking = request({ port, path, host: "127.0.0.1" });
  asking.end();
  const [response] = await once(asking, "response");
  let body = "";
  for await (const chunk of response) body += chunk;
  return [response.statusCode, body];
}

describe("listen()", () => {
  it("resolves with its address", async () => {
    await using app = new App().route("/echo", Echo);
    const { host, port, url } = await app.listen(0, "127.0.0.1");
    expect([host, url]).toEqual(["127.0.0.1", `ws://127.0.0.1:${port}`]);
    expect(await echo(`${url}/echo`)).toBe("echo");
  });

  it("listens on all interfaces by default, with a URL for this machine", async () => {
    await using app = new App().route("/echo", Echo);
    const { port, url } = await app.listen();
    expect(url).toBe(`ws://localhost:${port}`);
    expect(await echo(`${url}/echo`)).toBe("echo");
  });

  it("rejects if the port is taken, and may be tried again", async () => {
    const { port } = await startWith("/echo", Echo);
    await using app = new App().route("/echo", Echo);
    await expect(app.listen(port, "127.0.0.1")).rejects.toMatchObject({ code: "EADDRINUSE" });
    expect(await echo(`${(await app.listen(0)).url}/echo`)).toBe("echo");
    await expect(app.listen(0)).rejects.toMatchObject({
      code: "ERR_APP_STATE",
      message: "the app is already listening; use attach(server) for a second server",
    });
  });
});

describe("attach()", () => {
  it("works with Express, which still answers plain HTTP", async () => {
    const web = express().get("/hello", (_request, response) => {
      response.send("hello");
    });
    const server = createServer(web);
    await using app = new App().route("/echo", Echo).attach(server);
    const { port, url } = await listenOn(server);
    expect(await echo(`${url}/echo`)).toBe("echo");
    expect(await get(port, "/hello")).toEqual([200, "hello"]);
    expect((await get(port, "/echo"))[0]).toBe(404);
    expect(app.status().totals.opened).toBe(1);
  });

  it("answers 426 on a route if it is mounted as middleware, and passes on other requests", async () => {
    const app = new App().route("/echo", Echo);
    const server = createServer(
      express()
        .use(app.requestListener)
        .get("/hello", (_request, response) => {
          response.send("hello");
        }),
    );
    await using _closing = app.attach(server);
    const { port } = await listenOn(server);
    expect(await get(port, "/echo")).toEqual([426, "This is a WebSocket"]);
    expect(await get(port, "/hello")).toEqual([200, "hello"]);
  });

  it("leaves an upgrade without a matching route to another listener, in any order", async () => {
    const server = createServer();
    const others = new WebSocketServer({ noServer: true });
    server.on("upgrade", (incoming, socket, head) => {
      if (incoming.url !== "/other") return;
      others.handleUpgrade(incoming, socket, head, (ws) => ws.on("message", () => ws.send("other")));
    });
    await using _app = new App().route("/echo", Echo).attach(server);
    const { port, url } = await listenOn(server);
    expect([await echo(`${url}/echo`), await echo(`${url}/other`)]).toEqual(["echo", "other"]);
    expect(await get(port, "/echo")).toEqual([426, "This is a WebSocket"]);
  });

  it("lets several apps share a server; an upgrade that matches none gets a 404", async () => {
    class Shout extends WebSocketHandler {
      onMessage(text: string) {
        this.sendText(text.toUpperCase());
      }
    }
    const server = createServer();
    await using _one = new App().route("/echo", Echo).attach(server);
    await using _two = new App().route("/shout", Shout).route("/echo", Shout).attach(server);
    const { port, url } = await listenOn(server);
    expect([await echo(`${url}/echo`), await echo(`${url}/shout`)]).toEqual(["echo", "ECHO"]);
    expect(await answerTo(port, upgradeRequest("/nowhere"))).toMatch(/^HTTP\/1.1 404 /);
    expect(await answerTo(port, upgradeRequest("/a/../b"))).toMatch(/^HTTP\/1.1 400 /);
  });

  it("handles the errors of a socket that it leaves to others", async () => {
    const server = createServer();
    const left = new Promise((resolve) => server.on("upgrade", (_incoming, socket) => resolve(socket)));
    await using _app = new App().route("/echo", Echo).attach(server);
    const { port, url } = await listenOn(server);
    const client = await rawClient(port);
    client.socket.write(upgradeRequest("/other"));
    const socket = (await left) as Socket;
    const closed = new Promise((resolve) => socket.on("close", resolve));
    client.socket.resetAndDestroy();
    socket.resume();
    await closed;
    expect(await echo(`${url}/echo`)).toBe("echo");
  });

  it("answers plain HTTP if several apps share a server and no other listener answers", async () => {
    const server = createServer();
    await using _one = new App().route("/one", Echo).attach(server);
    await using _two = new App().route("/two", Echo).attach(server);
    const { port } = await listenOn(server);
    expect((await get(port, "/one"))[0]).toBe(426);
    expect((await get(port, "/two"))[0]).toBe(426);
    expect((await get(port, "/three"))[0]).toBe(404);
  });

  it("refuses a value that is not an HTTP server, with a hint", () => {
    const app = new App();
    expect(() => app.attach(express() as unknown as Server)).toThrow(
      expect.objectContaining({
        code: "ERR_OPTION",
        message: expect.stringContaining("http.createServer(expressApp)"),
      }),
    );
  });
});

describe("close()", () => {
  it("closes every client with 1001, stops the server, and resolves when the last hook is done", async () => {
    const reported = new Mailbox<string>();
    class Tidy extends Echo {
      override async onClose(code: number) {
        await new Promise((resolve) => setImmediate(resolve));
        reported.put(`closed ${code}`);
      }
    }
    const { open, app, port } = await startWith("/tidy", Tidy);
    const clients = [await open("/tidy"), await open("/tidy")];
    await get(port, "/tidy");
    await app.close();
    expect(reported.all).toEqual(["closed 1001", "closed 1001"]);
    for (const client of clients)
      expect(await client.closed).toMatchObject({ code: 1001, reason: "server shutting down" });
    expect(app.status()).toMatchObject({ state: "closed", connections: 0, rooms: 0, handshakes: 0 });
    await expect(open("/tidy")).rejects.toThrow(/ECONNREFUSED/);
    await expect(app.listen()).rejects.toMatchObject({ code: "ERR_APP_STATE" });
    expect(() => app.attach(createServer())).toThrow(expect.objectContaining({ code: "ERR_APP_STATE" }));
    await app.close();
  });

  it("refuses new upgrades with 503 while it closes", async () => {
    const release = new Mailbox<() => void>();
    class Slow extends Echo {
      override onClose() {
        return new Promise<void>((resolve) => release.put(resolve));
      }
    }
    const server = createServer();
    const app = new App().route("/slow", Slow).attach(server);
    const { url } = await listenOn(server);
    await connectURL(`${url}/slow`);
    const closing = app.close();
    const [done] = await release.have(1);
    expect(app.status().state).toBe("closing");
    await expect(connectURL(`${url}/slow`)).rejects.toMatchObject({
      status: 503,
      message: "The server is shutting down",
    });
    done?.();
    await closing;
    expect(app.status().state).toBe("closed");
  });

  it("rejects an earlier listen() that has not finished, and leaves no port open", async () => {
    const app = new App().route("/echo", Echo);
    const listening = app.listen(0, "localhost").catch((error: unknown) => error);
    await app.close();
    expect(await listening).toMatchObject({ code: "ERR_APP_STATE" });
    expect(app.status().state).toBe("closed");
  });

  it.each([
    ["a client that never answers", Echo],
    [
      "an onConnect that hangs",
      class extends Echo {
        override onConnect() {
          return new Promise(() => undefined);
        }
      },
    ],
    [
      "an onClose that hangs",
      class extends Echo {
        override onClose() {
          return new Promise(() => undefined);
        }
      },
    ],
    [
      "an authorize that hangs",
      class extends Echo {
        override authorize() {
          return new Promise<never>(() => undefined);
        }
      },
    ],
  ])("really ends within timeoutMs with %s", async (_name, handlerClass) => {
    const warnings: string[] = [];
    const logger = { warn: (message: string) => warnings.push(message), error: () => undefined };
    const { app, port } = await startWith("/x", handlerClass, { logger });
    const upgraded = await rawClient(port);
    upgraded.socket.write(upgradeRequest("/x"));
    const halfSent = await rawClient(port);
    halfSent.socket.write("GET /x HTT");
    const keptAlive = await rawClient(port);
    keptAlive.socket.write("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    await keptAlive.received("426");
    await app.close({ timeoutMs: 50 });
    await Promise.all([upgraded.ended, halfSent.ended, keptAlive.ended]);
    expect(app.status().state).toBe("closed");
    expect(warnings).toEqual(["enfilade: some connections had not ended after 50 ms; they were destroyed"]);
  });
});

describe("the events and the status of an app", () => {
  it("report opened and closed connections, and errors", async () => {
    const reported = new Mailbox<string>();
    class Fragile extends Echo {
      override onMessage() {
        throw new Error("broken");
      }
    }
    const app = new App().route("/echo", Echo, { name: "echo" }).route("/fragile", Fragile);
    app.on("open", ({ request }) => reported.put(`open ${request.path}`));
    app.on("close", ({ request }, code, reason) => reported.put(`close ${request.path} ${code} ${reason}`));
    app.on("error", (error, connection) => reported.put(`error ${error.message} ${connection?.request.path}`));
    const { open, port } = await start(app);
    const client = await open("/echo");
    client.sendText("x");
    await client.read();
    expect(app.status()).toMatchObject({
      state: "open",
      connections: 1,
      rooms: 1,
      users: 0,
      handshakes: 0,
      totals: { opened: 1, closed: 0, refused: 0, received: 1, delivered: 1, dropped: 0, slow: 0 },
    });
    await client.close(4000, "bye");
    await reported.have(2);
    (await open("/fragile")).sendText("x");
    await reported.have(5);
    expect(reported.all).toEqual([
      ...["open /echo", "close /echo 4000 bye", "open /fragile"],
      ...["error broken /fragile", "close /fragile 1011 internal error"],
    ]);
    await answerTo(port, upgradeRequest("/nowhere"));
    expect(app.status().totals).toEqual({
      opened: 2,
      closed: 2,
      refused: 1,
      received: 2,
      receivedBytes: 2,
      delivered: 1,
      sentBytes: 3,
      dropped: 0,
      replaced: 0,
      behind: 0,
      slow: 0,
      memoryPauses: 0,
      memoryCloses: 0,
      receiptsForgotten: 0,
    });
  });

  it("stop when the listener is removed", async () => {
    const reported: string[] = [];
    const listener = () => reported.push("open");
    const { app, open } = await startWith("/echo", Echo);
    const remove = app.on("open", listener);
    await open("/echo");
    remove();
    await open("/echo");
    expect(reported).toEqual(["open"]);
  });
});

describe("a listener that fails", () => {
  it("is logged, sync or async, and does not affect other listeners", async () => {
    const logged = new Mailbox<string>();
    const logger = { warn: () => undefined, error: (_message: string, error: unknown) => logged.put(String(error)) };
    const { app, open } = await startWith("/echo", Echo, { logger });
    app.on("open", () => {
      throw new Error("sync");
    });
    app.on("open", () => Promise.reject(new Error("async")));
    app.on("open", ({ request }) => logged.put(request.path));
    await open("/echo");
    expect([...(await logged.have(3))].sort()).toEqual(["/echo", "Error: async", "Error: sync"]);
  });
});

describe("an error of a hook", () => {
  it("is logged with the class and its route if it was in the handshake", async () => {
    class Failing extends WebSocketHandler {
      override authorize(): never {
        throw new Error("no database");
      }
      onMessage() {
        return undefined;
      }
    }
    const logged = new Mailbox<string>();
    const logger = { warn: () => undefined, error: (...line: unknown[]) => logged.put(line.map(String).join(" ")) };
    await using app = new App({ logger }).route("/tables/:table", Failing);
    await expect(connect(app, "/tables/1")).rejects.toMatchObject({ status: 500 });
    const owner = 'Failing ("/tables/:table")';
    expect(await logged.have(1)).toEqual([`enfilade: the handshake of ${owner} threw Error: no database`]);
  });

  it("is logged with the method, the class and its route", async () => {
    class Failing extends WebSocketHandler {
      override onConnect() {
        throw new Error("no table");
      }
      onMessage() {
        return undefined;
      }
    }
    const logged = new Mailbox<string>();
    const logger = { warn: () => undefined, error: (...line: unknown[]) => logged.put(line.map(String).join(" ")) };
    await using app = new App({ logger }).route("/tables/:table", Failing);
    await connect(app, "/tables/1");
    expect(await logged.have(1)).toEqual(['enfilade: onConnect of Failing ("/tables/:table") threw Error: no table']);
  });
});

describe("an App", () => {
  it("refuses unknown options and values of the wrong type", () => {
    const message = (make: () => unknown) => {
      try {
        make();
        return "no error";
      } catch (error) {
        return error instanceof Error ? error.message : "";
      }
    };
    expect(message(() => new App({ hanlders: [] } as object))).toMatch(
      /the app has no option "hanlders"; did you mean "handlers"\? It has: .*handlers/,
    );
    expect(message(() => new App().route("/x", Echo, { nmae: "x" } as object))).toMatch(/a route has no option "nmae"/);
    expect(message(() => new App().scope("/x", () => undefined, { auth: 1 } as object))).toMatch(
      /a scope has no option/,
    );
    expect(message(() => new App({ badMessage: "ignore" as "error" }))).toMatch(/"error" or "close", got "ignore"/);
    expect(message(() => new App({ compression: {} as boolean }))).toMatch(/compression takes a boolean/);
    expect(message(() => new App({ receiver: "uws" as "ws" }))).toMatch(/receiver takes "direct" or "ws", got "uws"/);
    expect(message(() => new App({ handlers: Echo as unknown as [] }))).toMatch(/handlers takes a list of classes/);
    const circular = [undefined] as unknown as [];
    expect(message(() => new App({ handlers: circular }))).toMatch(/got undefined; in a circular import/);
    expect(message(() => new App(null as unknown as object))).toMatch(/takes options, .* got null/);
    expect(message(() => new App(Echo as object))).toMatch(/takes options, .* got a function/);
    expect(message(() => new App({ receiver: (() => 1) as unknown as "ws" }))).toMatch(/"ws", got function/);
    expect(message(() => new App().scope("/x", undefined as unknown as () => void))).toMatch(/a function that adds/);
    expect(message(() => new App().route("/x", Echo, { params: ((x: unknown) => x) as never }))).toMatch(
      /takes a schema/,
    );
    const { registry } = new App();
    const wrong = "skip" as unknown as DeliveryPolicy;
    expect(message(() => registry.sendJSONToAll(1, { policy: wrong }))).toMatch(/takes reliable, skip or latest/);
    expect(message(() => registry.sendJSONToAll(1, { except: 5 as unknown as string }))).toMatch(
      /except takes a handler/,
    );
    expect(message(() => registry.room(undefined as unknown as string))).toMatch(/a room path is a string/);
    expect(message(() => registry.sendJSONToUser(true as unknown as string, 1))).toMatch(/got boolean/);
    expect(message(() => new App({ subprotocols: ["a b"] }))).toMatch(/subprotocols takes a list of names/);
  });

  it("refuses a value that is not a handler class, or has no route", () => {
    class Routeless extends Echo {}
    @Route("/parent")
    class Parent extends Echo {}
    class Child extends Parent {}
    expect(() => new App({ handlers: [Routeless] })).toThrow(/Routeless has no route: decorate it with @Route/);
    expect(() => new App({ handlers: [Child] })).toThrow(/Child has no route/);
    expect(() => new App({ handlers: [Parent] })).not.toThrow();
    expect(() => new App().route("/x", class {} as typeof Echo)).toThrow(/takes a class that extends WebSocketHandler/);
    expect(() => new App().route("/x", undefined as unknown as typeof Echo)).toThrow(/got undefined/);
    expect(() => new Routeless().sendText("x")).toThrow(/a handler has no request in its constructor/);
  });

  it.each(["8000x", Number.NaN, -1, 65_536, 1.5, null])(
    "refuses to listen on %j: Node would take some for the path of a socket",
    async (port) => {
      await using app = new App();
      await expect(app.listen(port as number)).rejects.toMatchObject({
        code: "ERR_OPTION",
        message: expect.stringContaining("listen() takes a port from 0 to 65535"),
      });
    },
  );

  it("accepts routes while it runs", async () => {
    const { app, open, url } = await startWith("/echo", Echo);
    await expect(open("/later")).rejects.toMatchObject({ status: 404 });
    app.route("/later", Echo);
    expect(await echo(`${url}/later`)).toBe("echo");
  });

  it("sends the messages of one tick in one write, after earlier messages", async () => {
    class Many extends WebSocketHandler {
      onMessage() {
        for (let n = 0; n < 10; n += 1) this.sendTextToThisRoom(String(n));
      }
    }
    const { port } = await startWith("/many", Many);
    const client = await rawConnection(port, "/many");
    const chunks: Buffer[] = [];
    client.socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    client.socket.write(clientFrame(0x81, "go"));
    await client.received("\x81\x019");
    expect(chunks.map((chunk) => chunk.length)).toEqual([30]);
  });
});
