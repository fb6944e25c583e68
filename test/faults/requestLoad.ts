import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { type ClientRoom, connect, RequestError } from "../../src/client/index.js";
import { until } from "../backplane/cluster.js";
import type { Dice } from "../support/dice.js";
import type { EngineServer } from "../support/engines.js";
import { startProxy, type Proxy as Way } from "../support/proxy.js";
import { hastyClock } from "./checkingClient.js";
import { FaultyProxy } from "./faultyProxy.js";
import { type RequestChild, startRequestChild } from "./requestChild.js";

const nodesCount = 3;
const clientsCount = 20;
/** Requests of one client that have no reply yet. */
const pendingMax = 4;
/** One of this many requests breaks a connection when its handler begins. */
const requestsPerCut = 8;
/** The event loop of a node turns up to this often while a handler runs, for most requests and for a few. */
const turnsMax = 40;
const longTurnsMax = 5_000;
const requestsPerLong = 10;
/** After this many requests, the next handler that begins breaks the connections of a node to the engine. */
const requestsPerOutage = 80;
/** One of this many outcomes repairs the connections of all nodes. */
const outcomesPerRepair = 4;
const limits = { heartbeatMs: 500 };
/** Short times, so that an outage of the engine is noticed soon. */
const hasty = { ...limits, backplaneMs: 300, nodeHeartbeatMs: 200, claimMs: 2_000 };

/** What happened to the requests. */
export interface RequestReport {
  /** `replied`, `duplicate`, `unavailable`, or what went wrong. */
  readonly outcomes: readonly string[];
  /** Frames of requests that were sent again on another connection. */
  readonly repeated: number;
  readonly cuts: number;
  /** How often a node could not reach the engine. */
  readonly outages: number;
}

/** Clients that send requests to three processes, over connections that break when a handler begins. */
export class RequestLoad {
  /** How often each request was run, on any node. */
  readonly runs = new Map<string, number>();
  readonly #dice: Dice;
  readonly #proxy: FaultyProxy;
  readonly #clients: ClientRoom[] = [];
  /** The connections of each node to the engine, if they break too. */
  readonly #ways: Way[] = [];
  /** The names of the requests that were sent on some connection. */
  readonly #sent = new Set<string>();
  #repeated = 0;
  #cuts = 0;
  /** Outages that wait for a handler to begin: while no node reaches the engine, few do. */
  #outagesDue = 0;
  #outages = 0;

  private constructor(dice: Dice, proxy: FaultyProxy) {
    this.#dice = dice;
    this.#proxy = proxy;
  }

  /** @param breaksEngine Whether the connections of the nodes to the engine break too. */
  static async start(engine: EngineServer, dice: Dice, breaksEngine = false): Promise<RequestLoad> {
    const nodes: RequestChild[] = [];
    // Each connection reaches another node, like behind a load balancer.
    const proxy = await FaultyProxy.start(() => dice.of(nodes)?.port ?? 0);
    onTestFinished(() => proxy.stop());
    const load = new RequestLoad(dice, proxy);
    const onRun = (name: string) => load.#onRun(name);
    for (let n = 0; n < nodesCount; n += 1) {
      const url = breaksEngine ? await load.#addWay(engine) : engine.url;
      nodes.push(await startRequestChild(engine, url, breaksEngine ? hasty : limits, onRun));
    }
    for (let n = 0; n < clientsCount; n += 1) load.#connect();
    return load;
  }

  /** Sends requests, and resolves when all have an outcome. */
  async send(count: number): Promise<RequestReport> {
    const outcomes: string[] = [];
    let next = 0;
    const work = async (room: ClientRoom) => {
      while (next < count) {
        const name = `request-${next}`;
        next += 1;
        if (next % requestsPerOutage === 0) this.#outagesDue += 1;
        outcomes.push(await this.#request(room, name));
      }
    };
    await Promise.all(this.#clients.flatMap((room) => Array.from({ length: pendingMax }, () => work(room))));
    // A reply can overtake the line that the process writes.
    await until(() => this.runs.size >= outcomes.filter((outcome) => outcome === "replied").length);
    return { outcomes, repeated: this.#repeated, cuts: this.#cuts, outages: this.#outages };
  }

  async #request(room: ClientRoom, name: string): Promise<string> {
    const isLong = this.#dice.from(0, requestsPerLong) === 0;
    const turns = this.#dice.from(0, isLong ? longTurnsMax : turnsMax);
    try {
      const reply = await room.request("work", { name, turns }, { timeoutMs: Number.POSITIVE_INFINITY });
      const isOwn = typeof reply === "object" && reply !== null && "did" in reply && reply.did === name;
      return isOwn ? "replied" : `${name} got ${JSON.stringify(reply)}`;
    } catch (error) {
      const code = error instanceof RequestError ? error.code : "";
      return code === "unavailable" || code === "duplicate" ? code : `${name} failed: ${String(error)}`;
    } finally {
      if (this.#dice.from(0, outcomesPerRepair) === 0) for (const way of this.#ways) way.open();
    }
  }

  async #addWay({ name, port }: EngineServer): Promise<string> {
    const way = await startProxy(port);
    this.#ways.push(way);
    return `${name}://127.0.0.1:${way.port}`;
  }

  #connect(): void {
    const dice = this.#dice;
    const watch = (text: string) => this.#onSent(text);
    class WatchedSocket extends WebSocket {
      override send(data: unknown, ...rest: never[]): void {
        watch(String(data));
        // The client sends text, and without a callback.
        super.send(data as string, ...rest);
      }
    }
    const url = `ws://127.0.0.1:${this.#proxy.port}/work/a`;
    // The class of ws has more than the client needs of a WebSocket, with other types.
    const options = { WebSocket: WatchedSocket as never, clock: hastyClock, random: () => dice.roll() };
    const room = connect(url, options);
    // Broken connections are expected; the client connects again.
    room.on("error", () => undefined);
    onTestFinished(() => room.close());
    this.#clients.push(room);
  }

  #onSent(text: string): void {
    const [name] = /request-\d+/.exec(text) ?? [];
    if (name === undefined) return;
    if (this.#sent.has(name)) this.#repeated += 1;
    this.#sent.add(name);
  }

  #onRun(name: string): void {
    this.runs.set(name, (this.runs.get(name) ?? 0) + 1);
    if (this.#dice.from(0, requestsPerCut) === 0) this.#cut();
    if (this.#ways.length > 0 && this.#outagesDue > 0) this.#breakEngine();
  }

  #breakEngine(): void {
    const way = this.#dice.of(this.#ways);
    this.#outagesDue -= 1;
    this.#outages += 1;
    if (this.#dice.roll() < 0.5) way?.cut();
    else way?.stall();
  }

  /** Breaks the connection of some client. */
  #cut(): void {
    const connection = this.#dice.of([...this.#proxy.connections]);
    const way = this.#dice.roll();
    this.#cuts += 1;
    if (way < 0.5) connection?.reset();
    else if (way < 0.9) connection?.cutAfter(this.#dice.from(1, 200));
    else connection?.silence();
  }
}
