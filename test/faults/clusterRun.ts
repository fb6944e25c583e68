import { onTestFinished } from "vitest";
import { EnfiladeError, type Limits } from "../../src/index.js";
import { type ClusterNode, type ClusterOptions, startCluster, type TestCluster, until } from "../backplane/cluster.js";
import { Dice } from "../support/dice.js";
import type { EngineName, EngineServer } from "../support/engines.js";
import { startProxy, type Proxy as Way } from "../support/proxy.js";
import { Client, SubscriptionMember } from "./clusterMembers.js";
import { PublicationLog } from "./publicationLog.js";

export const path = "/kept/faults";
/** A room without history, for additional traffic. */
const plainPath = "/plain/faults";
/** Bytes that may wait for the engine. */
const bytesMax = 16 * 1024;
const clientsPerNode = 2;
/** Publications of one node that wait for their answer. */
const windowMax = 8;
/** Milliseconds after which an expected event counts as missing. */
const patienceMs = 15_000;

/** Short intervals, so that seconds in production become a moment here. */
export const hasty: Partial<Limits> = {
  backplaneMs: 500,
  nodeHeartbeatMs: 200,
  roomCheckMs: 300,
  heartbeatMs: false,
  backplaneBytesMax: bytesMax,
};

/** Waits for an expected event; fails with its description if it does not happen in time. */
export async function waitFor(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + patienceMs;
  await until(() => condition() || performance.now() > end);
  if (!condition()) throw new Error(`in ${patienceMs} ms it did not come to this: ${what}`);
}

/** Nodes, members and a publisher on each of them: the target of a fault. */
export class Load {
  readonly publicationLog = new PublicationLog();
  readonly clients: Client[] = [];
  readonly listening: SubscriptionMember[] = [];
  readonly laggedReported: number[];
  #publishing = true;
  #publishers: Promise<void>[] = [];
  #sockets = 0;

  private constructor(
    readonly dice: Dice,
    readonly engine: EngineServer,
    readonly nodes: readonly ClusterNode[],
    /** The proxy between the engine and the last node. */
    readonly proxy: Way,
  ) {
    this.laggedReported = nodes.map(() => 0);
  }

  /** @param publishes Whether every node publishes all the time. */
  static async start(
    name: EngineName,
    seed: number,
    { publishes = true, ...options }: ClusterOptions & { readonly publishes?: boolean } = {},
  ): Promise<Load> {
    const cluster = await startCluster(name, 2, { limits: hasty, leaveGraceMs: 0, ...options });
    const engine = engineOf(cluster);
    const proxy = await startProxy(engine.port);
    const far = await cluster.add(`${name}://127.0.0.1:${proxy.port}`);
    const load = new Load(new Dice(seed), engine, [...cluster.nodes, far], proxy);
    await load.#begin();
    if (publishes) load.#publishers = load.nodes.map((node, index) => load.#publishOn(node, index));
    return load;
  }

  /** The node behind the proxy. */
  get far(): ClusterNode {
    const far = this.nodes.at(-1);
    if (far === undefined) throw new Error("there are three nodes");
    return far;
  }

  /** Resolves when `count` more publications were accepted, on any node. Publications, not time, drive a run. */
  async accepts(count: number): Promise<void> {
    const end = this.publicationLog.accepted + count;
    await waitFor(`${count} more publications are accepted`, () => this.publicationLog.accepted >= end);
  }

  /** Publishes a number of messages, one after another. */
  async publishFirst(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) await this.#publish(this.far, this.nodes.length - 1, `first-${n}`);
  }

  /** Lets the far node read history over a slow connection, which is cut meanwhile. Returns `all` or an error code. */
  async readAndCut(count: number, msMax: number): Promise<string> {
    this.proxy.delay(5);
    const cutting = setTimeout(() => this.proxy.cut(), this.dice.from(1, msMax));
    try {
      const kept = await this.far.app.registry.room(path).history();
      return kept.length === count ? "all" : `${kept.length} of ${count}`;
    } catch (error) {
      return error instanceof EnfiladeError ? error.code : String(error);
    } finally {
      clearTimeout(cutting);
      this.proxy.cut();
      this.proxy.delay(0);
      await this.isAway(this.far);
      this.proxy.open();
    }
  }

  async isAway({ app }: ClusterNode): Promise<void> {
    await waitFor("the node knows that the engine is away", () => app.status().backplane.state === "away");
  }

  async isUp({ app }: ClusterNode): Promise<void> {
    await waitFor("the node reaches the engine", () => app.status().backplane.state === "up");
  }

  /** The users of this process's clients in the room. */
  get users(): string[] {
    return this.nodes.flatMap((_, index) => Array.from({ length: clientsPerNode }, (_, n) => `user-${index}-${n}`));
  }

  /** Resolves when every node has exactly these users present. */
  async hasPresent(users: readonly string[]): Promise<void> {
    const expected = [...users].sort().join(" ");
    const end = performance.now() + patienceMs;
    for (const [index, { app }] of this.nodes.entries()) {
      for (let present = ""; present !== expected; ) {
        const { users: there } = await app.registry.room(path).presence();
        present = there
          .map(({ id, connections }) => (connections > 0 ? id : `${id} (gone)`))
          .sort()
          .join(" ");
        if (present === expected) break;
        if (performance.now() > end) throw new Error(`on node ${index} are ${present}, and not ${expected}`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  /** The joins and leaves from now on, by node, one change at a time. */
  presenceChanges(): { joined: string[]; left: string[] }[][] {
    return this.nodes.map(({ app }) => {
      const changes: { joined: string[]; left: string[] }[] = [];
      app.registry.on("presence", (_room, { joined, left }) => {
        changes.push({ joined: joined.map(({ id }) => id).sort(), left: left.map(({ id }) => id).sort() });
      });
      return changes;
    });
  }

  /** The users whose leaves are reported from now on, on any node. */
  reportedLeaves(): string[] {
    const leaves: string[] = [];
    for (const { app } of this.nodes) app.registry.on("leave", (_room, { id }) => leaves.push(id));
    return leaves;
  }

  /** A client loses its connection, and resumes. */
  moveSomebody(): void {
    this.dice.of(this.clients.filter(({ isIn }) => isIn))?.reconnect();
  }

  /** Stops publishing, and waits until all members have reached the same end. Returns all errors. */
  async conclude(): Promise<string[]> {
    await this.#rest();
    const members = [...this.clients, ...this.listening];
    const finals: string[] = [];
    for (const [index, node] of this.nodes.entries()) finals.push(await this.#publishLast(node, index));
    const lacking = () => members.filter((member) => !finals.every((id) => member.has(id))).map(({ name }) => name);
    await waitFor("all members have the last publication", () => lacking().length === 0).catch((error) => {
      this.publicationLog.faults.push(`${error}; these have not: ${lacking()}`);
    });
    await this.#checkAgreement();
    for (const node of this.nodes) await this.#checkSpace(node);
    return [...this.#faultsOfNodes(), ...this.publicationLog.check(members)];
  }

  /** Stops publishing when all nodes are connected again, and waits for reconnecting members. */
  async #rest(): Promise<void> {
    await waitFor("every node reaches the engine, and knows of the others", () =>
      this.nodes.every(({ app }) => app.status().backplane.state === "up" && this.#knowsAll(app.status())),
    );
    this.#publishing = false;
    await Promise.all(this.#publishers);
    const outside = () => this.clients.filter(({ isIn }) => !isIn).map(({ name }) => name);
    await waitFor("every client is in", () => outside().length === 0).catch((error) => {
      this.publicationLog.faults.push(`${error}; these are not: ${outside()}`);
    });
  }

  #knowsAll({ backplane, cluster }: ReturnType<ClusterNode["app"]["status"]>): boolean {
    return (
      backplane.nodes === this.nodes.length && cluster.connections >= this.clients.filter((one) => one.isIn).length
    );
  }

  async #begin(): Promise<void> {
    for (const [index, { app, port }] of this.nodes.entries()) {
      app.registry.on("lagged", () => {
        this.laggedReported[index] = (this.laggedReported[index] ?? 0) + 1;
      });
      for (let n = 0; n < clientsPerNode; n += 1) {
        const user = `user-${index}-${n}`;
        this.clients.push(new Client(`ws://127.0.0.1:${port}${path}?user=${user}`, `client ${n} of node ${index}`));
      }
      this.listening.push(new SubscriptionMember(app, path, `subscription of node ${index}`));
    }
    onTestFinished(() => {
      this.#publishing = false;
      for (const client of this.clients) client.close();
    });
    await waitFor("all clients are in", () => this.clients.every(({ isIn }) => isIn));
    await waitFor("all nodes know each other", () => this.nodes.every(({ app }) => this.#knowsAll(app.status())));
    this.#sockets = socketCount();
  }

  async #publishOn(node: ClusterNode, index: number): Promise<void> {
    const { app } = node;
    let waiting = 0;
    for (let n = 0; this.#publishing; n += 1) {
      waiting += 1;
      const settled = () => {
        waiting -= 1;
      };
      this.#publish(node, index, `${index}-${n}`).then(settled, (error) => {
        settled();
        this.#reject(error);
      });
      if (n % 4 === 0)
        app.registry
          .room(plainPath)
          .publish(n)
          .catch((error) => this.#reject(error));
      do await new Promise((resolve) => setImmediate(resolve));
      while (waiting >= windowMax);
    }
    await waitFor(`node ${index} is answered or refused`, () => waiting === 0);
  }

  /** Publishes until the engine accepts, because a broken connection may be noticed only now. Returns the message. */
  async #publishLast(node: ClusterNode, index: number): Promise<string> {
    for (let attempt = 0; ; attempt += 1) {
      await waitFor(`node ${index} reaches the engine`, () => node.app.status().backplane.state === "up");
      const id = `final ${index}.${attempt}`;
      try {
        await this.#publish(node, index, id);
        return id;
      } catch (error) {
        this.#reject(error);
      }
    }
  }

  async #publish({ app }: ClusterNode, index: number, id: string): Promise<void> {
    this.publicationLog.accept(`node ${index}`, id, await app.registry.room(path).publish(id));
  }

  #reject(error: unknown): void {
    this.publicationLog.rejected += 1;
    if (!(error instanceof EnfiladeError) || error.code !== "ERR_BACKPLANE") {
      this.publicationLog.faults.push(`a publication was refused with ${error}`);
    }
  }

  /** Checks the presence on each node, and that nothing of the faults is left. */
  async #checkAgreement(): Promise<void> {
    await this.hasPresent(this.users).catch((error) => this.publicationLog.faults.push(String(error)));
    const isLean = () => socketCount() <= this.#sockets;
    await waitFor("as many sockets are open as before", isLean).catch((error) => {
      this.publicationLog.faults.push(`${error}: ${socketCount()} instead of ${this.#sockets}`);
    });
  }

  /** A publication as large as the whole limit is accepted only if nothing waits. */
  async #checkSpace({ app }: ClusterNode): Promise<void> {
    const end = performance.now() + patienceMs / 5;
    for (let last: unknown; ; ) {
      try {
        await app.registry.room(plainPath).publish("x".repeat(bytesMax));
        return;
      } catch (error) {
        last = error;
      }
      if (performance.now() > end) {
        this.publicationLog.faults.push(`something still waits for the engine: ${last}`);
        return;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #faultsOfNodes(): string[] {
    return this.nodes.flatMap(({ app, errors }, index) => {
      const { backplane } = app.status();
      const strange = errors.filter((error) => !(error instanceof EnfiladeError && error.code === "ERR_BACKPLANE"));
      return [
        ...strange.map((error) => `node ${index} reported ${error.stack}`),
        ...(backplane.state === "up" ? [] : [`node ${index} is ${backplane.state} after all`]),
        ...(backplane.malformed === 0 ? [] : [`node ${index} had ${backplane.malformed} malformed messages`]),
        ...(backplane.lagged === this.laggedReported[index]
          ? []
          : [`node ${index} counts ${backplane.lagged} losses, and reported ${this.laggedReported[index]}`]),
      ];
    });
  }
}

function engineOf({ engine }: TestCluster): EngineServer {
  if (engine === undefined) throw new Error("a cluster over an engine has one");
  return engine;
}

/** TCP connections of this process, both ends of those within it. */
function socketCount(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
}
