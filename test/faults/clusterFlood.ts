import { EnfiladeError } from "../../src/index.js";
import { type ClusterNode, startCluster } from "../backplane/cluster.js";
import type { Dice } from "../support/dice.js";
import type { EngineName } from "../support/engines.js";
import { startProxy } from "../support/proxy.js";
import { Client, SubscriptionMember } from "./clusterMembers.js";
import { hasty, path, waitFor } from "./clusterRun.js";
import { PublicationLog } from "./publicationLog.js";

/** The limit of publications that may wait for the engine. */
const bytesMax = 16 * 1024;

/** A node behind a slow connection to the engine that publishes much more at once than may wait. */
export class Flood {
  readonly count = 300;
  /** The minimum size of one publication in bytes. */
  readonly size = 64;
  readonly bytesMax = bytesMax;
  readonly codes = new Set<string>();
  refused = 0;
  readonly #publicationLog = new PublicationLog();
  readonly #members: readonly (Client | SubscriptionMember)[];

  private constructor(
    readonly nodes: readonly ClusterNode[],
    readonly slow: ClusterNode,
  ) {
    this.#members = nodes.flatMap(({ app, port }, index) => [
      new Client(`ws://127.0.0.1:${port}${path}?user=${index}`, `client of node ${index}`),
      new SubscriptionMember(app, path, `subscription of node ${index}`),
    ]);
  }

  static async start(name: EngineName, dice: Dice, nodeHeartbeatMs: number): Promise<Flood> {
    const limits = { ...hasty, backplaneMs: 5_000, nodeHeartbeatMs, backplaneBytesMax: bytesMax };
    const cluster = await startCluster(name, 1, { limits });
    const proxy = await startProxy(cluster.engine?.port ?? 0);
    const slow = await cluster.add(`${name}://127.0.0.1:${proxy.port}`);
    const flood = new Flood([...cluster.nodes, slow], slow);
    const clients = flood.#members.filter((member) => member instanceof Client);
    await waitFor("both clients are in", () => clients.every(({ isIn }) => isIn));
    // The delay stays the same from now on: chunks with a shorter delay would overtake earlier ones.
    proxy.delay(dice.from(20, 40));
    return flood;
  }

  get unpublished(): number {
    return this.slow.app.status().backplane.unpublished;
  }

  /** Publishes without waiting for answers. */
  async burst(round: number): Promise<{ accepted: string[]; refused: number }> {
    const accepted: string[] = [];
    const before = this.refused;
    const all = Array.from({ length: this.count }, (_, n) => `${round}-${n}-`.padEnd(this.size, "x"));
    await Promise.all(all.map((id) => this.#publish(id).then((taken) => taken && accepted.push(id))));
    return { accepted, refused: this.refused - before };
  }

  /** Publishes too much until a number is accepted. Returns the fewest nodes that the other node knew of. */
  async sustain(count: number): Promise<number> {
    const [other] = this.nodes;
    const nodesOf = () => other?.app.status().backplane.nodes ?? 0;
    await waitFor("the nodes know each other", () => nodesOf() === this.nodes.length);
    let fewest = nodesOf();
    let taken = 0;
    for (let n = 0; taken < count && this.errors.length === 0; n += 1) {
      void this.#publish(`long-${n}-`.padEnd(this.size, "x")).then((isTaken) => {
        if (isTaken) taken += 1;
      });
      if (n % 8 > 0) continue;
      fewest = Math.min(fewest, nodesOf());
      await new Promise((resolve) => setImmediate(resolve));
    }
    return fewest;
  }

  /** The errors that both nodes reported. */
  get errors(): string[] {
    return this.nodes.flatMap(({ errors }) => errors.map(({ message }) => message));
  }

  /** Waits until all nodes have reached the same end, one publication at a time. Returns all errors. */
  async conclude(): Promise<string[]> {
    const last = ["last but one", "last"];
    for (const id of last) if (!(await this.#publish(id))) this.#publicationLog.faults.push(`${id} was refused`);
    const lacking = () => this.#members.filter((one) => !one.has("last")).map(({ name }) => name);
    await waitFor("all members have the last publication", () => lacking().length === 0).catch((error) => {
      this.#publicationLog.faults.push(`${error}; these have not: ${lacking()}`);
    });
    for (const member of this.#members) member.close();
    return this.#publicationLog.check(this.#members);
  }

  async #publish(id: string): Promise<boolean> {
    try {
      this.#publicationLog.accept("slow node", id, await this.slow.app.registry.room(path).publish(id));
      return true;
    } catch (error) {
      this.codes.add(error instanceof EnfiladeError ? error.code : String(error));
      this.refused += 1;
      return false;
    }
  }
}
