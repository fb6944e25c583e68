import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import { App } from "../../src/index.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { nodeOf, startCluster, type TestCluster, until } from "./cluster.js";
import { Talker } from "./talker.js";

const visits = 100;
/** Milliseconds that a meta key may outlive the history, for clients that come back. */
const spareMs = 600_000;

/** Clients of both kinds come to a room each, see that it is empty, and leave. */
async function visit(cluster: TestCluster): Promise<void> {
  for (const { app } of cluster.nodes) app.route("/replayed/:name", Talker, { history: { size: 10 }, replay: 5 });
  for (let n = 0; n < visits; n += 1) {
    const node = nodeOf(cluster, n % cluster.nodes.length);
    const protocols = n % 2 === 0 ? { protocols: ["enfilade.v1"] } : {};
    const client = await node.open(`/${n % 3 === 0 ? "replayed" : "kept"}/visit-${n}`, protocols);
    client.terminate();
  }
  await until(() => cluster.nodes.every(({ app }) => app.status().rooms === 0));
}

async function keysOf(url: string): Promise<Map<string, number>> {
  const client = new Redis(url);
  onTestFinished(() => client.disconnect());
  const names = await client.keys("*");
  const ages = await Promise.all(names.map((name) => client.pttl(name)));
  return new Map(names.map((name, index) => [name, ages[index] ?? 0]));
}

describe.skipIf(missing("redis", "what visits leave in Redis"))("in Redis", () => {
  it("a visit to a room with history leaves no key", async () => {
    const cluster = await startCluster("redis", 2);
    await visit(cluster);
    const names = [...(await keysOf(cluster.engine?.url ?? "")).keys()].filter((name) => name.includes("visit"));
    expect({ count: names.length, first: names[0] }).toEqual({ count: 0, first: undefined });
  });

  it("reading the history of a room without publications leaves no key", async () => {
    const cluster = await startCluster("redis", 1);
    const { app } = nodeOf(cluster, 0);
    for (let n = 0; n < visits; n += 1) expect(await app.registry.room(`/kept/visit-${n}`).history()).toEqual([]);
    expect((await keysOf(cluster.engine?.url ?? "")).size).toBe(0);
  });

  it("all keys of a room expire soon after its history", async () => {
    const engine = await startEngine("redis");
    const seconds = 30;
    const app = new App({ backplane: engine.backplane() });
    app.route("/kept/:name", Talker, { history: { size: 10, seconds } });
    onTestFinished(() => app.close());
    const room = app.registry.room("/kept/a");
    for (const n of [1, 2, 3]) await room.publish(n);
    await room.history();
    const ages = [...(await keysOf(engine.url))];
    expect(ages.length).toBeGreaterThan(0);
    for (const [name, ms] of ages) {
      expect({ name, isForever: ms < 0 }).toEqual({ name, isForever: false });
      expect({ name, isTooLong: ms > seconds * 1_000 + spareMs ? ms : false }).toEqual({ name, isTooLong: false });
    }
  });
});

describe.skipIf(missing("nats", "what visits leave in NATS"))("in NATS", () => {
  it("a visit to a room with history leaves no stream", async () => {
    const cluster = await startCluster("nats", 2);
    await visit(cluster);
    const connection = await connectNats({ servers: cluster.engine?.url ?? "" });
    onTestFinished(() => connection.close());
    const names: string[] = [];
    for await (const name of (await jetstreamManager(connection)).streams.names()) names.push(name);
    expect({ count: names.length, first: names[0] }).toEqual({ count: 0, first: undefined });
  });
});
