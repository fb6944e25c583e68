import { describe, expect, it } from "vitest";
import { SubscriptionMember } from "../faults/clusterMembers.js";
import { waitFor } from "../faults/clusterRun.js";
import { FaultyProxy } from "../faults/faultyProxy.js";
import type { EngineName, EngineOptions, EngineServer } from "../support/engines.js";
import { loseSettings } from "../support/natsStore.js";
import { NodeProcess } from "../support/nodeProcess.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { SequenceClient } from "../support/sequenceClient.js";
import { type ClusterNode, nodeOf, startCluster, type TestCluster } from "./cluster.js";
import { Talker } from "./talker.js";

const rooms = ["/kept/a", "/replayed/a"];
const [before, behind, after] = [100, 500, 10];
const limits = { backplaneMs: 1_000, nodeHeartbeatMs: 300, roomCheckMs: 300 };

function engineOf({ engine }: TestCluster): EngineServer {
  if (engine === undefined) throw new Error("there is no engine");
  return engine;
}

const stateIs = (state: string, ...nodes: readonly ClusterNode[]) =>
  waitFor(`the engine is ${state}`, () => nodes.every(({ app }) => app.status().backplane.state === state));

const idsOf = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}-${n}`);

async function publish({ app }: ClusterNode, name: string, count: number): Promise<string[]> {
  const ids = idsOf(name, count);
  for (const room of rooms) for (const id of ids) await app.registry.room(room).publish(id);
  return ids;
}

const open = (port: number, name: string) =>
  Promise.all(rooms.map((room) => SequenceClient.open(`ws://127.0.0.1:${port}${room}`, `${name} in ${room}`)));

/** Resolves when all of them have this publication, or fails with how many each has. */
async function allGet(id: string, clients: readonly SequenceClient[]): Promise<void> {
  await waitFor(`all have ${id}`, () => clients.every((one) => one.has(id))).catch((error) => {
    throw new Error(`${error}: ${clients.map(({ name, ids }) => `${name} has ${ids.length}`).join(", ")}`);
  });
}

/** Two nodes, one of them behind a proxy, and clients of each; one client of the first node is behind a proxy too. */
async function startScene(name: EngineName, engineOptions: EngineOptions) {
  const cluster = await startCluster(name, 1, { engine: { durable: true, ...engineOptions }, limits });
  const engine = engineOf(cluster);
  const near = nodeOf(cluster, 0);
  const engineWay = await startProxy(engine.port);
  const far = await cluster.add(`${name}://127.0.0.1:${engineWay.port}`);
  const history = { size: 10_000, bytesMax: 64 * 1024 * 1024 };
  for (const { app } of [near, far]) app.route("/replayed/:name", Talker, { history, replay: 20 });
  const clientWay = await startProxy(near.port);
  const [there, ofFar, away] = await Promise.all([
    open(near.port, "a client of the near node"),
    open(far.port, "a client of the far node"),
    open(clientWay.port, "a client that is away"),
  ]);
  const heard = rooms.map((room) => new SubscriptionMember(far.app, room, `the subscription to ${room}`));
  return { engine, near, far, engineWay, clientWay, there, ofFar, away, heard };
}

type Scene = Awaited<ReturnType<typeof startScene>>;

/** Publishes before, during and after `restarting` the engine; the far node and a client are cut off meanwhile. */
async function publishAround(scene: Scene, restarting: () => Promise<void>): Promise<string[]> {
  const { near, far, engineWay, clientWay, there, ofFar, away } = scene;
  const all = [...there, ...ofFar, ...away];
  const ids = await publish(near, "before", before);
  await allGet(`before-${before - 1}`, all);
  engineWay.cut();
  clientWay.cut();
  await stateIs("away", far);
  // Until then it is asked for what it has seen, and its silence makes every loss unknown.
  await waitFor("the far node is given up", () => near.app.status().backplane.nodes === 1);
  ids.push(...(await publish(near, "behind", behind)));
  await allGet(`behind-${behind - 1}`, there);
  await restarting();
  ids.push(...(await publish(near, "after", after)));
  await allGet(`after-${after - 1}`, there);
  engineWay.open();
  clientWay.open();
  await allGet(`after-${after - 1}`, all);
  return ids;
}

async function restart({ engine, near }: { engine: EngineServer; near: ClusterNode }): Promise<void> {
  await engine.kill();
  await stateIs("away", near);
  await engine.restart();
  await stateIs("up", near);
}

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `restarts of ${name} with its data`))(`a restart of ${name} with its data`, () => {
    it.each([0, 1])(
      "costs nothing: who was behind gets what was missed, once, after %i earlier restarts",
      async (earlier) => {
        // With `everysec`, a busy disk makes Redis acknowledge what it has not written, and a kill then loses it.
        const scene = await startScene(name, { appendfsync: "always" });
        const { near, far, there, ofFar, away, heard } = scene;
        const expected = await publishAround(scene, async () => {
          for (let n = 0; n <= earlier; n += 1) await restart(scene);
        });
        for (const { name: who, ids, lost } of [...there, ...ofFar, ...away])
          expect({ who, ids, lost }).toEqual({ who, ids: expected, lost: [] });
        for (const { observations, faults, name: who } of heard) {
          await waitFor(`${who} has the last`, () => observations.length >= expected.length);
          expect(observations.filter(({ kind }) => kind === "reported")).toEqual([]);
          expect(observations.map((one) => (one.kind === "got" ? one.id : one.why))).toEqual(expected);
          expect(faults).toEqual([]);
        }
        for (const { app } of [near, far]) expect(app.status().backplane.lagged).toBe(0);
      },
      60_000,
    );

    it("tells a client that comes back for the second time of no loss, and repeats nothing", async () => {
      const scene = await startScene(name, {});
      const { near, clientWay, away } = scene;
      const expected = await publish(near, "before", before);
      await allGet(`before-${before - 1}`, away);
      for (const round of [1, 2, 3]) {
        clientWay.cut();
        await restart(scene);
        expected.push(...(await publish(near, `round ${round}`, after)));
        clientWay.open();
        await allGet(`round ${round}-${after - 1}`, away);
      }
      for (const { ids, lost } of away) expect({ ids, lost }).toEqual({ ids: expected, lost: [] });
    }, 60_000);
  });
}

describe.skipIf(missing("redis", "Redis that loses nothing"))("redis(url, { durable: true })", () => {
  it("keeps the epoch over a restart of a Redis that writes at once", async () => {
    const cluster = await startCluster("redis", 1, {
      engine: { durable: true, appendfsync: "always" },
      backplane: { durable: true },
      limits,
    });
    const near = nodeOf(cluster, 0);
    const { app } = near;
    const [client] = await Promise.all([SequenceClient.open(`ws://127.0.0.1:${near.port}/kept/a`)]);
    const first = await app.registry.room("/kept/a").publish("first");
    for (const offset of [2, 3]) {
      await restart({ engine: engineOf(cluster), near });
      expect(await app.registry.room("/kept/a").publish(`id-${offset}`)).toEqual({ epoch: first?.epoch, offset });
    }
    await client.gets("id-3");
    expect(client.ids).toEqual(["first", "id-2", "id-3"]);
    expect(client.lost).toEqual([]);
  });
});

describe("a restart of a process with history in memory", () => {
  it.each([0, 3])("tells a client of the gap, then gives it all that is kept since, with replay %i", async (replay) => {
    const settings = {
      engine: { kind: "memory" },
      routes: { "/kept/:name": { history: { size: 1_000 }, replay } },
    } as const;
    const first = await NodeProcess.start(settings);
    let port = first.port;
    const way = await FaultyProxy.start(() => port);
    const client = await SequenceClient.open(`ws://127.0.0.1:${way.port}/kept/a`);
    const before = idsOf("before", 20);
    for (const id of before) await first.publish("/kept/a", id);
    await allGet("before-19", [client]);
    await first.kill();
    const second = await NodeProcess.start(settings);
    const since = idsOf("since", 30);
    for (const id of since) await second.publish("/kept/a", id);
    port = second.port;
    await allGet("since-29", [client]);
    await second.publish("/kept/a", "live");
    await allGet("live", [client]);
    await way.stop();
    expect(client.lost.map(({ reason }) => reason)).toEqual(["epoch"]);
    expect(client.ids).toEqual([...before, ...since, "live"]);
    const at = client.observations.findIndex(({ kind }) => kind === "reported");
    expect(at).toBe(before.length);
  });
});

describe.skipIf(missing("nats", "a store without settings"))(
  "a crash of nats that loses the settings of streams",
  () => {
    it("costs nothing: who was behind gets what was missed, once", async () => {
      const scene = await startScene("nats", {});
      const { engine, near, there, ofFar, away } = scene;
      const expected = await publishAround(scene, async () => {
        await engine.kill();
        await stateIs("away", near);
        expect(loseSettings(engine)).toBeGreaterThan(0);
        await engine.restart();
        await stateIs("up", near);
      });
      for (const { name: who, ids } of [...there, ...ofFar, ...away])
        expect({ who, ids }).toEqual({ who, ids: expected });
    }, 60_000);
  },
);
