import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { App, type ConnectionRequest, HttpError, Route, WebSocketHandler } from "../../src/index.js";
import { connectURL, ManualClock, type TestClient } from "../../src/testing/index.js";
import { missing, type PartName } from "../support/parts.js";
import { ChromiumClient } from "./chromium.js";
import { type Conversation, type ForeignClient, Refusal } from "./client.js";
import { pythonClient } from "./python.js";
import { standardClients } from "./standard.js";
import { wsClient } from "./ws.js";

const heartbeatMs = 1000;

@Route("/chat/:channel", { subprotocols: ["chat.v2", "chat.v1"], limits: { heartbeatMs } })
class Chat extends WebSocketHandler<{ channel: string }, string> {
  authorize({ query }: ConnectionRequest): string {
    const name = query.get("name");
    if (name === null) throw new HttpError(401, "say who you are: ?name=…");
    return name;
  }

  onJSON(message: unknown): void {
    if (message === "bye") this.close(4321, "see you, Zoë 👋");
    else this.sendJSONToThisRoom({ from: this.user, channel: this.params.channel, message });
  }

  onBinary(bytes: Uint8Array): void {
    this.sendBinaryToThisRoom(bytes.toReversed());
  }
}

/** A length of every class of frames (RFC 6455 5.2), and both sides of each border. */
const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000];

class Lengths extends WebSocketHandler {
  onJSON(): void {
    for (const length of lengths) {
      this.sendTextToThisRoom(textOf(length));
      this.sendBinaryToThisRoom(bytesOf(length));
    }
    this.sendText("compressed or not");
  }
}

@Route("/squeezed", { compression: true })
class Squeezed extends Lengths {}

@Route("/plain")
class Plain extends Lengths {}

/** Text without repetition, so that a frame cut in a wrong place is noticed. */
function textOf(length: number): string {
  return Array.from({ length }, (_, index) => String.fromCharCode(97 + ((index * index) % 26))).join("");
}

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * index) % 251);
}

interface TestServer {
  readonly app: App;
  readonly clock: ManualClock;
  readonly url: string;
  /** Another member of the room `/chat/general`, with a client that is known to work. */
  readonly other: TestClient;
  /** The server's end of the most recent WebSocket. */
  socket(): Duplex;
}

async function listen(server: Server): Promise<number> {
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A server with an empty page, for browsers. */
function pageServer(): Server {
  return createServer((_request, response) => {
    response.setHeader("content-type", "text/html").end("<!doctype html><title>foreign</title>");
  });
}

async function start(): Promise<TestServer> {
  const clock = new ManualClock();
  const app = new App({ handlers: [Chat, Plain, Squeezed], clock });
  const server = pageServer();
  app.attach(server);
  const sockets: Duplex[] = [];
  server.on("upgrade", (_request, socket) => sockets.push(socket));
  const url = `ws://127.0.0.1:${await listen(server)}`;
  onTestFinished(() => app.close());
  const other = await connectURL(`${url}/chat/general?name=other`);
  const socket = () => sockets.at(-1) ?? expect.fail("no client has connected");
  return { app, clock, url, other, socket };
}

function enter(scene: TestServer, client: ForeignClient, protocols?: readonly string[]): Promise<Conversation> {
  return client.connect(`${scene.url}/chat/general?name=Zo%C3%AB`, protocols);
}

const said = (message: unknown) => ({ from: "Zoë", channel: "general", message });

/** Resolves when a client's pong has arrived: RFC 6455 5.2, a final frame with opcode 10. */
async function waitForPong(socket: Duplex): Promise<void> {
  for (;;) {
    const [chunk] = await once(socket, "data");
    if (chunk[0] === 0x8a) return;
  }
}

const chromium = new ChromiumClient();
afterAll(() => chromium.quit());

const clients: { readonly client: ForeignClient; readonly needs?: PartName }[] = [
  { client: pythonClient, needs: "python" },
  ...standardClients.map((client) => ({ client })),
  { client: wsClient },
  { client: chromium, needs: "chromium" },
];

for (const { client, needs } of clients) {
  const leftOut = needs !== undefined && missing(needs, `the client ${client.name}`);

  describe.skipIf(leftOut)(`the client ${client.name}`, () => {
    it("talks to its room, and the other members receive it", async () => {
      const scene = await start();
      const ours = await enter(scene, client);
      ours.sendText('{"text":"hello"}');
      expect(await ours.inbox.nextJSON()).toEqual(said({ text: "hello" }));
      expect(await scene.other.readJSON()).toEqual(said({ text: "hello" }));
      scene.other.sendJSON("welcome");
      expect(await ours.inbox.nextJSON()).toEqual({ from: "other", channel: "general", message: "welcome" });
    });

    it.each(["/plain", "/squeezed"])("reads frames of every length, %s", async (path) => {
      const scene = await start();
      const ours = await client.connect(scene.url + path);
      ours.sendText("0");
      for (const length of lengths) {
        expect(await ours.inbox.next()).toBe(textOf(length));
        expect(Buffer.compare(Buffer.from(await ours.inbox.next()), bytesOf(length))).toBe(0);
      }
      expect(await ours.inbox.next()).toBe("compressed or not");
    });

    it("receives nothing from another room", async () => {
      const scene = await start();
      const elsewhere = await connectURL(`${scene.url}/chat/random?name=elsewhere`);
      const ours = await enter(scene, client);
      elsewhere.sendJSON("among us");
      await elsewhere.readJSON();
      ours.sendText('"first"');
      expect(await ours.inbox.nextJSON()).toEqual(said("first"));
    });

    it("sends and receives text of every script", async () => {
      const scene = await start();
      const ours = await enter(scene, client);
      const text = "Grüße, 世界, שלום, 👩‍👩‍👧, e\u0301, \u0000, \u2028";
      ours.sendText(JSON.stringify(text));
      expect(await ours.inbox.nextJSON()).toEqual(said(text));
      expect(await scene.other.readJSON()).toEqual(said(text));
    });

    it("sends and receives binary messages", async () => {
      const scene = await start();
      const ours = await enter(scene, client);
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      ours.sendBinary(bytes);
      expect(await ours.inbox.next()).toEqual(bytes.toReversed());
      expect([...(await scene.other.readBinary())]).toEqual([...bytes.toReversed()]);
    });

    it("sends and receives a message of 60 KiB", async () => {
      const scene = await start();
      const ours = await enter(scene, client);
      const text = "0123456789abcdef".repeat(60 * 64);
      ours.sendText(JSON.stringify(text));
      expect(await ours.inbox.nextJSON()).toEqual(said(text));
    });

    it("agrees on a subprotocol that both know, the one that the server prefers", async () => {
      const scene = await start();
      expect((await enter(scene, client, ["chat.v1", "chat.v3", "chat.v2"])).protocol).toBe("chat.v2");
      expect((await enter(scene, client)).protocol).toBe("");
    });

    it("never agrees on a subprotocol that the server does not know", async () => {
      const scene = await start();
      const agreed: string[] = [];
      scene.app.on("open", ({ protocol }) => agreed.push(protocol));
      // RFC 6455 4.1 lets a client continue without its offered subprotocol; browsers and ws do not.
      const shown = await enter(scene, client, ["chat.v3"]).then(
        ({ protocol }) => protocol,
        () => "",
      );
      expect([shown, ...agreed]).toEqual(["", ""]);
      expect((await enter(scene, client, ["chat.v3", "chat.v1"])).protocol).toBe("chat.v1");
    });

    it("gets the code and the reason of the server's close", async () => {
      const scene = await start();
      const ours = await enter(scene, client);
      ours.sendText('"bye"');
      expect(await ours.inbox.closed).toMatchObject({ code: 4321, reason: "see you, Zoë 👋" });
    });

    it("gets the close of a server that shuts down", async () => {
      const scene = await start();
      const { inbox } = await enter(scene, client);
      await scene.app.close();
      expect(await inbox.closed).toMatchObject({ code: 1001, reason: "server shutting down" });
    });

    it("leaves its room when it closes", async () => {
      const scene = await start();
      const conversation = await enter(scene, client);
      const closed = new Promise<unknown[]>((resolve) => scene.app.on("close", (...args) => resolve(args)));
      conversation.close();
      const [, code] = await closed;
      expect([1000, 1005]).toContain(code);
      expect(scene.app.registry.room("/chat/general").size).toBe(1);
    });

    it("answers the pings of the heartbeat, and stays connected", async () => {
      const scene = await start();
      const ours = await enter(scene, client);
      for (let beat = 0; beat < 4; beat += 1) {
        const pong = waitForPong(scene.socket());
        scene.clock.advance(heartbeatMs);
        await pong;
      }
      ours.sendText('"still here"');
      expect(await ours.inbox.nextJSON()).toEqual(said("still here"));
    });

    it("is refused with 401 without credentials", async () => {
      const { url, app } = await start();
      const refused = client.connect(`${url}/chat/general`);
      await expect(refused).rejects.toThrow(Refusal);
      await expect(refused).rejects.toMatchObject({ status: client.showsStatus ? 401 : undefined });
      // Not the number of requests: undici asks twice after a 401, as the Fetch standard requires.
      const { refused: refusals, opened } = app.status().totals;
      expect([refusals > 0, opened]).toEqual([true, 1]);
    });

    it("is closed with 1009 for a message that is too large", async () => {
      const scene = await start();
      const ours = await enter(scene, client);
      ours.sendText(JSON.stringify("x".repeat(64 * 1024)));
      expect(await ours.inbox.closed).toMatchObject({ code: 1009 });
    });
  });
}

describe.skipIf(missing("python", "a ping of python3-websockets"))("a ping", () => {
  it.each([pythonClient, wsClient])("of $name is answered", async (client) => {
    const scene = await start();
    const ours = await enter(scene, client);
    expect(ours.ping).toBeDefined();
    await ours.ping?.();
  });
});

describe.skipIf(missing("chromium", "a page of another origin"))("a page of another origin", () => {
  it("is refused", async () => {
    const { url, app } = await start();
    const elsewhere = `http://127.0.0.1:${await listen(pageServer())}`;
    await expect(chromium.connectFrom(elsewhere, `${url}/chat/general?name=Eve`)).rejects.toThrow(Refusal);
    expect(app.status().totals.refused).toBe(1);
  });
});
