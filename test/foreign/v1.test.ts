import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import {
  App,
  type AppOptions,
  anonymous,
  type ConnectionRequest,
  EventError,
  EventHandler,
  HttpError,
  On,
  type Position,
  type RouteOptions,
  skip,
  WebSocketHandler,
} from "../../src/index.js";
import { closes, Mailbox, type RunningApp, start } from "../support/app.js";
import { command, missing } from "../support/parts.js";

const script = fileURLToPath(new URL("v1.py", import.meta.url));

/** Events from v1.py. */
interface ClientEvent {
  readonly event: string;
  readonly [detail: string]: unknown;
}

interface Message extends ClientEvent {
  readonly offset: number;
  readonly data: unknown;
}

interface Welcome {
  readonly id: string;
  readonly room: string;
  readonly position?: Position;
  readonly recovered?: boolean;
  readonly reason?: string;
  readonly missed?: number;
  readonly heartbeatMs: number;
}

interface ClientSettings {
  readonly token?: string;
  /** Its client id, instead of a random one. */
  readonly client?: string;
  /** The maximum of the first wait, and of any wait, in seconds. */
  readonly base?: number;
  readonly cap?: number;
  /** A number from 0 to 1 instead of the random part of a wait. */
  readonly random?: number;
  /** Seconds after which an open connection resets the waits. */
  readonly steady?: number;
  /** Seconds to wait for a welcome, and for a pong. */
  readonly patience?: number;
}

const quick: ClientSettings = { base: 0.001, cap: 0.01, random: 1 };

/** A client that was written from PROTOCOL.md, as a process of its own. */
class PythonClient {
  readonly events = new Mailbox<ClientEvent>();
  readonly #child: ChildProcessWithoutNullStreams;
  #read = 0;
  #lastOffset = 0;

  constructor(url: string, settings: ClientSettings = {}) {
    this.#child = spawn(command("python"), [script, url, JSON.stringify({ ...quick, ...settings })]);
    onTestFinished(() => void this.#child.kill("SIGKILL"));
    this.#child.stderr.pipe(process.stderr);
    this.#child.stdin.on("error", () => undefined); // The process has ended; the error is reported below.
    createInterface({ input: this.#child.stdout })
      .on("line", (line) => this.#onEvent(JSON.parse(line)))
      .once("close", () => this.events.put({ event: "gone" }));
  }

  /** The next event of this kind; earlier events of other kinds are skipped. */
  async next(event: string): Promise<ClientEvent> {
    for (;;) {
      const found = (await this.events.have(this.#read + 1))[this.#read];
      this.#read += 1;
      if (found?.event === event) return found;
      if (found?.event === "gone")
        throw new Error(`v1.py has ended without the event ${event}: ${JSON.stringify(this.events.all)}`);
    }
  }

  async welcome(): Promise<Welcome> {
    return (await this.next("welcome")).frame as Welcome;
  }

  async messages(count: number): Promise<Message[]> {
    const messages: Message[] = [];
    while (messages.length < count) messages.push((await this.next("message")) as Message);
    return messages;
  }

  /** Resolves when it has reported the message with this offset. */
  async keepsUp(offset: number): Promise<void> {
    while (this.#lastOffset < offset) await this.events.have(this.events.all.length + 1);
  }

  /** All events of this kind so far. */
  all(event: string): ClientEvent[] {
    return this.events.all.filter((one) => one.event === event);
  }

  /** Sends a frame that needs a reply, and sends it again on each connection until it has one. */
  ask(frame: object): void {
    this.#order({ do: "ask", frame });
  }

  /** Sends a frame once, unchanged. */
  say(frame: unknown): void {
    this.#order({ do: "say", frame });
  }

  binary(bytes: Uint8Array): void {
    this.#order({ do: "binary", base64: Buffer.from(bytes).toString("base64") });
  }

  renew(token: string): void {
    this.#order({ do: "renew", token });
  }

  #onEvent(event: ClientEvent): void {
    if (event.event === "message") this.#lastOffset = Number(event.offset);
    this.events.put(event);
  }

  #order(order: object): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }
}

/** The connection between a client and its server, which the test can cut. */
class TestProxy {
  /** Whether new connections lead to no server. */
  down = false;
  /** All bytes from a server. */
  readonly answers: Buffer[] = [];
  readonly #server: Server;
  readonly #ends = new Map<Socket, Socket>();
  #port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.#port = port;
  }

  static async to(port: number): Promise<TestProxy> {
    const server = createServer();
    const proxy = new TestProxy(server, port);
    server.on("connection", (client) => proxy.#join(client));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
      proxy.cut();
    });
    return proxy;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Leads future connections to another server. */
  lead(port: number): void {
    this.#port = port;
  }

  /** Resets all connections. Unless the server notices, it keeps them open. */
  cut({ noticed = true } = {}): void {
    for (const [client, server] of this.#ends) {
      if (noticed) server.resetAndDestroy();
      else onTestFinished(() => void server.destroy());
      client.resetAndDestroy();
    }
    this.#ends.clear();
  }

  /** Holds back the bytes of servers on the current connections. */
  hold(): void {
    for (const server of this.#ends.values()) server.pause();
  }

  release(): void {
    for (const server of this.#ends.values()) server.resume();
  }

  #join(client: Socket): void {
    client.on("error", () => undefined);
    if (this.down) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#port, "127.0.0.1");
    this.#ends.set(client, server);
    server.on("error", () => client.destroy());
    server.on("data", (chunk) => {
      this.answers.push(chunk);
      // A slow client makes the server slow too.
      if (!client.write(chunk) && !client.destroyed) {
        server.pause();
        client.once("drain", () => server.resume());
      }
    });
    server.on("end", () => client.end());
    client.on("data", (chunk) => void server.write(chunk));
    client.on("close", () => {
      if (this.#ends.delete(client)) server.destroy();
    });
  }
}

interface HandledRequest {
  readonly id: string;
  readonly data: unknown;
}

/** Events in the handlers below, for tests to wait for. */
class HandlerLog {
  readonly ran = new Mailbox<HandledRequest>();
  /** The promise that a slow method awaits. */
  readonly gate = new Mailbox<true>();
}

const handlerLogs = new WeakMap<App, HandlerLog>();

function handlerLogOf(app: object): HandlerLog {
  const handlerLog = handlerLogs.get(app as App) ?? new HandlerLog();
  handlerLogs.set(app as App, handlerLog);
  return handlerLog;
}

class Talk extends WebSocketHandler {
  onJSON(message: unknown): void {
    handlerLogOf(this.app).ran.put({ id: this.id, data: message });
    if (message === "to all but me") this.sendJSONToThisRoom(message, { except: this });
    else if (message === "fail") throw new Error("a detail");
    else this.sendJSONToThisRoom(message);
  }

  onBinary(bytes: Uint8Array): void {
    this.sendBinaryToThisRoom(bytes.toReversed());
  }

  onError(): void {
    // `fail` throws on purpose.
  }
}

class Counter extends EventHandler {
  @On("count")
  onCount(data: unknown): { nth: number } {
    const { ran } = handlerLogOf(this.app);
    ran.put({ id: this.id, data });
    return { nth: ran.all.length };
  }

  @On("take-time")
  async onTakeTime(data: unknown): Promise<{ nth: number }> {
    const answer = this.onCount(data);
    await handlerLogOf(this.app).gate.have(1);
    return answer;
  }

  @On("tell-much")
  onTellMuch(data: unknown): string {
    this.onCount(data);
    return "x".repeat(10_000);
  }

  @On("refuse")
  onRefuse(): void {
    this.onCount("refuse");
    throw new EventError("too_late", "it is over");
  }

  @On("fail")
  onFail(data: unknown): void {
    this.onCount(data);
    throw new Error("a detail");
  }

  @On("leave")
  onLeave(code: number): void {
    this.close(code, "as you like");
  }

  onError(): void {
    // `fail` throws on purpose.
  }
}

interface TestChat extends RunningApp {
  readonly proxy: TestProxy;
  readonly handlerLog: HandlerLog;
  readonly room: ReturnType<App["registry"]["room"]>;
  connectClient(settings?: ClientSettings, query?: string): PythonClient;
}

const history = { size: 1000 };

/** For clients that receive many messages at once. */
const roomy = {
  recoverMessagesMax: 1e6,
  outboxBytesMax: 2 ** 30,
  historyBytesMax: 2 ** 31,
  subscriberMessagesMax: 1e6,
};

async function startChat(
  handler: new () => WebSocketHandler = Talk,
  route: RouteOptions = { history },
  options: AppOptions = {},
): Promise<TestChat> {
  const running = await start(new App(options).route("/chat/:room", handler, route));
  const proxy = await TestProxy.to(running.port);
  return {
    ...running,
    proxy,
    handlerLog: handlerLogOf(running.app),
    room: running.app.registry.room("/chat/a"),
    connectClient: (settings, query = "") => new PythonClient(`${proxy.url}/chat/a${query}`, settings),
  };
}

const numbers = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

/** Publishes the numbers from `first` to `last`. */
async function publish({ room }: TestChat, first: number, last: number): Promise<void> {
  for (const number of numbers(first, last)) await room.publish(number);
}

/** Messages whose content is their number. */
const numbered = (first: number, last: number) =>
  numbers(first, last).map((offset) => ({ event: "message", offset, data: offset }));

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Disconnects `client`, publishes meanwhile, and lets it reconnect. */
async function cutWhile(chat: TestChat, client: PythonClient, work: () => unknown, options?: { noticed: boolean }) {
  chat.proxy.down = true;
  chat.proxy.cut(options);
  expect(await client.next("closed")).toMatchObject({ code: 1006 });
  await work();
  chat.proxy.down = false;
}

describe.skipIf(missing("python", "a client of enfilade.v1 in another language"))("a client of enfilade.v1", () => {
  describe("on one connection", () => {
    it("gets a welcome, and publications with their numbers", async () => {
      const here = await startChat();
      await here.room.publish("before");
      const client = here.connectClient();
      const welcome = await client.next("welcome");
      const position = { epoch: expect.any(String), offset: 1 };
      const [id, secret] = [expect.any(String), expect.stringMatching(/^[\w-]{22}$/)];
      const frame = { id, room: "/chat/a", secret, position, heartbeatMs: 25_000 };
      expect(welcome).toEqual({ event: "welcome", protocol: "enfilade.v1", frame });
      await here.room.publish({ text: "hello" });
      await here.room.publish(null);
      here.room.sendText("Grüße, 世界 👋");
      here.room.sendBinary(Uint8Array.of(0, 127, 255));
      expect(await client.messages(4)).toEqual([
        { event: "message", offset: 2, data: { text: "hello" } },
        { event: "message", offset: 3, data: null },
        { event: "message", offset: 4, text: "Grüße, 世界 👋" },
        { event: "message", offset: 5, base64: "AH//" },
      ]);
    });

    it("starts at position 0 if nothing was published yet, and gets number 1 next", async () => {
      const here = await startChat();
      const client = here.connectClient();
      expect((await client.welcome()).position).toEqual({ epoch: expect.any(String), offset: 0 });
      await publish(here, 1, 1);
      expect(await client.messages(1)).toEqual(numbered(1, 1));
    });

    it("first gets the last messages on a route with replay, and its position is before them", async () => {
      const here = await startChat(Talk, { history, replay: 3 });
      await publish(here, 1, 5);
      const client = here.connectClient();
      expect((await client.welcome()).position).toMatchObject({ offset: 2 });
      await publish(here, 6, 6);
      expect(await client.messages(4)).toEqual(numbered(3, 6));
    });

    it("gets the room and the offset of each message", async () => {
      class Wanderer extends Talk {
        authorize() {
          return { id: "zoë" };
        }

        onConnect(): void {
          this.join("/elsewhere");
        }
      }
      const here = await startChat(Wanderer);
      const client = here.connectClient();
      const { id } = await client.welcome();
      const { registry } = here.app;
      registry.connection(id)?.sendJSON("you");
      registry.sendJSONToUser("zoë", "your user");
      registry.sendJSONToAll("everyone");
      registry.sendJSONToRoom("/elsewhere", "there");
      registry.sendJSONToRoom("/chat/**", "the tree");
      registry.sendJSONToRoom("/chat/a", "here");
      expect(await client.messages(6)).toEqual([
        { event: "message", data: "you" },
        { event: "message", data: "your user" },
        { event: "message", data: "everyone" },
        { event: "message", data: "there", room: "/elsewhere" },
        { event: "message", data: "the tree", room: "/chat/**" },
        { event: "message", data: "here", offset: 1 },
      ]);
    });

    it("only counts a publication that was not meant for it", async () => {
      const here = await startChat();
      const client = here.connectClient();
      await client.welcome();
      client.say({ type: "message", data: "to all but me" });
      client.say({ type: "message", data: "to everyone" });
      expect(await client.next("counted")).toEqual({ event: "counted", offset: 1 });
      expect(await client.messages(1)).toEqual([{ event: "message", offset: 2, data: "to everyone" }]);
      expect(client.all("jump")).toEqual([]);
    });

    it("exchanges messages with a plain client unchanged, in both directions", async () => {
      const here = await startChat();
      const client = here.connectClient();
      await client.welcome();
      const plain = await here.open("/chat/a");
      client.say({ type: "message", data: { from: "v1" } });
      expect(await plain.readText()).toBe('{"from":"v1"}');
      client.binary(Uint8Array.of(1, 2, 3));
      expect([...(await plain.readBinary())]).toEqual([3, 2, 1]);
      plain.sendJSON("from plain");
      expect(await client.messages(3)).toEqual([
        { event: "message", offset: 1, data: { from: "v1" } },
        { event: "message", offset: 2, base64: "AwIB" },
        { event: "message", offset: 3, data: "from plain" },
      ]);
    });

    it("gets a pong if it receives nothing for a heartbeat", async () => {
      const here = await startChat(Talk, { history, limits: { heartbeatMs: 500 } });
      const client = here.connectClient();
      expect(await client.welcome()).toMatchObject({ heartbeatMs: 500 });
      for (let beat = 0; beat < 2; beat += 1) await client.next("pong");
      expect(client.all("closed")).toEqual([]);
    });

    it("gets the number of lost messages, by a jump or by `lagged`, when the policy allows loss", async () => {
      const here = await startChat(Talk, { history: { size: 10_000, bytesMax: 2 ** 30 } });
      const client = here.connectClient();
      await client.welcome();
      here.proxy.hold();
      const text = "x".repeat(60_000);
      const count = 400;
      // More than the buffers of the system can hold.
      for (let sent = 0; sent < count; sent += 1) {
        await here.room.publish({ text }, { policy: skip, keep: true });
        here.app.registry.sendJSONToAll({ text }, { policy: skip });
        await turn();
      }
      here.proxy.release();
      for (const member of here.room.members()) await member.flushed();
      await here.room.publish("last");
      here.app.registry.sendJSONToAll("all");
      let messages: Message[] = [];
      do messages = messages.concat(await client.messages(1));
      while (messages.at(-1)?.data !== "all");
      const sum = (lost: readonly ClientEvent[]) => lost.reduce((all, { missed }) => all + Number(missed), 0);
      const lagged = client.all("lagged");
      const jumped = sum(client.all("jump")) + sum(lagged.filter(({ position }) => position !== undefined));
      const dropped = sum(lagged.filter(({ position }) => position === undefined));
      expect(Math.min(jumped, dropped)).toBeGreaterThan(0);
      const withNumber = messages.filter(({ offset }) => offset !== undefined);
      expect(withNumber.length + jumped).toBe(count + 1);
      expect(messages.length - withNumber.length + dropped).toBe(count + 1);
    });
  });

  describe("that is cut off", () => {
    it.each([true, false])(
      "recovers exactly the missed publications, in order, and then continues; noticed: %s",
      async (noticed) => {
        const here = await startChat();
        const client = here.connectClient();
        const { position } = await client.welcome();
        await publish(here, 1, 3);
        expect(await client.messages(3)).toEqual(numbered(1, 3));
        await cutWhile(here, client, () => publish(here, 4, 9), { noticed });
        const welcome = await client.welcome();
        expect(welcome).toMatchObject({ recovered: true, position: { epoch: position?.epoch, offset: 3 } });
        expect(welcome).not.toHaveProperty("reason");
        await publish(here, 10, 12);
        expect(await client.messages(9)).toEqual(numbered(4, 12));
        expect([client.all("again"), client.all("jump")]).toEqual([[], []]);
        expect(here.room.size).toBe(noticed ? 1 : 2);
      },
    );

    it("recovers if it had received nothing yet and the room was empty", async () => {
      const here = await startChat();
      const client = here.connectClient();
      await client.welcome();
      const left = closes(here.app, 1);
      await cutWhile(here, client, async () => {
        await left;
        await publish(here, 1, 3);
      });
      expect(await client.welcome()).toMatchObject({ recovered: true, position: { offset: 0 } });
      expect(await client.messages(3)).toEqual(numbered(1, 3));
    });

    it("recovers nothing if it missed nothing, without a replay", async () => {
      const here = await startChat(Talk, { history, replay: 5 });
      const client = here.connectClient();
      await client.welcome();
      await publish(here, 1, 3);
      await client.messages(3);
      await cutWhile(here, client, () => undefined);
      expect(await client.welcome()).toMatchObject({ recovered: true, position: { offset: 3 } });
      await publish(here, 4, 4);
      expect(await client.messages(1)).toEqual(numbered(4, 4));
      expect(client.all("again")).toEqual([]);
    });

    it("recovers over compressed frames too", async () => {
      const here = await startChat(Talk, { history, compression: true });
      const client = here.connectClient();
      await client.welcome();
      await publish(here, 1, 2);
      await client.messages(2);
      await cutWhile(here, client, () => publish(here, 3, 60));
      expect(await client.welcome()).toMatchObject({ recovered: true });
      await publish(here, 61, 62);
      expect(await client.messages(60)).toEqual(numbered(3, 62));
      expect(Buffer.concat(here.proxy.answers).toString("latin1")).toMatch(
        /^sec-websocket-extensions: permessage-deflate/im,
      );
    });

    it("counts publications that were not meant for it up to its new position", async () => {
      const here = await startChat();
      const client = here.connectClient();
      await client.welcome();
      client.say({ type: "message", data: "to all but me" });
      await client.next("counted");
      await cutWhile(here, client, () => here.room.publish("missed"));
      expect(await client.welcome()).toMatchObject({ recovered: true, position: { offset: 1 } });
      expect(await client.messages(1)).toEqual([{ event: "message", offset: 2, data: "missed" }]);
    });

    it("does not get a publication that excepted it when it recovers", async () => {
      const here = await startChat();
      const client = here.connectClient();
      await client.welcome();
      here.proxy.hold();
      client.ask({ type: "message", data: "to all but me" });
      await here.handlerLog.ran.have(1);
      await cutWhile(here, client, () => here.room.publish("to all"));
      expect(await client.welcome()).toMatchObject({ recovered: true, position: { offset: 0 } });
      expect(await client.messages(1)).toEqual([{ event: "message", offset: 2, data: "to all" }]);
      expect(client.all("counted")).toEqual([{ event: "counted", offset: 1 }]);
    });

    it("loses nothing and gets nothing twice over any number of reconnects during publications", async () => {
      const here = await startChat(Talk, { history: { size: 100_000, bytesMax: 2 ** 30 } }, { limits: roomy });
      const client = here.connectClient();
      await client.welcome();
      let last = 0;
      for (let round = 0; round < 25; round += 1) {
        for (let some = 0; some < 20; some += 1) {
          await publish(here, last + 1, last + 10);
          last += 10;
          await turn();
        }
        here.proxy.cut({ noticed: round % 2 === 0 });
        await publish(here, last + 1, last + 10);
        last += 10;
        await client.welcome();
      }
      await publish(here, last + 1, last + 1);
      while ((await client.next("message")).offset !== last + 1);
      expect(client.all("message")).toEqual(numbered(1, last + 1));
      expect([client.all("again"), client.all("jump")]).toEqual([[], []]);
    });

    it("waits longer after each attempt, up to a maximum, and starts again once it was open for long", async () => {
      const here = await startChat();
      const client = here.connectClient({ base: 0.001, cap: 0.01, random: 1, steady: 0 });
      await client.welcome();
      await cutWhile(here, client, async () => {
        for (let attempt = 0; attempt < 7; attempt += 1) await client.next("waits");
      });
      await client.welcome();
      await cutWhile(here, client, () => client.next("waits"));
      await client.welcome();
      const waits = client.all("waits");
      const again = waits.findLastIndex(({ attempt }) => attempt === 0);
      const seconds = [0.001, 0.002, 0.004, 0.008, 0.01, 0.01, 0.01];
      expect(waits.slice(0, 7)).toEqual(seconds.map((seconds, attempt) => ({ event: "waits", attempt, seconds })));
      expect(again).toBeGreaterThanOrEqual(7);
    });

    it("detects a dead connection by itself, and recovers on another", async () => {
      const here = await startChat(Talk, { history, limits: { heartbeatMs: 300 } });
      const client = here.connectClient({ patience: 0.1 });
      await client.welcome();
      await publish(here, 1, 1);
      await client.messages(1);
      here.proxy.hold();
      await publish(here, 2, 4);
      expect(await client.next("closed")).toMatchObject({ code: 1006 });
      expect(await client.welcome()).toMatchObject({ recovered: true, position: { offset: 1 } });
      expect(await client.messages(3)).toEqual(numbered(2, 4));
    });

    it("comes back after a 503, and not after a 401", async () => {
      const statuses = [503, 429, 401];
      class Door extends Talk {
        authorize({ query }: ConnectionRequest) {
          const status = query.has("since") ? statuses.shift() : undefined;
          if (status !== undefined) throw new HttpError(status);
          return anonymous;
        }
      }
      const here = await startChat(Door);
      const client = here.connectClient();
      await client.welcome();
      await cutWhile(here, client, () => undefined);
      await client.next("ended");
      expect(client.all("refused").map(({ status }) => status)).toEqual([503, 429]);
      expect(client.all("closed").at(-1)).toMatchObject({ code: 4501, reason: "unauthorized" });
      expect(statuses).toEqual([]);
    });
  });

  describe("that cannot recover", () => {
    it("is notified that publications were trimmed and how many it missed, and continues from there", async () => {
      const here = await startChat(Talk, { history: { size: 4 }, replay: 2 });
      const client = here.connectClient();
      const { position } = await client.welcome();
      await publish(here, 1, 3);
      await client.messages(3);
      await cutWhile(here, client, () => publish(here, 4, 12));
      const expected = {
        recovered: false,
        reason: "trimmed",
        missed: 5,
        position: { epoch: position?.epoch, offset: 8 },
      };
      expect(await client.welcome()).toMatchObject(expected);
      await publish(here, 13, 13);
      expect(await client.messages(5)).toEqual(numbered(9, 13));
      expect([client.all("again"), client.all("jump")]).toEqual([[], []]);
    });

    it("recovers if exactly the missed publications are kept, and not with one less", async () => {
      const here = await startChat(Talk, { history: { size: 4 } });
      const client = here.connectClient();
      await client.welcome();
      await publish(here, 1, 1);
      await client.messages(1);
      await cutWhile(here, client, () => publish(here, 2, 5));
      expect(await client.welcome()).toMatchObject({ recovered: true });
      expect(await client.messages(4)).toEqual(numbered(2, 5));
      await cutWhile(here, client, () => publish(here, 6, 10));
      expect(await client.welcome()).toMatchObject({ recovered: false, reason: "trimmed", missed: 1 });
      expect(await client.messages(4)).toEqual(numbered(7, 10));
    });

    it("gets all that it missed, in several pages", async () => {
      const here = await startChat(Talk, { history, replay: 1 }, { limits: { recoverMessagesMax: 3 } });
      const client = here.connectClient();
      await client.welcome();
      await publish(here, 1, 1);
      await client.messages(1);
      await cutWhile(here, client, () => publish(here, 2, 12));
      expect(await client.welcome()).toMatchObject({ recovered: true });
      expect(await client.messages(11)).toEqual(numbered(2, 12));
    });

    it("is notified that it missed more than it may recover", async () => {
      const here = await startChat(Talk, { history, replay: 1 }, { limits: { recoverTotalMessagesMax: 3 } });
      const client = here.connectClient();
      await client.welcome();
      await publish(here, 1, 1);
      await client.messages(1);
      await cutWhile(here, client, () => publish(here, 2, 5));
      const expected = { recovered: false, reason: "limit", missed: 1, position: { offset: 2 } };
      expect(await client.welcome()).toMatchObject(expected);
      expect(await client.messages(3)).toEqual(numbered(3, 5));
    });

    it("gets no more than it missed, and nothing twice, if the replay is larger than the recovery limit", async () => {
      const here = await startChat(Talk, { history, replay: 10 }, { limits: { recoverTotalMessagesMax: 3 } });
      const client = here.connectClient();
      await client.welcome();
      await publish(here, 1, 3);
      await client.messages(3);
      await cutWhile(here, client, () => publish(here, 4, 8));
      const { missed = 0 } = await client.welcome();
      await publish(here, 9, 9);
      while ((await client.next("message")).offset !== 9);
      expect(missed).toBeGreaterThanOrEqual(0);
      expect(client.all("message")).toEqual(numbered(1, 3).concat(numbered(4 + missed, 9)));
    });

    it("is notified that a fresh server does not know its position, and gets what that keeps", async () => {
      const here = await startChat();
      const client = here.connectClient();
      const { position } = await client.welcome();
      await publish(here, 1, 5);
      await client.messages(5);
      const fresh = await startChat();
      await publish(fresh, 1, 7);
      await cutWhile(here, client, () => here.proxy.lead(fresh.port));
      const welcome = await client.welcome();
      expect(welcome).toMatchObject({ recovered: false, reason: "epoch", position: { offset: 0 } });
      expect(welcome).not.toHaveProperty("missed");
      expect(welcome.position?.epoch).not.toBe(position?.epoch);
      await publish(fresh, 8, 9);
      expect(await client.messages(9)).toEqual(numbered(1, 9));
      await cutWhile(here, client, () => publish(fresh, 10, 10));
      expect(await client.welcome()).toMatchObject({ recovered: true });
      expect(await client.messages(1)).toEqual(numbered(10, 10));
    });

    it("comes back after 1001 to a server that replaces one that shuts down", async () => {
      const here = await startChat();
      const client = here.connectClient();
      await client.welcome();
      const fresh = await startChat();
      here.proxy.lead(fresh.port);
      await here.app.close();
      expect(await client.next("closed")).toMatchObject({ code: 1001 });
      expect(await client.welcome()).toMatchObject({ recovered: false, reason: "epoch" });
    });

    it.each(["nonsense", "", ":", "a:", ":1", "a:-1", "a:1.5", "a:1e3", "a:01x", "%00:1", "a:9007199254740993"])(
      "is notified that %j is not a position",
      async (since) => {
        const here = await startChat();
        await publish(here, 1, 2);
        const welcome = await here.connectClient({}, `?since=${since}`).welcome();
        expect(welcome).toMatchObject({ recovered: false, reason: "invalid", position: { offset: 2 } });
      },
    );

    it("is notified that a position beyond the end of the stream is not of this stream", async () => {
      const here = await startChat();
      await publish(here, 1, 2);
      const { epoch } = (await here.connectClient().welcome()).position ?? expect.fail("no position");
      const welcome = await here.connectClient({}, `?since=${epoch}:3`).welcome();
      expect(welcome).toMatchObject({ recovered: false, reason: "epoch", position: { offset: 0 } });
    });

    it("is notified that no history is kept", async () => {
      const here = await startChat(Talk, {});
      const client = here.connectClient({}, "?since=a:1");
      const welcome = await client.welcome();
      expect(welcome).toMatchObject({ recovered: false, reason: "off" });
      expect(welcome).not.toHaveProperty("position");
      await here.room.publish("live");
      expect(await client.messages(1)).toEqual([{ event: "message", data: "live" }]);
    });
  });

  describe("that sends frames with ids", () => {
    it("gets exactly one reply for each", async () => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      for (const data of [1, 2, 3]) client.ask({ type: "event", event: "count", data });
      for (const id of [1, 2, 3])
        expect(await client.next("reply")).toMatchObject({ id, asked: true, data: { nth: id } });
      expect(here.handlerLog.ran.all.map(({ data }) => data)).toEqual([1, 2, 3]);
    });

    it("gets the reply null for a handled message", async () => {
      const here = await startChat();
      const client = here.connectClient();
      await client.welcome();
      client.ask({ type: "message", data: { text: "hello" } });
      client.ask({ type: "message", text: '"as text"' });
      expect(await client.next("reply")).toEqual({ event: "reply", id: 1, asked: true, data: null });
      expect(await client.next("reply")).toEqual({ event: "reply", id: 2, asked: true, data: null });
      expect(here.handlerLog.ran.all.map(({ data }) => data)).toEqual([{ text: "hello" }, "as text"]);
    });

    it("gets exactly one reply when serve() has read its message", async () => {
      class Loop extends WebSocketHandler {
        async serve(): Promise<void> {
          for await (const message of this.connection) this.sendJSON({ received: message.json() });
        }
      }
      const here = await startChat(Loop);
      const client = here.connectClient();
      await client.welcome();
      for (const data of ["one", "two"]) client.ask({ type: "message", data });
      expect(await client.messages(2)).toMatchObject([{ data: { received: "one" } }, { data: { received: "two" } }]);
      expect(client.all("reply")).toEqual([1, 2].map((id) => ({ event: "reply", id, asked: true, data: null })));
    });

    it("gets the reason of a refusal", async () => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      client.ask({ type: "event", event: "refuse" });
      const error = { code: "too_late", message: "it is over" };
      expect(await client.next("reply")).toEqual({ event: "reply", id: 1, asked: true, error });
      client.ask({ type: "event", event: "unheard-of" });
      expect(await client.next("reply")).toMatchObject({ id: 2, error: { code: "unknown_event" } });
      client.say({ type: "event", event: "refuse" });
      expect(await client.next("error")).toEqual({
        event: "error",
        frame: { event: "refuse", error },
      });
    });

    it.each([true, false])("is run once if the reply was lost and it asks again; noticed: %s", async (noticed) => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      here.proxy.hold();
      client.ask({ type: "event", event: "count", data: "once" });
      await here.handlerLog.ran.have(1);
      await cutWhile(here, client, () => undefined, { noticed });
      const { id } = await client.welcome();
      expect(await client.next("reply")).toEqual({ event: "reply", id: 1, asked: true, data: { nth: 1 } });
      client.ask({ type: "event", event: "count", data: "next" });
      expect(await client.next("reply")).toMatchObject({ id: 2, data: { nth: 2 } });
      expect(here.handlerLog.ran.all.map(({ data }) => data)).toEqual(["once", "next"]);
      expect(here.handlerLog.ran.all[1]?.id).toBe(id);
    });

    it.each([true, false])("is run once if it asks again while the first is running; noticed: %s", async (noticed) => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      client.ask({ type: "event", event: "take-time", data: "slow" });
      await here.handlerLog.ran.have(1);
      await cutWhile(here, client, () => undefined, { noticed });
      await client.welcome();
      // A frame that is not repeated is not blocked by it, and would run anyway.
      client.ask({ type: "event", event: "count", data: "quick" });
      here.handlerLog.gate.put(true);
      const replies = [await client.next("reply"), await client.next("reply")];
      expect(replies.toSorted((a, b) => Number(a.id) - Number(b.id))).toEqual([
        { event: "reply", id: 1, asked: true, data: { nth: 1 } },
        { event: "reply", id: 2, asked: true, data: { nth: 2 } },
      ]);
      expect(here.handlerLog.ran.all.map(({ data }) => data)).toEqual(["slow", "quick"]);
    });

    it.each([true, false])(
      "is run once if it waited behind another frame when the connection ended; noticed: %s",
      async (noticed) => {
        const here = await startChat(Counter);
        const client = here.connectClient();
        await client.welcome();
        client.ask({ type: "event", event: "take-time", data: 1 });
        for (const data of [2, 3]) client.ask({ type: "event", event: "count", data });
        await here.handlerLog.ran.have(1);
        await cutWhile(here, client, () => undefined, { noticed });
        await client.welcome();
        await here.handlerLog.ran.have(3);
        here.handlerLog.gate.put(true);
        for (let replies = 0; replies < 3; replies += 1) await client.next("reply");
        client.ask({ type: "event", event: "count", data: 4 });
        expect(await client.next("reply")).toMatchObject({ id: 4, data: { nth: 4 } });
        expect(here.handlerLog.ran.all.map(({ data }) => data)).toEqual([1, 2, 3, 4]);
      },
    );

    it("is run once, and refused as before, if it repeats a refused request", async () => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      client.say({ type: "event", event: "refuse", id: "r" });
      const first = await client.next("reply");
      await cutWhile(here, client, () => undefined);
      await client.welcome();
      client.say({ type: "event", event: "refuse", id: "r" });
      expect(await client.next("reply")).toEqual(first);
      expect(here.handlerLog.ran.all).toHaveLength(1);
    });

    it("gets the error duplicate if the reply was too long to be kept", async () => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      here.proxy.hold();
      client.ask({ type: "event", event: "tell-much" });
      await here.handlerLog.ran.have(1);
      await cutWhile(here, client, () => undefined);
      await client.welcome();
      expect(await client.next("reply")).toMatchObject({ id: 1, asked: true, error: { code: "duplicate" } });
      expect(here.handlerLog.ran.all).toHaveLength(1);
    });

    it("has a repeated message published once", async () => {
      const here = await startChat();
      const client = here.connectClient();
      await client.welcome();
      here.proxy.hold();
      client.ask({ type: "message", data: "once" });
      await here.handlerLog.ran.have(1);
      await cutWhile(here, client, () => undefined);
      expect(await client.welcome()).toMatchObject({ recovered: true });
      await client.next("reply");
      client.ask({ type: "message", data: "next" });
      await client.next("reply");
      expect(client.all("message")).toEqual([
        { event: "message", offset: 1, data: "once" },
        { event: "message", offset: 2, data: "next" },
      ]);
    });

    it("gets one error for a message that fails on the server, and can reconnect afterwards", async () => {
      const here = await startChat(Talk);
      const client = here.connectClient();
      await client.welcome();
      client.ask({ type: "message", data: "fail" });
      expect(await client.next("closed")).toMatchObject({ code: 1011 });
      await client.welcome();
      await here.room.publish("on it goes");
      await client.messages(1);
      expect(client.all("reply")).toMatchObject([{ id: 1, error: { code: "internal" } }]);
      expect(JSON.stringify(client.events.all)).not.toContain("a detail");
      expect(here.handlerLog.ran.all).toHaveLength(1);
    });

    it("stays connected if an event fails on the server, and gets no details", async () => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      client.ask({ type: "event", event: "fail", data: "fail" });
      expect(await client.next("reply")).toMatchObject({ id: 1, error: { code: "internal" } });
      await here.room.publish("on it goes");
      await client.messages(1);
      expect(client.all("closed")).toEqual([]);
      expect(JSON.stringify(client.events.all)).not.toContain("a detail");
      expect(here.handlerLog.ran.all).toHaveLength(1);
    });

    it("gets its own replies if another client uses the same ids", async () => {
      const here = await startChat(Counter);
      const [one, other] = [here.connectClient(), here.connectClient()];
      await Promise.all([one.welcome(), other.welcome()]);
      one.ask({ type: "event", event: "count", data: "one" });
      expect(await one.next("reply")).toMatchObject({ id: 1, data: { nth: 1 } });
      other.ask({ type: "event", event: "count", data: "other" });
      expect(await other.next("reply")).toMatchObject({ id: 1, data: { nth: 2 } });
    });

    it("is run in every room to which it sends a request, with one client id", async () => {
      const here = await startChat(Counter);
      const id = "one-client-two-rooms";
      const ann = here.connectClient({ client: id });
      await ann.welcome();
      ann.ask({ type: "event", event: "count", data: "in a" });
      expect(await ann.next("reply")).toMatchObject({ id: 1, data: { nth: 1 } });
      const elsewhere = new PythonClient(`${here.proxy.url}/chat/b`, { client: id });
      await elsewhere.welcome();
      elsewhere.ask({ type: "event", event: "count", data: "in b" });
      expect(await elsewhere.next("reply")).toMatchObject({ id: 1, data: { nth: 2 } });
    });

    it("does not get the reply of another user with the same client id", async () => {
      class Known extends Counter {
        authorize({ query }: ConnectionRequest) {
          return { id: query.get("as") ?? "unnamed" };
        }
      }
      const here = await startChat(Known);
      const id = "seen-in-some-log-file";
      const ann = here.connectClient({ client: id }, "?as=ann");
      await ann.welcome();
      ann.ask({ type: "event", event: "count", data: "of ann" });
      expect(await ann.next("reply")).toMatchObject({ id: 1, data: { nth: 1 } });
      const eve = here.connectClient({ client: id }, "?as=eve");
      await eve.welcome();
      eve.ask({ type: "event", event: "count", data: "of eve" });
      expect(await eve.next("reply")).toMatchObject({ id: 1, data: { nth: 2 } });
    });

    it("gets exactly one run and one reply for each id over any number of reconnects", async () => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      const count = 100;
      for (const data of numbers(1, count)) client.ask({ type: "event", event: "count", data });
      for (let ran = 10; ran < count; ran += 10) {
        await here.handlerLog.ran.have(ran);
        here.proxy.cut({ noticed: ran % 20 === 0 });
        await client.welcome();
      }
      while (client.all("reply").length < count) await client.events.have(client.events.all.length + 1);
      const ran = here.handlerLog.ran.all.map(({ data }) => data);
      expect(ran).toEqual(numbers(1, count));
      const replies = client.all("reply").map(({ id, asked, data }) => ({ id, asked, data }));
      expect(replies).toEqual(numbers(1, count).map((id) => ({ id, asked: true, data: { nth: id } })));
    });

    it.each([
      { type: "nonsense" },
      { type: "event" },
      { type: "event", event: 7 },
      { type: "message" },
      { type: "message", text: 7 },
      { type: "refresh" },
    ])("gets an error for %j, which is not a frame, and stays connected", async (frame) => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      client.ask(frame);
      expect(await client.next("reply")).toMatchObject({ id: 1, asked: true, error: { code: "bad_frame" } });
      client.ask({ type: "event", event: "count" });
      expect(await client.next("reply")).toMatchObject({ id: 2, data: { nth: 1 } });
    });
  });

  describe("that is closed", () => {
    it.each([1000, 3000, 3999, 4500, 4501, 4999])("with %d does not reconnect", async (code) => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      client.say({ type: "event", event: "leave", data: code });
      expect(await client.next("closed")).toEqual({ event: "closed", code, reason: "as you like" });
      await client.next("gone");
      expect(client.all("welcome")).toHaveLength(1);
    });

    it.each([4000, 4008, 4499])("with %d reconnects", async (code) => {
      const here = await startChat(Counter);
      const client = here.connectClient();
      await client.welcome();
      await publish(here, 1, 1);
      await client.messages(1);
      client.say({ type: "event", event: "leave", data: code });
      expect(await client.next("closed")).toMatchObject({ code });
      expect(await client.welcome()).toMatchObject({ recovered: true, position: { offset: 1 } });
    });

    it.each([[{ type: "nonsense" }], [{ type: "event" }], [{ type: "message" }], [{}], [[]], [null], [7], ["event"]])(
      "with 4500 for %j does not reconnect",
      async (frame: unknown) => {
        const here = await startChat(Counter);
        const client = here.connectClient();
        await client.welcome();
        client.say(frame);
        expect(await client.next("closed")).toMatchObject({ code: 4500 });
        await client.next("gone");
        expect(client.all("welcome")).toHaveLength(1);
      },
    );

    it("with 1009 for a message that is too large does not reconnect", async () => {
      const here = await startChat();
      const client = here.connectClient();
      await client.welcome();
      client.say({ type: "message", data: "x".repeat(100_000) });
      expect(await client.next("closed")).toMatchObject({ code: 1009 });
      await client.next("gone");
    });

    it("with 4008 for being slow reconnects, and recovers all missed messages", async () => {
      const kept = { size: 1000, bytesMax: 2 ** 30 };
      const here = await startChat(Talk, { history: kept, limits: { outboxBytesMax: 100_000 } }, { limits: roomy });
      const client = here.connectClient();
      await client.welcome();
      here.proxy.hold();
      const slow = closes(here.app, 1);
      const text = "x".repeat(60_000);
      let last = 0;
      while (here.room.size > 0 && last < kept.size) {
        last += 1;
        await here.room.publish({ last });
        // No history keeps these, so they fill the outbox.
        here.app.registry.sendJSONToAll({ text });
        await turn();
      }
      here.proxy.release();
      expect(await client.next("closed")).toMatchObject({ code: 4008, reason: "slow" });
      await slow;
      expect(await client.welcome()).toMatchObject({ recovered: true });
      while ((await client.next("message")).offset !== last);
      expect(client.all("message").flatMap(({ offset }) => offset ?? [])).toEqual(numbers(1, last));
    });

    it("by no lag that the history makes up for", async () => {
      const kept = { size: 1000, bytesMax: 2 ** 30 };
      const here = await startChat(Talk, { history: kept, limits: { outboxBytesMax: 100_000 } }, { limits: roomy });
      const client = here.connectClient();
      await client.welcome();
      here.proxy.hold();
      const text = "x".repeat(60_000);
      for (let offset = 1; offset <= kept.size && here.app.status().totals.behind === 0; offset += 1) {
        await here.room.publish({ text });
        await turn();
      }
      here.proxy.release();
      const last = (await here.room.publish("last"))?.offset ?? 0;
      while ((await client.next("message")).offset !== last);
      expect(client.all("message").map(({ offset }) => offset)).toEqual(numbers(1, last));
      expect([client.all("closed"), client.all("jump"), here.app.status().totals.slow]).toEqual([[], [], 0]);
    });
  });

  describe("where presence is kept", () => {
    class Known extends Talk {
      authorize({ query }: ConnectionRequest) {
        const id = query.get("as");
        return id === null ? anonymous : { id, name: id.toUpperCase() };
      }
    }
    const show = (user: unknown) => ({ name: (user as { name?: string } | undefined)?.name });

    it("keeps the roster current from changes", async () => {
      const here = await startChat(Known, { presence: { mode: "full", leaveGraceMs: 0, show } });
      const client = here.connectClient({}, "?as=ann");
      const ann = { id: "ann", user: { name: "ANN" }, connections: 1 };
      const bob = { id: "bob", user: { name: "BOB" }, connections: 1 };
      await client.welcome();
      const { version, ...first } = await client.next("roster");
      expect(first).toEqual({ event: "roster", count: 1, users: [ann] });
      const other = await here.open("/chat/a?as=bob");
      const next = Number(version) + 1;
      expect(await client.next("roster")).toEqual({ event: "roster", version: next, count: 2, users: [ann, bob] });
      await other.close();
      expect(await client.next("roster")).toEqual({ event: "roster", version: next + 1, count: 1, users: [ann] });
      client.say({ type: "watch" });
      expect(await client.next("roster")).toEqual({ event: "roster", version: next + 1, count: 1, users: [ann] });
    });

    it("keeps the roster over a reconnect, and is not reported as left", async () => {
      const here = await startChat(Known, { presence: "full", history });
      const client = here.connectClient({}, "?as=ann");
      await client.welcome();
      await client.next("roster");
      const left = closes(here.app, 1);
      await cutWhile(here, client, async () => {
        await left;
        await here.open("/chat/a?as=bob");
      });
      await client.welcome();
      const { users, count } = await client.next("roster");
      expect(count).toBe(2);
      expect((users as { id: string }[]).map(({ id }) => id).toSorted()).toEqual(["ann", "bob"]);
      expect((await here.room.presence()).count).toBe(2);
    });

    it("gets only the count if only the count is kept", async () => {
      const here = await startChat(Known, { presence: { mode: "count", leaveGraceMs: 0 } });
      const client = here.connectClient({}, "?as=ann");
      await client.welcome();
      const { version } = await client.next("roster");
      const other = await here.open("/chat/a?as=bob");
      expect(await client.next("roster")).toEqual({
        event: "roster",
        version: Number(version) + 1,
        count: 2,
        users: [],
      });
      await other.close();
      expect(await client.next("roster")).toMatchObject({ version: Number(version) + 2, count: 1 });
      client.say({ type: "watch" });
      expect(await client.next("roster")).toMatchObject({ version: Number(version) + 2, count: 1 });
    });

    it("agrees with the server after many clients came and left", async () => {
      const here = await startChat(Known, { presence: { mode: "full", leaveGraceMs: 0, show } });
      const client = here.connectClient({}, "?as=ann");
      await client.welcome();
      for (let round = 0; round < 5; round += 1) {
        const others = await Promise.all(numbers(1, 10).map((n) => here.open(`/chat/a?as=u${n}`)));
        await Promise.all(others.slice(round).map((other) => other.close()));
      }
      const ids = (users: unknown) => (users as { id: string }[]).map(({ id }) => id).toSorted();
      let [roster, server] = [await client.next("roster"), await here.room.presence()];
      while (roster.version !== server.version || roster.count !== 5) {
        roster = await client.next("roster");
        server = await here.room.presence();
      }
      expect(ids(roster.users)).toEqual(["ann", "u1", "u2", "u3", "u4"]);
      const versions = client.all("roster").map(({ version }) => Number(version));
      expect(versions).toEqual(numbers(versions[0] ?? 0, server.version));
    });
  });

  describe("of a server with a newer version", () => {
    it("gives up a connection without a welcome, and gets one on another", async () => {
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
      onTestFinished(() => void server.close());
      await once(server, "listening");
      let connections = 0;
      server.on("connection", (socket) => {
        onTestFinished(() => socket.terminate());
        connections += 1;
        if (connections === 2) socket.send('{"type": "welcome", "id": "x", "room": "/chat/a", "heartbeatMs": 0}');
      });
      const { port } = server.address() as AddressInfo;
      const client = new PythonClient(`ws://127.0.0.1:${port}/chat/a`, { patience: 0.5 });
      expect(await client.next("closed")).toMatchObject({ code: 1006 });
      await client.welcome();
      expect(connections).toBe(2);
    });

    it("ignores unknown frames, and requests the roster if a version is missing", async () => {
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
      onTestFinished(() => void server.close());
      await once(server, "listening");
      const received = new Mailbox<unknown>();
      server.on("connection", (socket) => {
        onTestFinished(() => socket.terminate());
        const send = (frame: object) => socket.send(JSON.stringify(frame));
        const room = "/chat/a";
        const position = { epoch: "é:+&", offset: 7 };
        send({ type: "welcome", id: "x", room, heartbeatMs: 0, position, mood: "good" });
        send({ type: "weather", sun: true });
        send({ type: "presence", room, version: 1, count: 1, users: [{ id: "ann", connections: 1 }] });
        send({ type: "presence", room, version: 3, count: 2, joined: [{ id: "cid", connections: 1 }], left: [] });
        send({ type: "message", offset: 10, data: "after a jump", colour: "red" });
        socket.on("message", (data) => {
          received.put(JSON.parse(data.toString()));
          const users = ["ann", "bob", "cid"].map((id) => ({ id, connections: 1 }));
          send({ type: "presence", room, version: 3, count: 3, users });
        });
      });
      const { port } = server.address() as AddressInfo;
      const client = new PythonClient(`ws://127.0.0.1:${port}/chat/a`);
      expect(await client.next("roster")).toMatchObject({ version: 1, count: 1 });
      expect(await client.messages(1)).toMatchObject([{ offset: 10, data: "after a jump" }]);
      expect(await client.next("roster")).toMatchObject({ version: 3, count: 3 });
      expect([received.all, client.all("jump")]).toEqual([[{ type: "watch" }], [{ event: "jump", missed: 2 }]]);
    });
  });

  describe("that gets a drain frame", () => {
    const soon = { withinMs: 5_000, settleMs: 10 };

    it("opens another connection at its moment, and closes the old one when that is welcomed", async () => {
      const [here, other] = [await startChat(Talk, {}), await startChat(Talk, {})];
      const client = here.connectClient();
      await client.welcome();
      here.proxy.lead(other.port);
      const gone = here.app.drain({ withinMs: 5_000, settleMs: 300 });
      const { afterMs } = await client.next("drain");
      expect(afterMs).toBeGreaterThan(250);
      const drainedAt = performance.now();
      await client.welcome();
      expect(performance.now() - drainedAt).toBeGreaterThan(200);
      expect(await client.next("closed")).toMatchObject({ code: 1000 });
      expect(await gone).toEqual({ left: 1, remaining: [] });
      expect([here.room.size, other.room.size]).toEqual([0, 1]);
    });

    it("tries again while the draining server refuses it with 503", async () => {
      const [here, other] = [await startChat(Talk, {}), await startChat(Talk, {})];
      const client = here.connectClient();
      await client.welcome();
      const gone = here.app.drain(soon);
      expect(await client.next("refused")).toMatchObject({ status: 503 });
      expect(await client.next("refused")).toMatchObject({ status: 503 });
      expect(here.room.size).toBe(1);
      here.proxy.lead(other.port);
      await client.welcome();
      expect(await gone).toEqual({ left: 1, remaining: [] });
    });

    it("gets the replies to its unanswered requests on the old connection, and each is run once", async () => {
      const [here, other] = [await startChat(Counter, {}), await startChat(Counter, {})];
      const client = here.connectClient();
      await client.welcome();
      client.ask({ type: "event", event: "take-time", data: "slow" });
      await here.handlerLog.ran.have(1);
      here.proxy.lead(other.port);
      const gone = here.app.drain(soon);
      await client.welcome();
      client.ask({ type: "event", event: "count" });
      expect(await client.next("reply")).toMatchObject({ id: 2, data: { nth: 1 } });
      here.handlerLog.gate.put(true);
      expect(await client.next("reply")).toEqual({ event: "reply", id: 1, asked: true, data: { nth: 1 } });
      expect(await client.next("closed")).toMatchObject({ code: 1000 });
      expect(await gone).toEqual({ left: 1, remaining: [] });
      expect([here.handlerLog.ran.all.length, other.handlerLog.ran.all.length]).toEqual([1, 1]);
    });

    it("finds a fresh server, reports that nothing could be recovered, and gets what that keeps", async () => {
      const [here, fresh] = [await startChat(), await startChat()];
      const client = here.connectClient();
      await client.welcome();
      await publish(here, 1, 5);
      await client.messages(5);
      here.proxy.lead(fresh.port);
      await publish(fresh, 1, 2);
      await here.app.drain(soon);
      expect(await client.welcome()).toMatchObject({ recovered: false, reason: "epoch", position: { offset: 0 } });
      await publish(fresh, 3, 4);
      expect(await client.messages(4)).toEqual(numbered(1, 4));
    });
  });

  describe("with a token", () => {
    const token = "geheim ÿþ?? Zoë 👋";
    const shown: (string | undefined)[] = [];
    let failures = 0;

    class Guarded extends Counter {
      authorize({ token: one }: ConnectionRequest) {
        shown.push(one);
        if (one === "who knows" && failures-- > 0) throw new HttpError(503);
        if (one === "wrong" || one === "" || one === undefined) throw new HttpError(401);
        return { id: "zoë" };
      }
    }

    it("is accepted, and the server never repeats the token", async () => {
      const here = await startChat(Guarded);
      shown.length = 0;
      const client = here.connectClient({ token });
      expect(await client.next("welcome")).toMatchObject({ protocol: "enfilade.v1" });
      client.ask({ type: "event", event: "count" });
      await client.next("reply");
      const answers = Buffer.concat(here.proxy.answers).toString("latin1");
      const [head = ""] = answers.split("\r\n\r\n");
      expect(head).toMatch(/^HTTP\/1\.1 101 /);
      expect(head).toMatch(/^sec-websocket-protocol: enfilade\.v1\r?$/im);
      expect(answers).not.toContain("enfilade.token");
      expect(answers).not.toContain(Buffer.from(token).toString("base64url"));
      expect(answers).not.toContain(Buffer.from(token).toString("latin1"));
      expect(shown).toEqual([token]);
    });

    it.each(["wrong", ""])("is refused with the wrong token %j, and the answer does not repeat it", async (wrong) => {
      const here = await startChat(Guarded);
      const client = here.connectClient({ token: wrong });
      expect(await client.next("closed")).toMatchObject({ code: 4501, reason: "unauthorized" });
      await client.next("ended");
      expect(Buffer.concat(here.proxy.answers).toString()).not.toContain("enfilade.token");
    });

    it("renews it, and reconnects with the new one", async () => {
      const here = await startChat(Guarded);
      const client = here.connectClient({ token });
      await client.welcome();
      shown.length = 0;
      client.renew("geheim 2");
      client.ask({ type: "event", event: "count" });
      await client.next("reply");
      expect(shown).toEqual(["geheim 2"]);
      await cutWhile(here, client, () => undefined);
      await client.welcome();
      expect(shown).toEqual(["geheim 2", "geheim 2"]);
    });

    it("is closed with 1013 if a new token cannot be checked, and retries until it can", async () => {
      const here = await startChat(Guarded);
      const client = here.connectClient({ token });
      await client.welcome();
      failures = 3;
      client.renew("who knows");
      expect(await client.next("closed")).toMatchObject({ code: 1013 });
      expect(await client.welcome()).toMatchObject({ recovered: true });
      expect(client.all("refused")).toMatchObject([{ status: 503 }, { status: 503 }]);
    });

    it("is closed with 4501 if a new token is refused, and does not reconnect", async () => {
      const here = await startChat(Guarded);
      const client = here.connectClient({ token });
      await client.welcome();
      client.renew("wrong");
      expect(await client.next("closed")).toMatchObject({ code: 4501 });
      await client.next("gone");
      expect(client.all("welcome")).toHaveLength(1);
    });
  });
});
