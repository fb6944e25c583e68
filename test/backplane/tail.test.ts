import { describe, expect, it } from "vitest";
import { waitFor } from "../faults/clusterRun.js";
import { PublicationLog } from "../faults/publicationLog.js";
import type { EngineServer } from "../support/engines.js";
import { copyStore, cutTail } from "../support/natsStore.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { SequenceClient } from "../support/sequenceClient.js";
import { type ClusterNode, nodeOf, startCluster, type TestCluster } from "./cluster.js";

const path = "/kept/a";
const [older, missed, newer] = [300, 100, 200];
const limits = { backplaneMs: 1_000, nodeHeartbeatMs: 1_000, roomCheckMs: 300 };
const perfect = { acknowledged: older + missed + newer, lostUntold: 0, keptNotDelivered: 0, twice: 0, outOfOrder: 0 };

function engineOf({ engine }: TestCluster): EngineServer {
  if (engine === undefined) throw new Error("there is no engine");
  return engine;
}

const stateIs = (state: string, nodes: readonly ClusterNode[]) =>
  waitFor(`the engine is ${state}`, () => nodes.every(({ app }) => app.status().backplane.state === state));

/** Three nodes with two clients each; the third node and one more client can be cut off. */
class Scene {
  readonly log = new PublicationLog();
  #published = 0;

  private constructor(
    readonly engine: EngineServer,
    readonly nodes: readonly ClusterNode[],
    readonly cut: () => void,
    readonly open: () => void,
    readonly clients: readonly SequenceClient[],
    /** A client that is away meanwhile, and one of a node that is. */
    readonly away: { readonly client: SequenceClient; readonly ofNode: SequenceClient },
  ) {}

  static async start(backplane: { readonly durable: boolean }): Promise<Scene> {
    const cluster = await startCluster("nats", 2, { engine: { durable: true, backplane }, limits });
    const engine = engineOf(cluster);
    const engineWay = await startProxy(engine.port);
    const far = await cluster.add(`nats://127.0.0.1:${engineWay.port}`);
    const clientWay = await startProxy(nodeOf(cluster, 0).port);
    const nodes = [...cluster.nodes, far];
    const open = (port: number, name: string) => SequenceClient.open(`ws://127.0.0.1:${port}${path}`, name);
    const live = await Promise.all(
      nodes.flatMap(({ port }, n) => [open(port, `first of node ${n}`), open(port, `second of node ${n}`)]),
    );
    const client = await open(clientWay.port, "the client that is away");
    const [ofNode] = live.slice(-1);
    if (ofNode === undefined) throw new Error("there is no client");
    const cut = () => {
      engineWay.cut();
      clientWay.cut();
    };
    const openAll = () => {
      engineWay.open();
      clientWay.open();
    };
    return new Scene(engine, nodes, cut, openAll, [...live, client], { client, ofNode });
  }

  /** Publishes on the nodes in turn, and returns the ids. */
  async publish(count: number, nodes: readonly ClusterNode[]): Promise<string[]> {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) {
      const at = n % nodes.length;
      this.#published += 1;
      const id = `id-${this.#published}`;
      this.log.accept(`node ${at}`, id, await nodes[at]?.app.registry.room(path).publish(id));
      ids.push(id);
    }
    return ids;
  }

  async kept(): Promise<string[]> {
    const publications = (await this.nodes[0]?.app.registry.room(path).history()) ?? [];
    return publications.map(({ data }) => String(data));
  }

  async allHave(ids: readonly string[], clients = this.clients): Promise<void> {
    const lacking = () =>
      clients
        .map((one) => `${one.name}: ${ids.filter((id) => !one.has(id)).length}`)
        .filter((line) => !/: 0$/.test(line));
    await waitFor("all clients have all", () => lacking().length === 0).catch((error) => {
      throw new Error(`${error}; these lack so many of ${ids.length}: ${lacking()}`);
    });
  }
}

describe.skipIf(missing("nats", "a store that lost its end"))("when NATS comes back without its last writes", () => {
  it.each([
    { way: "the end of its last file was never written", durable: false },
    { way: "an older copy of its store was restored", durable: false },
    { way: "the end of its last file was never written, although it is durable", durable: true },
  ])(
    "because $way, new publications reach every client once, and the loss is told",
    async ({ way, durable }) => {
      const scene = await Scene.start({ durable });
      const { engine, nodes, clients, away, log } = scene;
      await scene.allHave(await scene.publish(older, nodes));
      const restore = way.startsWith("an older") ? await copyOf(engine, nodes) : undefined;
      scene.cut();
      await stateIs("away", nodes.slice(-1));
      const there = clients.filter((one) => one !== away.client && !clients.slice(4, 6).includes(one));
      await scene.allHave(await scene.publish(missed, nodes.slice(0, 2)), there);
      await engine.kill();
      await stateIs("away", nodes);
      if (restore === undefined) expect(cutTail(engine)).toBeGreaterThan(10_000);
      else restore();
      await engine.restart();
      scene.open();
      await stateIs("up", nodes);
      const fresh = await scene.publish(newer, nodes);
      await scene.allHave(fresh);
      const kept = await scene.kept();
      // The server has lost something indeed, and kept the new ones.
      expect(kept.length).toBeLessThan(older + missed + newer);
      expect(kept.slice(-newer)).toEqual(fresh);
      expect(log.tally(clients, kept)).toMatchObject(perfect);
      for (const one of Object.values(away)) expect(one.lost.length).toBeGreaterThan(0);
      for (const one of clients) expect(one.ids.slice(-newer)).toEqual(fresh);
    },
    60_000,
  );
});

/** Copies the store as it is now: the server is stopped for a moment. */
async function copyOf(engine: EngineServer, nodes: readonly ClusterNode[]): Promise<() => void> {
  await engine.kill();
  await stateIs("away", nodes);
  const restore = copyStore(engine);
  await engine.restart();
  await stateIs("up", nodes);
  return restore;
}
