import { onTestFinished } from "vitest";
import type { Limits, Position, RouteOptions } from "../../src/index.js";
import { Dice } from "../support/dice.js";
import { addressThrough } from "../support/engineAddress.js";
import { poll } from "../support/engineProcess.js";
import type { EngineServer } from "../support/engines.js";
import type { NodeSettings } from "../support/nodeMain.js";
import { NodeProcess, RemoteError } from "../support/nodeProcess.js";
import { type Proxy as EngineWay, startProxy } from "../support/proxy.js";
import { SequenceClient } from "../support/sequenceClient.js";
import { FaultyProxy } from "./faultyProxy.js";
import { PublicationLog, type Tally } from "./publicationLog.js";

export const runPath = "/kept/run";
const nodeCount = 3;
/** Larger than any run, so that only an engine loses publications. */
const history = { size: 1_000_000, bytesMax: 2 ** 30 };
/** Short intervals, so that seconds in production become a moment here. */
const limits: Partial<Limits> = {
  backplaneMs: 2_000,
  nodeHeartbeatMs: 500,
  roomCheckMs: 500,
  recoverMessagesMax: 1_000_000,
};

/** How much faster the clocks of clients are whose connections break. */
const haste = 5;

export interface ProcessRunOptions {
  readonly clients: number;
  /** Publications a second, over all nodes. */
  readonly perSecond: number;
  readonly awaitEach?: number;
  readonly backplane?: object;
  readonly seed?: number;
  readonly route?: RouteOptions;
  /** Whether clients and nodes are behind proxies that break their connections. Default: `false`. */
  readonly throughProxies?: boolean;
}

/** One of the nodes. A process that replaces another has the same place. */
interface Place {
  node: NodeProcess;
  generation: number;
  /** The way to the engine. */
  readonly way: EngineWay | undefined;
  readonly settings: NodeSettings;
  /** Whether clients may connect. */
  isOpen: boolean;
}

/** Node processes over one engine, steady publishers on each of them, and clients in this process. */
export class ProcessRun {
  readonly publicationLog = new PublicationLog();
  readonly clients: SequenceClient[] = [];
  readonly #retired: NodeProcess[] = [];
  #isOver = false;

  private constructor(
    readonly engine: EngineServer,
    readonly dice: Dice,
    readonly places: readonly Place[],
    /** The way of the clients to the nodes. */
    readonly clientWay: FaultyProxy | undefined,
    readonly options: ProcessRunOptions,
  ) {
    onTestFinished(() => this.#end());
  }

  static async start(engine: EngineServer, options: ProcessRunOptions): Promise<ProcessRun> {
    const { throughProxies = false, route = {}, seed = 1, clients } = options;
    const start = async (): Promise<Place> => {
      const way = throughProxies ? await startProxy(engine.port) : undefined;
      const settings: NodeSettings = {
        engine: way === undefined ? engine.address : addressThrough(engine.address, way.port),
        backplane: { ...(engine.name === "nats" && { storage: "file" }), ...options.backplane },
        // Half-open connections are only behind a proxy. A busy machine answers late.
        limits: { ...limits, ...(throughProxies && { heartbeatMs: 2_000 }) },
        routes: { "/kept/:name": { history, ...route } },
      };
      return { node: await NodeProcess.start(settings), generation: 0, way, settings, isOpen: true };
    };
    const places = await Promise.all(Array.from({ length: nodeCount }, start));
    const dice = new Dice(seed);
    // Of its own: how often clients connect depends on the time, and the faults must not.
    const clientDice = new Dice(seed + 1);
    const openPort = () => {
      const open = places.filter(({ isOpen, node }) => isOpen && node.isRunning);
      return (clientDice.of(open) ?? places[0])?.node.port ?? 0;
    };
    const clientWay = throughProxies ? await FaultyProxy.start(openPort) : undefined;
    const run = new ProcessRun(engine, dice, places, clientWay, options);
    await run.#knowEachOther();
    for (let n = 0; n < clients; n += 1) {
      const port = clientWay?.port ?? places[n % nodeCount]?.node.port;
      const url = `ws://127.0.0.1:${port}${runPath}?user=user-${n}`;
      const options = { random: () => clientDice.roll(), haste: throughProxies ? haste : 1 };
      run.clients.push(new SequenceClient(url, `client ${n}`, { ...options, keepsFrames: throughProxies }));
    }
    await Promise.all(run.clients.map(({ room }) => room.opened));
    // Everyone is there for the first one, and so for all later ones.
    await run.#publishLast("first");
    for (const [index] of places.entries()) await run.#publishOn(index);
    return run;
  }

  /** Resolves when so many more publications were accepted. */
  async accepts(count: number): Promise<void> {
    const end = this.publicationLog.accepted + count;
    await poll(`${count} more publications are accepted`, async () => this.publicationLog.accepted >= end);
  }

  /** Kills the process of a node, and starts another one in its place. */
  async replace(index: number, leave: (node: NodeProcess) => Promise<void>): Promise<void> {
    const place = this.#placeOf(index);
    const { node } = place;
    place.isOpen = false;
    this.#retired.push(node);
    await leave(node);
    await node.kill();
    place.node = await NodeProcess.start(place.settings);
    place.generation += 1;
    place.isOpen = true;
    await this.#publishOn(index);
  }

  /** Stops the publishers of a node, and has its clients leave it. */
  async drain(node: NodeProcess): Promise<void> {
    await node.rest();
    await node.drain(2_000);
  }

  /** The frames of the first client that one of these examples names. */
  traceOf(examples: readonly string[]): readonly string[] {
    return this.clients.find(({ name }) => examples.some((example) => example.includes(`${name}:`)))?.trace ?? [];
  }

  /** Repairs nothing: waits until all members have the same end. Returns the numbers, and what else went wrong. */
  async conclude(): Promise<{ readonly tally: Tally; readonly faults: readonly string[] }> {
    for (const { way } of this.places) way?.open();
    await this.#knowEachOther();
    await Promise.all(this.places.map(({ node }) => node.rest()));
    const finals: string[] = [];
    for (const index of this.places.keys()) finals.push(await this.#publishLast(`final ${index}`, index));
    const lacking = () => this.clients.filter((client) => !finals.every((id) => client.has(id)));
    const faults: string[] = [];
    try {
      await poll("all clients have the last publications", async () => lacking().length === 0);
    } catch (error) {
      faults.push(`${error}; these have not: ${lacking().map(describeClient)}`, ...(await this.#describeNodes()));
    }
    const kept = await this.#placeOf(0).node.history(runPath);
    const tally = this.publicationLog.tally(this.clients, kept);
    return { tally, faults: [...faults, ...this.publicationLog.faults, ...this.#strangeErrors()] };
  }

  async #publishOn(index: number): Promise<void> {
    const { node, generation } = this.#placeOf(index);
    const name = `n${index}g${generation}`;
    node.onAccepted = ([id, position]) => this.publicationLog.accept(name, id, position);
    const perSecond = this.options.perSecond / nodeCount;
    const { awaitEach } = this.options;
    await node.startPublishing({ path: runPath, name, perSecond, ...(awaitEach && { awaitEach }) });
  }

  /** Publishes until the engine accepts, since a broken connection may be noticed only now. Returns the id. */
  async #publishLast(what: string, index = 0): Promise<string> {
    const { node, generation } = this.#placeOf(index);
    let accepted: string | undefined;
    let attempt = 0;
    await poll(`${what} is accepted`, async () => {
      attempt += 1;
      const id = `${what}, attempt ${attempt}`;
      try {
        const position: Position | undefined = await node.publish(runPath, id);
        this.publicationLog.accept(`n${index}g${generation}`, id, position);
        accepted = id;
      } catch (error) {
        if (!(error instanceof RemoteError) || error.code !== "ERR_BACKPLANE") throw error;
      }
      return accepted !== undefined;
    });
    return accepted ?? "";
  }

  async #knowEachOther(): Promise<void> {
    for (const { node } of this.places) {
      await poll("every node reaches the engine, and knows of the others", async () => {
        const { backplane } = await node.status();
        return backplane.state === "up" && backplane.nodes >= nodeCount;
      });
    }
  }

  #placeOf(index: number): Place {
    const place = this.places[index];
    if (place === undefined) throw new Error(`there are ${this.places.length} nodes`);
    return place;
  }

  async #describeNodes(): Promise<string[]> {
    return Promise.all(
      this.places.map(async ({ node }, index) => {
        const { backplane, connections } = await node.status();
        const errors = node.errors.slice(-3).map(({ message }) => message);
        return `node ${index} has ${connections} connections, ${JSON.stringify({ ...backplane, errors })}`;
      }),
    );
  }

  #strangeErrors(): string[] {
    const nodes = [...this.places.map(({ node }) => node), ...this.#retired];
    const ofNodes = nodes.flatMap(({ errors, rejected }) =>
      [...errors, ...rejected]
        .filter(({ code }) => code !== "ERR_BACKPLANE")
        .map(({ code, message }) => `${code} ${message}`),
    );
    return [...ofNodes, ...this.clients.flatMap(({ faults }) => faults)].slice(0, 20);
  }

  async #end(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { room } of this.clients) room.close();
    await this.clientWay?.stop();
  }
}

function describeClient({ name, room, lost }: SequenceClient): string {
  const { epoch, offset } = room.position ?? {};
  return `${name} (${room.state} at ${epoch}:${offset}, told ${lost.map(({ reason }) => reason).join(" ")})`;
}
