import { Cluster, Redis } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import { App } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import { connect } from "../../src/testing/index.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { nodeOf, startCluster, until } from "./cluster.js";
import { Talker } from "./talker.js";

/** The names of a channel, or of the keys of a room. */
const named = (channel: string) => `enfilade:{${channel}}`;

function client(port: number, db = 0): Redis {
  const redis = new Redis({ port, db });
  onTestFinished(() => redis.disconnect());
  return redis;
}

describe.skipIf(missing("redis", "what is particular to Redis"))("the backplane over Redis", () => {
  it("receives a room only on the nodes that have it open, at no cost for the others", async () => {
    const cluster = await startCluster("redis", 3);
    const [first, second, third] = cluster.nodes;
    const redis = client(cluster.engine?.port ?? 0);
    const hearing = async (channel: string) => (await redis.pubsub("NUMSUB", named(channel)))[1];
    const ann = await first?.open("/plain/a");
    await second?.open("/plain/a");
    expect([await hearing("/plain/a"), await hearing("/plain/b")]).toEqual([2, 0]);
    expect(third?.app.status().rooms).toBe(0);
    await ann?.close();
    while ((await hearing("/plain/a")) !== 1) expect(await hearing("/plain/a")).toBeLessThanOrEqual(2);
  });

  it("keeps a room within its limits, deletes its history in time, and its position later", async () => {
    const cluster = await startCluster("redis", 1, { historySize: 3 });
    const redis = client(cluster.engine?.port ?? 0);
    const room = nodeOf(cluster, 0).app.registry.room("/kept/a");
    for (const n of [1, 2, 3, 4, 5]) await room.publish(n);
    expect(await redis.xlen(`${named("/kept/a")}:log`)).toBe(3);
    const [log, meta] = [await redis.pttl(`${named("/kept/a")}:log`), await redis.pttl(`${named("/kept/a")}:meta`)];
    expect(log).toBeGreaterThan(3_500_000);
    expect(meta - log).toBeGreaterThan(500_000);
    expect(meta - log).toBeLessThan(700_000);
    await room.history();
    expect((await nodeOf(cluster, 0).app.registry.room("/kept/never").history()).length).toBe(0);
    await (await nodeOf(cluster, 0).open("/kept/visited")).close();
    expect((await redis.keys("*")).sort()).toEqual([`${named("/kept/a")}:log`, `${named("/kept/a")}:meta`]);
  });

  it("keeps no more bytes than the limit, for publications of any size", async () => {
    const engine = await startEngine("redis");
    const app = new App({ backplane: redis(engine.url) });
    app.route("/kept/:name", Talker, { history: { size: 100_000, bytesMax: 20_000 } });
    onTestFinished(() => app.close());
    const room = app.registry.room("/kept/a");
    for (let n = 0; n < 100; n += 1) await room.publish("x".repeat(1_000));
    const kept = await client(engine.port).xlen(`${named("/kept/a")}:log`);
    expect(kept).toBeGreaterThan(10);
    expect(kept).toBeLessThan(20);
    expect((await room.history()).at(-1)?.position?.offset).toBe(100);
  });

  it("refuses publications when Redis is out of memory, and deletes nothing", async () => {
    const cluster = await startCluster("redis", 1);
    const { app } = nodeOf(cluster, 0);
    const room = app.registry.room("/kept/a");
    for (const n of [1, 2, 3]) await room.publish(n);
    const redis = client(cluster.engine?.port ?? 0);
    await redis.config("SET", "maxmemory", "1");
    await expect(room.publish(4)).rejects.toMatchObject({ code: "ERR_BACKPLANE" });
    const fresh = app.registry.room("/kept/new");
    await expect(fresh.publish(1)).rejects.toMatchObject({ code: "ERR_BACKPLANE" });
    await redis.config("SET", "maxmemory", "0");
    expect(await fresh.history()).toEqual([]);
    expect(await room.publish(5)).toMatchObject({ offset: 4 });
    expect((await room.history()).map(({ data }) => data)).toEqual([1, 2, 3, 5]);
  });

  it("gives a node that reconnects later the publications after a restart, after a long history too", async () => {
    const cluster = await startCluster("redis", 1, { engine: { durable: true } });
    const engine = cluster.engine;
    if (engine === undefined) throw new Error("there is an engine");
    const proxy = await startProxy(engine.port);
    const late = await cluster.add(`redis://127.0.0.1:${proxy.port}`);
    const early = nodeOf(cluster, 0).app;
    const room = early.registry.room("/kept/a");
    await Promise.all(Array.from({ length: 2_500 }, (_, n) => room.publish(n)));
    const one = await late.open("/kept/a");
    const lost: unknown[] = [];
    late.app.registry.on("lagged", (_room, missed) => lost.push(missed));
    await engine.kill();
    proxy.cut();
    await until(() => !early.status().ready && !late.app.status().ready);
    await engine.restart();
    await until(() => early.status().ready);
    for (const n of [1, 2, 3]) await room.publish(`after ${n}`);
    proxy.open();
    for (const n of [1, 2, 3]) expect(await one.readJSON()).toBe(`after ${n}`);
    expect(lost).toEqual([]);
  });

  it("continues the numbering when the history was evicted, and starts an epoch when the position was", async () => {
    const cluster = await startCluster("redis", 1);
    const redis = client(cluster.engine?.port ?? 0);
    const room = nodeOf(cluster, 0).app.registry.room("/kept/a");
    const first = await room.publish(1);
    await redis.del(`${named("/kept/a")}:log`);
    expect(await room.publish(2)).toEqual({ epoch: first?.epoch, offset: 2 });
    expect((await room.history()).map(({ data }) => data)).toEqual([2]);
    await redis.del(`${named("/kept/a")}:meta`);
    const restarted = await room.publish(3);
    expect(restarted?.offset).toBe(1);
    expect(restarted?.epoch).not.toBe(first?.epoch);
    expect((await room.history()).map(({ data }) => data)).toEqual([3]);
  });

  it("starts an epoch when the server restarts, and keeps the history", async () => {
    const cluster = await startCluster("redis", 1, { engine: { durable: true } });
    const { app } = nodeOf(cluster, 0);
    const room = app.registry.room("/kept/a");
    const first = await room.publish(1);
    await cluster.engine?.kill();
    await until(() => !app.status().ready);
    await cluster.engine?.restart();
    await until(() => app.status().ready);
    const second = await room.publish(2);
    expect(second).toEqual({ epoch: expect.not.stringMatching(String(first?.epoch)), offset: 2 });
    expect((await room.history()).map(({ data }) => data)).toEqual([1, 2]);
  });

  it("continues when the server has lost its scripts", async () => {
    const cluster = await startCluster("redis", 1);
    const room = nodeOf(cluster, 0).app.registry.room("/kept/a");
    await room.publish(1);
    await client(cluster.engine?.port ?? 0).script("FLUSH");
    expect(await room.publish(2)).toMatchObject({ offset: 2 });
  });

  it("separates the databases of one server, which share their pub/sub", async () => {
    const engine = await startEngine("redis");
    const apps = [0, 1].map((db) => new App({ backplane: redis(`${engine.url}/${db}`) }).route("/plain/:name", Talker));
    for (const app of apps) onTestFinished(() => app.close());
    const clients = await Promise.all(apps.map((app) => connect(app, "/plain/a")));
    for (const [db, app] of apps.entries()) app.registry.sendJSONToRoom("/plain/a", db);
    for (const [db, one] of clients.entries()) {
      expect([await one.readJSON(), await one.readJSON()]).toEqual(["hello", db]);
    }
  });

  it("copies the given client, and leaves the original to its owner", async () => {
    const engine = await startEngine("redis");
    const own = client(engine.port);
    const app = new App({ backplane: redis(own, { prefix: "mine" }) }).route("/plain/:name", Talker);
    const one = await connect(app, "/plain/a");
    one.sendJSON("through a copy");
    expect([await one.readJSON(), await one.readJSON()]).toEqual(["hello", "through a copy"]);
    expect(await own.pubsub("CHANNELS", "mine:{/plain/a}")).toEqual(["mine:{/plain/a}"]);
    await app.close();
    expect(await own.ping()).toBe("PONG");
  });

  it("accepts a client of another copy of ioredis", async () => {
    const engine = await startEngine("redis");
    const own = client(engine.port);
    const foreign = new Proxy(own, { getPrototypeOf: () => Object.prototype });
    expect(foreign).not.toBeInstanceOf(Redis);
    const app = new App({ backplane: redis(foreign) }).route("/plain/:name", Talker);
    onTestFinished(() => app.close());
    const one = await connect(app, "/plain/a");
    one.sendJSON("through a copy");
    expect([await one.readJSON(), await one.readJSON()]).toEqual(["hello", "through a copy"]);
    expect(await own.pubsub("CHANNELS", named("/plain/a"))).toEqual([named("/plain/a")]);
  });

  it("uses sharded pub/sub if the server is a cluster", async () => {
    const engine = await startEngine("redis", {
      args: ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"],
    });
    const single = client(engine.port);
    await single.cluster("ADDSLOTSRANGE", 0, 16_383);
    while (!String(await single.cluster("INFO")).includes("cluster_state:ok")) expect(engine.port).toBeGreaterThan(0);
    const own = new Cluster([{ host: "127.0.0.1", port: engine.port }]);
    onTestFinished(() => own.disconnect());
    const apps = [1, 2].map(() =>
      new App({ backplane: redis(own) }).route("/kept/:name", Talker, { history: { size: 10 } }),
    );
    const errors: unknown[] = [];
    for (const app of apps) {
      app.on("error", (error) => errors.push(error));
      onTestFinished(() => app.close());
    }
    await until(() => apps.every((app) => app.status().ready));
    const clients = await Promise.all(apps.map((app) => connect(app, "/kept/a")));
    for (const one of clients) expect(await one.readJSON()).toBe("hello");
    await Promise.all([1, 2, 3].map((n) => apps[0]?.registry.room("/kept/a").publish(n)));
    for (const one of clients) for (const n of [1, 2, 3]) expect(await one.readJSON()).toBe(n);
    expect(await single.call("PUBSUB", "SHARDNUMSUB", named("/kept/a"))).toEqual([named("/kept/a"), 2]);
    expect((await apps[1]?.registry.room("/kept/a").history())?.map(({ data }) => data)).toEqual([1, 2, 3]);
  });
});
