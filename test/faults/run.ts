import { MemoryBackplane } from "../../src/backplane/index.js";
import { httpFallback } from "../../src/client/http/index.js";
import type { ClientSocket, SocketEvent, WebSocketLike } from "../../src/client/index.js";
import { App, EventHandler } from "../../src/index.js";
import { CheckingClient, openRoom, openSocket } from "./checkingClient.js";
import { FaultyProxy, type ProxiedConnection } from "./faultyProxy.js";

const clients = 50;
const publications = 3_000;
/** Publications in one turn, before other code runs. */
const batch = 4;
const faultsMax = 60;
const roomsPerSocket = 5;
const freshStart = "restart without history";

/** The log would report connections that the test cuts on purpose. */
const silent = { warn: () => undefined, error: () => undefined };

/** Publications between two requests of a room. */
const requestEach = 100;

class Feed extends EventHandler {
  static events = { run: "onRun" };
  /** The requests that this server has run, each with how often. */
  static runs = new Map<unknown, number>();

  onRun(id: unknown): unknown {
    Feed.runs.set(id, (Feed.runs.get(id) ?? 0) + 1);
    return id;
  }
}

/** The result of a run. */
export interface Report {
  readonly faults: readonly string[];
  /** Why clients were notified that messages may be missing. */
  readonly lost: readonly string[];
  /** The publications that could be missing at all. */
  readonly losable: readonly string[];
  readonly recovered: number;
  readonly cuts: Readonly<Record<string, number>>;
}

/** A small random number generator (mulberry32), so that a seed repeats a run. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How the clients of a run connect: by WebSocket, over HTTP since they cannot, or five rooms over one WebSocket. */
export type Way = "websocket" | "http" | "shared websockets";

/** A WebSocket in a network that lets none through. */
class NoWebSocket implements WebSocketLike {
  send(): void {
    throw new Error("it never opens");
  }
  close(): void {
    // It never opens.
  }
  addEventListener(type: string, listener: (event: SocketEvent) => void): void {
    if (type === "error") setImmediate(() => listener({ type, message: "blocked" }));
  }
}

/** What reads the frames of the server: a run has one or the other. */
export function receiverOf(seed: number): "direct" | "ws" {
  return seed % 2 === 0 ? "direct" : "ws";
}

/** One run: clients listen, a publisher publishes as fast as possible, and connections break at random moments. */
export async function runFaults(seed: number, way: Way): Promise<Report> {
  const run = new Run(seed, way);
  try {
    return await run.run();
  } finally {
    await run.stop();
  }
}

class Run {
  readonly #random: () => number;
  readonly #clients: CheckingClient[] = [];
  readonly #sockets: ClientSocket[] = [];
  readonly #paths: readonly string[];
  readonly #requests: Promise<void>[] = [];
  readonly #requestFaults: string[] = [];
  readonly #cuts: Record<string, number> = {};
  /** Small histories cannot keep up, so that losses occur and have to be reported. */
  readonly #historySize: number;
  /** With a history that loses nothing, no client may miss anything. */
  readonly #losesHistory: boolean;
  #backplane = new MemoryBackplane();
  #app: App | undefined;
  #port = 0;
  #proxy: FaultyProxy | undefined;

  readonly #way: Way;
  readonly #receiver: "direct" | "ws";
  readonly #isShared: boolean;

  constructor(seed: number, way: Way) {
    this.#way = way;
    this.#receiver = receiverOf(seed);
    this.#isShared = way === "shared websockets";
    this.#paths = Array.from({ length: this.#isShared ? roomsPerSocket : 1 }, (_, n) => `/feed/${n}`);
    this.#random = randomOf(seed);
    this.#historySize = this.#below(2) === 0 ? 5_000 : 200;
    this.#losesHistory = this.#below(2) === 0;
  }

  async run(): Promise<Report> {
    await this.#startServer();
    this.#proxy = await FaultyProxy.start(() => this.#port);
    this.#connect(`ws://127.0.0.1:${this.#proxy.port}`);
    const moments = new Set(Array.from({ length: faultsMax }, () => this.#below(publications / batch) * batch));
    for (let n = 1; n <= publications; n += 1) {
      if (moments.has(n)) await this.#breakSomething();
      this.#publish(n);
      if (this.#isShared && n % requestEach === 0) this.#request(n);
      if (n % batch === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return this.#conclude();
  }

  #connect(url: string): void {
    const fallback = this.#way === "http" ? httpFallback({ WebSocket: NoWebSocket }) : undefined;
    for (let n = 0; n < clients / this.#paths.length; n += 1) {
      const socket = this.#isShared ? openSocket(url, this.#random) : undefined;
      if (socket) this.#sockets.push(socket);
      for (const path of this.#paths) {
        const room = socket?.room(path) ?? openRoom(url + path, this.#random, fallback);
        this.#clients.push(new CheckingClient(room, `client ${n} in ${path}`));
      }
    }
  }

  #publish(n: number): void {
    for (const path of this.#paths) this.#app?.registry.sendJSONToRoom(path, n);
  }

  /** Each room sends a request. It may fail, such as when the server is restarted, but it never runs twice. */
  #request(n: number): void {
    const { runs } = Feed;
    for (const [at, { room }] of this.#clients.entries()) {
      const id = `request ${n} of ${at}`;
      const isDone = (answer: unknown) => {
        if (answer !== id) this.#requestFaults.push(`${id} was answered with ${answer}`);
      };
      const isFailed = (error: Error) => {
        if (runs === Feed.runs) this.#requestFaults.push(`${id} failed: ${error.message}`);
      };
      this.#requests.push(room.request("run", id, { timeoutMs: 1_000_000 }).then(isDone, isFailed));
    }
  }

  #checkRuns(): void {
    for (const [id, count] of Feed.runs) if (count > 1) this.#requestFaults.push(`${id} ran ${count} times`);
    // A server that starts again knows nothing of the requests before.
    Feed.runs = new Map();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    for (const { room } of this.#clients) room.close();
    await this.#proxy?.stop();
    await this.#app?.close({ timeoutMs: 50 });
  }

  /** Repairs everything; all clients have to reach the last publication. */
  async #conclude(): Promise<Report> {
    const end = publications + 1;
    // A client without a position finds the publication in the replay.
    this.#publish(end);
    await Promise.all(this.#clients.map((client) => client.reaches(end)));
    await Promise.all(this.#requests);
    this.#checkRuns();
    return {
      faults: [...this.#clients.flatMap(({ faults }) => faults), ...this.#requestFaults],
      lost: [...new Set(this.#clients.flatMap(({ reports }) => [...reports.lost]))],
      losable: this.#losable(),
      recovered: this.#clients.reduce((sum, { reports }) => sum + reports.recovered, 0),
      cuts: this.#cuts,
    };
  }

  /** No client is slow and no policy drops messages: only publications that are no longer kept can be missing. */
  #losable(): string[] {
    const isOutrun = this.#historySize < publications ? ["trimmed"] : [];
    return this.#cuts[freshStart] === undefined ? isOutrun : [...isOutrun, "epoch"];
  }

  async #breakSomething(): Promise<void> {
    const way = this.#below(20);
    if (way === 0) return this.#restart("restart", true);
    if (way === 1 && this.#losesHistory) return this.#restart(freshStart, false);
    const connection = this.#anyConnection();
    if (this.#isShared && way === 2) return this.#restart("drain", true);
    if (this.#isShared && way < 5) return this.#count("stall", () => connection?.slowDown(2_000, 300));
    if (way < 8) this.#count("reset", () => connection?.reset());
    else if (way < 12) this.#count("half-open", () => connection?.silence());
    else if (way < 16) this.#count("mid-frame", () => connection?.cutAfter(1 + this.#below(200)));
    else this.#count("closed by the server", () => this.#anyClient()?.close(4_000, "for a test"));
  }

  #count(way: string, act: () => void): void {
    this.#cuts[way] = (this.#cuts[way] ?? 0) + 1;
    act();
  }

  async #restart(way: string, keepsHistory: boolean): Promise<void> {
    this.#count(way, () => undefined);
    if (way === "drain") await this.#app?.drain({ withinMs: 40, settleMs: 1 });
    await this.#app?.close({ timeoutMs: 20 });
    this.#checkRuns();
    if (!keepsHistory) this.#backplane = new MemoryBackplane();
    await this.#startServer();
  }

  async #startServer(): Promise<void> {
    const limits = { heartbeatMs: 150, closeMs: 50, recoverMessagesMax: 20 };
    this.#app = new App({ backplane: this.#backplane, limits, logger: silent, receiver: this.#receiver });
    this.#app.route("/feed/:name", Feed, { history: { size: this.#historySize }, replay: 3, http: true });
    this.#port = (await this.#app.listen(0, "127.0.0.1")).port;
  }

  #anyConnection(): ProxiedConnection | undefined {
    const passages = [...(this.#proxy?.connections ?? [])];
    return passages[this.#below(passages.length)];
  }

  #anyClient() {
    const members = this.#app?.registry.connections ?? [];
    return members[this.#below(members.length)];
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }
}
