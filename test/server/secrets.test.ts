import { createServer } from "node:http";
import { inspect } from "node:util";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { channels, traces } from "../../src/diagnostics.js";
import {
  App,
  anonymous,
  type ConnectionRequest,
  EventHandler,
  HttpError,
  On,
  WebSocketHandler,
} from "../../src/index.js";
import { connectURL } from "../../src/testing/index.js";
import { tickets } from "../../src/tickets/index.js";
import { start } from "../support/app.js";
import { answerTo, rawClient, upgradeRequest } from "../support/raw.js";

const canary = "canary-0123456789abcdef";
/** The token in all forms in which it may appear. */
const forms = [canary, Buffer.from(canary).toString("base64url"), encodeURIComponent(canary), canary.slice(0, 8)];

const withToken = {
  query: [`?token=${canary}`, {}],
  header: ["", { Authorization: `Bearer ${canary}` }],
  cookie: ["", { Cookie: `session=${canary}` }],
  subprotocol: ["", { "Sec-WebSocket-Protocol": `enfilade.v1, enfilade.token.${forms[1]}` }],
  "all of them": [
    `?token=${canary}`,
    {
      Authorization: `Bearer ${canary}`,
      Cookie: `session=${canary}`,
      "Sec-WebSocket-Protocol": `enfilade.v1, enfilade.token.${forms[1]}`,
    },
  ],
} satisfies Record<string, [query: string, headers: Record<string, string>]>;

/** Everything that the process and the app put out, as text. */
class Outputs {
  readonly all: string[] = [];

  readonly add = (...values: unknown[]): void => {
    for (const value of values) {
      this.all.push(typeof value === "string" ? value : inspect(value, { depth: 8, showHidden: true }));
      if (typeof value === "object" && value !== null) this.all.push(asJSON(value));
    }
  };

  /** Also records what the process writes until the end of the test. */
  watchProcess(): void {
    // vitest has its own console, which does not write to the streams of the process.
    for (const method of ["log", "info", "warn", "error", "debug"] as const) {
      const spy = vi.spyOn(console, method).mockImplementation(this.add);
      onTestFinished(() => spy.mockRestore());
    }
    for (const stream of [process.stdout, process.stderr]) {
      const spy = vi.spyOn(stream, "write").mockImplementation((chunk: string | Uint8Array) => {
        this.all.push(Buffer.from(chunk).toString());
        return true;
      });
      onTestFinished(() => spy.mockRestore());
    }
  }

  /** Records the messages on all channels for diagnostics, and on those for tracing. */
  watchChannels(): void {
    const listener = (message: unknown) => this.add(withoutApp(message));
    for (const channel of [channels.opened, channels.closed, channels.refused, channels.failed]) {
      channel.subscribe(listener);
      onTestFinished(() => void channel.unsubscribe(listener));
    }
    const spans = { start: listener, end: listener, asyncStart: listener, asyncEnd: listener, error: listener };
    for (const trace of Object.values(traces)) {
      trace.subscribe(spans);
      onTestFinished(() => void trace.unsubscribe(spans));
    }
  }

  expectNoToken(): void {
    const text = this.all.join("\n");
    for (const form of forms) expect(text.includes(form), text).toBe(false);
  }
}

/** The app is the same in all messages, and has too much to show. */
function withoutApp(message: unknown): unknown {
  return typeof message === "object" ? { ...message, app: undefined } : message;
}

function asJSON(value: object): string {
  const seen = new Set<unknown>();
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === "object" && inner !== null && seen.has(inner)) return undefined;
    seen.add(inner);
    return inner;
  });
}

/** The answer to a plain request, whose connection the server keeps open. */
async function firstAnswerTo(port: number, request: string): Promise<string> {
  const client = await rawClient(port);
  client.socket.write(request);
  await client.received("\r\n\r\n");
  client.socket.end();
  return String(await client.ended);
}

const checked = tickets<{ id: string }>({ secret: "x".repeat(32) });

class Gated extends WebSocketHandler {
  override authorize({ path, token }: ConnectionRequest) {
    if (path === "/throw") throw new Error("the database is away");
    if (path === "/forbid") throw new HttpError(403, "not you");
    return path === "/ok" && token !== "refused" ? { id: "ann" } : anonymous;
  }
  onJSON() {
    this.sendJSON("ok");
  }
}

class Ticketed extends WebSocketHandler {
  override authorize(request: ConnectionRequest): Promise<{ id: string }> {
    return checked.verify(request);
  }
  onJSON() {
    this.sendJSON("ok");
  }
}

/** Throws the errors of reads, so that they are reported. */
class Reads extends WebSocketHandler {
  async serve() {
    try {
      await this.connection.readJSON();
    } catch (error) {
      throw new Error("cannot read", { cause: error });
    }
  }
}

class Events extends EventHandler {
  @On("sign", { schema: z.object({ name: z.string() }) })
  onSign() {
    return "ok";
  }
}

function startGated(outputs: Outputs, isLogged: boolean) {
  const logger = { warn: outputs.add, error: outputs.add };
  const app = new App({ logger: isLogged ? logger : console, limits: { connectionsPerUserMax: 3 } });
  for (const path of ["/ok", "/throw", "/forbid"]) app.route(path, Gated);
  app.route("/numbers/:n", Gated, { params: z.object({ n: z.literal("1") }) });
  app.route("/origin", Gated, { origins: ["https://example.com"] });
  app.route("/ticket", Ticketed).route("/reads", Reads).route("/events", Events);
  app.tap({ direction: "lifecycle" }, ({ entries }) => outputs.add(...entries));
  if (!isLogged) return app;
  app.on("error", outputs.add);
  app.on("open", (connection) => outputs.add(connection, connection.request));
  return app;
}

describe("a token", () => {
  const targets = ["/ok", "/throw", "/forbid", "/numbers/2", "/origin", "/ticket", "/nowhere", "/%ff"];

  it.each(Object.entries(withToken))(
    "in the %s appears in no output of any handshake",
    async (_where, [query, more]) => {
      for (const isLogged of [true, false]) {
        const outputs = new Outputs();
        outputs.watchProcess();
        outputs.watchChannels();
        const app = startGated(outputs, isLogged);
        const server = createServer();
        const port = await new Promise<number>((resolve) => {
          app.attach(server);
          server.listen(0, "127.0.0.1", () => resolve(Object(server.address()).port));
        });
        for (const target of targets) {
          const headers: Record<string, string> = { ...more };
          if (target === "/origin") headers.Origin = "https://evil.example";
          const isOpen = target === "/ok" || "Sec-WebSocket-Protocol" in headers;
          const request = upgradeRequest(`${target}${query}`, headers);
          // A close frame of the client ends the connections that were opened.
          const close = isOpen ? Buffer.from([0x88, 0x80, 0, 0, 0, 0]) : Buffer.alloc(0);
          outputs.add(await answerTo(port, Buffer.concat([Buffer.from(request), close])));
          outputs.add(await answerTo(port, request.replace("Host: localhost\r\n", "")));
          outputs.add(await answerTo(port, request.replace("Upgrade: websocket", "Upgrade: h2c")));
          const plain = request.replace(/Upgrade: websocket\r\nConnection: Upgrade/, "Connection: close");
          outputs.add(await firstAnswerTo(port, plain));
        }
        outputs.add(app.status(), app.routes);
        await app.close();
        server.close();
        expect(outputs.all.length).toBeGreaterThan(4 * targets.length);
        outputs.expectNoToken();
      }
    },
  );

  it("in a message appears in no log, error, reply, status or close reason", async () => {
    const outputs = new Outputs();
    outputs.watchProcess();
    outputs.watchChannels();
    const { url, app } = await start(startGated(outputs, true));
    const texts = [
      canary,
      `{"token":${canary}}`,
      `{"token":"${canary}"`,
      `{"event":"sign","data":{"name":7,"t":"${canary}"}}`,
    ];
    const paths = ["/ok", "/reads", "/events"];
    for (const path of paths) {
      for (const text of texts) {
        for (const protocols of [[], ["enfilade.v1"]]) {
          const client = await connectURL(url + path, { protocols });
          client.sendText(text);
          client.sendJSON({ type: "refresh", token: canary });
          await client.close();
          outputs.add(await client.closed);
        }
      }
    }
    outputs.add(app.status());
    expect(outputs.all.some((text) => text.includes("cannot read"))).toBe(true);
    outputs.expectNoToken();
  });
});
