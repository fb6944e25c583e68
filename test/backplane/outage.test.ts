import { describe, expect, it } from "vitest";
import { App, type AppOptions, EnfiladeError, WebSocketHandler } from "../../src/index.js";
import { type BackplaneOptions, nats } from "../../src/nats/index.js";
import { redis } from "../../src/redis/index.js";
import { connect, connectURL, type TestClient } from "../../src/testing/index.js";
import type { EngineServer } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { type ClusterNode, nodeOf, startCluster, type TestCluster, until } from "./cluster.js";
import { Talker } from "./talker.js";

const v1 = { protocols: ["enfilade.v1"] };
const refusal = { code: "ERR_BACKPLANE" };

function engineOf({ engine }: TestCluster): EngineServer {
  if (engine === undefined) throw new Error("there is no engine");
  return engine;
}

const stateOf = ({ app }: ClusterNode) => app.status().backplane.state;
const allAre = ({ nodes }: TestCluster, state: "up" | "away") =>
  until(() => nodes.every((node) => stateOf(node) === state));

async function kill(cluster: TestCluster): Promise<void> {
  await engineOf(cluster).kill();
  await allAre(cluster, "away");
}

/** All messages to a client, as they arrive. */
function listen(client: TestClient): unknown[] {
  const received: unknown[] = [];
  const listening = (async () => {
    for await (const message of client) received.push(message.json());
  })();
  listening.catch((error) => received.push(error));
  return received;
}

let marks = 0;

/** Publishes from `node` until every client has received a publication; refused ones are tried again. */
async function publishUntilReceived({ app }: ClusterNode, to: string, received: readonly unknown[][]): Promise<void> {
  marks += 1;
  const mark = `mark ${marks}`;
  while (!received.every((all) => all.includes(mark))) {
    await app.registry
      .room(to)
      .publish(mark)
      .catch((error) => expect(error).toMatchObject(refusal));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Resolves when a publication from each node has reached all listeners of the room. */
async function agree({ nodes }: TestCluster, to: string, received: readonly unknown[][]): Promise<void> {
  for (const node of nodes) await publishUntilReceived(node, to, received);
}

const isMark = (value: unknown) => String(value).startsWith("mark ");
const withoutMarks = (received: readonly unknown[]) => received.filter((value) => !isMark(value));

async function everywhere({ nodes }: TestCluster, path: string): Promise<unknown[][]> {
  return Promise.all(nodes.map(async (node) => listen(await node.open(path))));
}

/** The reports of one outage. */
const outage = [
  { message: expect.stringContaining("cannot be reached"), code: "ERR_BACKPLANE" },
  { message: expect.stringContaining("so nothing is published"), code: "ERR_BACKPLANE" },
];

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const tick = () => new Promise((resolve) => setImmediate(resolve));

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `outages of ${name}`))(`when ${name} is away`, () => {
    it("rejects publish(), reports it in the status, and afterwards all nodes agree again", async () => {
      const cluster = await startCluster(name, 3);
      const plain = await everywhere(cluster, "/plain/a");
      const kept = await everywhere(cluster, "/kept/a");
      await kill(cluster);
      for (const { app } of cluster.nodes) {
        expect(app.status()).toMatchObject({ ready: false, backplane: { state: "away", engine: name } });
        for (const path of ["/plain/a", "/kept/a", "/plain/empty"]) {
          await expect(app.registry.room(path).publish("lost")).rejects.toMatchObject(refusal);
        }
        await expect(app.registry.room("/kept/a").history()).rejects.toMatchObject(refusal);
        await expect(app.registry.user("ann").publish("lost")).rejects.toBeInstanceOf(EnfiladeError);
        expect(app.status().backplane.unpublished).toBe(4);
      }
      await engineOf(cluster).restart();
      await allAre(cluster, "up");
      await agree(cluster, "/plain/a", plain);
      await agree(cluster, "/kept/a", kept);
      for (const received of [...plain, ...kept]) expect(withoutMarks(received)).toEqual([]);
      for (const { app } of cluster.nodes) expect(app.status()).toMatchObject({ ready: true });
    });

    it("reports failed sends once per outage, not once per message", async () => {
      const cluster = await startCluster(name, 2);
      const received = await everywhere(cluster, "/plain/a");
      for (const outages of [1, 2]) {
        await kill(cluster);
        for (const { app } of cluster.nodes) {
          for (const n of numbers(50)) {
            app.registry.sendJSONToRoom("/plain/a", n);
            app.registry.sendJSONToRoom("/kept/a", n);
            app.registry.sendJSONToAll(n);
          }
        }
        await tick();
        const expected = numbers(outages).flatMap(() => outage);
        for (const { errors } of cluster.nodes) expect(errors).toMatchObject(expected);
        await engineOf(cluster).restart();
        await agree(cluster, "/plain/a", received);
      }
      for (const all of received) expect(withoutMarks(all)).toEqual([]);
    });

    it("reports the publications in flight once too", async () => {
      const cluster = await startCluster(name, 2);
      const { app, errors } = nodeOf(cluster, 0);
      await nodeOf(cluster, 1).open("/plain/a");
      for (const n of numbers(20)) app.registry.sendJSONToRoom("/plain/a", n);
      const killing = engineOf(cluster).kill();
      while (stateOf(nodeOf(cluster, 0)) === "up") {
        for (const n of numbers(20)) app.registry.sendJSONToRoom("/plain/a", n);
        await tick();
      }
      await killing;
      for (const n of numbers(20)) app.registry.sendJSONToRoom("/plain/a", n);
      await tick();
      const messages = errors.map(({ message }) => message);
      expect(messages.filter((message) => message.includes("it cannot be reached; the app continues"))).toHaveLength(1);
      expect(messages).toHaveLength(2);
      await engineOf(cluster).restart();
      await allAre(cluster, "up");
    });

    it("closes its own connections if other nodes are out of reach, reports it, and closes none later", async () => {
      const cluster = await startCluster(name, 2);
      const [own, other] = await Promise.all(cluster.nodes.map((node) => node.open("/plain/a")));
      const { app, errors } = nodeOf(cluster, 0);
      await kill(cluster);
      errors.length = 0;
      app.registry.room("/plain/a").close(4000, "now");
      app.registry.user("absent").close(4501, "revoked");
      expect(await own?.closed).toMatchObject({ code: 4000, reason: "now" });
      await tick();
      const message = expect.stringContaining("connections on other nodes may not have been closed");
      expect(errors).toMatchObject([
        { code: "ERR_BACKPLANE", message },
        { code: "ERR_BACKPLANE", message },
      ]);
      await engineOf(cluster).restart();
      if (other === undefined) throw new Error("there are two nodes");
      const received = listen(other);
      // A node is ready a moment before it has subscribed to its rooms again.
      await publishUntilReceived(nodeOf(cluster, 0), "/plain/a", [received]);
      await app.registry.room("/plain/a").publish("still here");
      await until(() => received.includes("still here"));
      expect(withoutMarks(received)).toEqual(["still here"]);
    });

    it('backplaneOutage: "local" continues on this node, and other nodes get nothing of it', async () => {
      const cluster = await startCluster(name, 2, { app: { backplaneOutage: "local" } });
      const plain = await everywhere(cluster, "/plain/a?user=ann");
      const org = await everywhere(cluster, "/org/7/a");
      const kept = await everywhere(cluster, "/kept/a");
      await kill(cluster);
      const { app, errors } = nodeOf(cluster, 0);
      const { registry } = app;
      expect(await registry.room("/plain/a").publish("room")).toBeUndefined();
      expect(await registry.user("ann").publish("user")).toBeUndefined();
      expect(await app.channel("plain").publish("channel")).toBeUndefined();
      registry.sendJSONToAll("all");
      registry.sendJSONToRoom("/org/7/**", "tree");
      await expect(registry.room("/kept/a").publish("kept")).rejects.toMatchObject(refusal);
      await until(() => plain[0]?.length === 4 && org[0]?.length === 2);
      expect(plain[0]).toEqual(["room", "user", "channel", "all"]);
      expect(org[0]).toEqual(["all", "tree"]);
      expect(errors).toMatchObject(outage.slice(0, 1));
      await engineOf(cluster).restart();
      await agree(cluster, "/plain/a", plain);
      await agree(cluster, "/org/7/a", org);
      await agree(cluster, "/kept/a", kept);
      expect([plain[1], org[1], kept[1]].map((received) => withoutMarks(received ?? []))).toEqual([[], [], []]);
      expect(withoutMarks(kept[0] ?? [])).toEqual(["all"]);
      expect(withoutMarks(plain[0] ?? [])).toHaveLength(4);
    });

    it('backplaneOutage: "local" lets clients connect, send and be closed on this node', async () => {
      const cluster = await startCluster(name, 1, { app: { backplaneOutage: "local" } });
      const node = nodeOf(cluster, 0);
      await kill(cluster);
      const [ann, bob] = [await node.open("/plain/a?user=ann"), await node.open("/plain/a")];
      ann.sendJSON("hello from ann");
      for (const client of [ann, bob]) expect(await client.readJSON()).toBe("hello from ann");
      node.app.registry.room("/plain/a").close(4000, "local");
      for (const client of [ann, bob]) expect(await client.closed).toMatchObject({ code: 4000, reason: "local" });
      await engineOf(cluster).restart();
      await allAre(cluster, "up");
    });

    it("accepts clients that need no history, and closes the others with a code to come back", async () => {
      const cluster = await startCluster(name, 1);
      const node = nodeOf(cluster, 0);
      node.app.route("/replayed/:name", Talker, { history: { size: 10 }, replay: 5 });
      await kill(cluster);
      await node.open("/plain/a");
      await node.open("/kept/a");
      expect(await (await node.open("/plain/a", v1)).readJSON()).toEqual({ type: "message", data: "hello" });
      await areRefused(node);
      await engineOf(cluster).restart();
      await allAre(cluster, "up");
      await areAccepted(node);
    });

    it("keeps existing members, and later delivers the others' publications to a room with history", async () => {
      const cluster = await startCluster(name, 2, { engine: { durable: true } });
      const client = await nodeOf(cluster, 0).open("/kept/a", v1);
      const received = listen(client);
      await nodeOf(cluster, 1).app.registry.room("/kept/a").publish("before");
      await until(() => dataOf(received).includes("before"));
      await kill(cluster);
      await engineOf(cluster).restart();
      await agree(cluster, "/kept/a", [await receivedData(nodeOf(cluster, 1))]);
      await until(() => dataOf(received).filter(isMark).length >= 2);
      const offsets = framesOf(received).flatMap(({ type, offset }) =>
        type === "message" && offset !== undefined ? [offset] : [],
      );
      expect(offsets).toEqual(numbers(offsets.length).map((n) => n + 1));
    });
  });

  describe.skipIf(missing(name, `starts without ${name}`))(`an app that starts before ${name}`, () => {
    it("listens, is not ready, accepts only clients that need no history, and works once it is there", async () => {
      const cluster = await startCluster(name, 0);
      await engineOf(cluster).kill();
      const nodes = [await cluster.add(), await cluster.add()];
      for (const node of nodes) {
        node.app.route("/replayed/:name", Talker, { history: { size: 10 }, replay: 5 });
        expect(node.app.status()).toMatchObject({
          state: "open",
          ready: false,
          backplane: { state: "away", nodes: 1 },
        });
        await node.open("/plain/early");
        await areRefused(node);
        await until(() => node.errors.length > 0);
        expect(node.errors).toMatchObject(outage.slice(0, 1));
      }
      const early = await everywhere({ ...cluster, nodes }, "/plain/a");
      const kept = await everywhere({ ...cluster, nodes }, "/kept/a?user=ann");
      await engineOf(cluster).restart();
      await until(() => nodes.every(({ app }) => app.status().ready));
      await agree({ ...cluster, nodes }, "/plain/a", early);
      await agree({ ...cluster, nodes }, "/kept/a", kept);
      await until(() => nodes.every(({ app }) => app.status().backplane.nodes === 2));
      for (const node of nodes) await areAccepted(node);
      for (const { app } of nodes) await connectionsOf(app, "/kept/a", "ann", 2);
    });

    it("reports once that it is not there, after any number of attempts", async () => {
      const cluster = await startCluster(name, 0);
      await engineOf(cluster).kill();
      const { app, errors } = await cluster.add();
      await until(() => errors.length > 0);
      for (const n of numbers(10)) await expect(app.registry.room("/kept/a").publish(n)).rejects.toMatchObject(refusal);
      await engineOf(cluster).restart();
      await until(() => app.status().ready);
      expect(await app.registry.room("/kept/a").publish("now")).toMatchObject({ offset: 1 });
      expect(errors).toMatchObject(outage.slice(0, 1));
    });
  });

  describe.skipIf(missing(name, `a stalled ${name}`))(`when ${name} is stalled`, () => {
    const limits = { backplaneMs: 500, nodeHeartbeatMs: 500 };

    it("rejects publish() in time, and once it answers again all nodes agree", async () => {
      const cluster = await startCluster(name, 1, { limits });
      const proxy = await startProxy(engineOf(cluster).port);
      const far = await cluster.add(`${name}://127.0.0.1:${proxy.port}`);
      const both = { ...cluster, nodes: [nodeOf(cluster, 0), far] };
      const received = await everywhere(both, "/plain/a");
      const kept = await everywhere(both, "/kept/a");
      proxy.stall();
      const publishing = ["/plain/a", "/kept/a"].map((path) => far.app.registry.room(path).publish("lost?"));
      const outcomes = await Promise.allSettled(publishing);
      expect(outcomes).toMatchObject(publishing.map(() => ({ status: "rejected", reason: refusal })));
      await until(() => stateOf(far) === "away");
      expect(far.app.status().ready).toBe(false);
      proxy.open();
      await until(() => far.app.status().ready);
      await agree(both, "/plain/a", received);
      await agree(both, "/kept/a", kept);
      // A publication in flight arrived once or never, and every node has the same result.
      expect(withoutMarks(kept[0] ?? [])).toEqual(withoutMarks(kept[1] ?? []));
    });

    it('backplaneOutage: "local" sends at once to a room with history that opens meanwhile', async () => {
      const cluster = await startCluster(name, 0, { app: { backplaneOutage: "local" } });
      const proxy = await startProxy(engineOf(cluster).port);
      const far = await cluster.add(`${name}://127.0.0.1:${proxy.port}`);
      await until(() => stateOf(far) === "up");
      proxy.cut();
      await until(() => stateOf(far) === "away");
      // The next attempt to connect does not fail soon.
      proxy.stall();
      const client = await far.open("/kept/new");
      far.app.registry.sendJSONToRoom("/kept/new", "now", { keep: false });
      expect(await client.readJSON()).toBe("now");
    });

    it("has nodes that agree after many short outages", async () => {
      const cluster = await startCluster(name, 1, { limits });
      const proxy = await startProxy(engineOf(cluster).port);
      const far = await cluster.add(`${name}://127.0.0.1:${proxy.port}`);
      const both = { ...cluster, nodes: [nodeOf(cluster, 0), far] };
      const kept = await everywhere(both, "/kept/a");
      for (const _ of numbers(5)) {
        proxy.cut();
        await until(() => stateOf(far) === "away");
        await nodeOf(cluster, 0).app.registry.room("/kept/a").publish("meanwhile");
        proxy.open();
        await until(() => stateOf(far) === "up");
      }
      await agree(both, "/kept/a", kept);
      expect(kept.map((received) => received.filter((value) => value === "meanwhile").length)).toEqual([5, 5]);
    });
  });

  describe.skipIf(missing(name, `closing without ${name}`))(`app.close() without ${name}`, () => {
    const ways = ["killed", "killed before the start", "stalled", "stalled before the start", "cut"] as const;

    it.each(ways)("finishes while it is %s", async (way) => {
      const cluster = await startCluster(name, 0, { limits: { backplaneMs: 500 } });
      const proxy = await startProxy(engineOf(cluster).port);
      if (way === "killed before the start") await engineOf(cluster).kill();
      if (way === "stalled before the start") proxy.stall();
      const node = await cluster.add(`${name}://127.0.0.1:${proxy.port}`);
      if (!way.endsWith("start")) await until(() => node.app.status().ready);
      if (way === "killed") await engineOf(cluster).kill();
      if (way === "stalled") proxy.stall();
      if (way === "cut") proxy.cut();
      if (way === "cut" || way === "killed") await until(() => stateOf(node) === "away");
      const publishing = Promise.allSettled([node.app.registry.room("/kept/a").publish("under way")]);
      try {
        await expect(closedWithin(node, 8_000)).resolves.toBe("closed");
        const reason = { code: expect.stringMatching(/^ERR_/) };
        expect(await publishing).toMatchObject([{ status: "rejected", reason }]);
        expect(node.app.status()).toMatchObject({ state: "closed", ready: false });
      } finally {
        // No call waits for the engine any longer.
        proxy.cut();
      }
    });
  });
}

/** Whether an app closes within a time that is more than enough. */
async function closedWithin(node: ClusterNode, ms: number): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`not closed after ${ms} ms`), ms);
  });
  const closed = node.close().then(() => "closed");
  return Promise.race([closed, late]).finally(() => clearTimeout(timer));
}

/** Resolves when a room has this number of connections of a user. */
async function connectionsOf({ registry }: App, path: string, id: string, count: number): Promise<void> {
  for (let found = -1; found !== count; await tick()) {
    const { users } = await registry.room(path).presence();
    found = users.find((user) => user.id === id)?.connections ?? 0;
  }
}

type Frame = { readonly type?: string; readonly offset?: number; readonly data?: unknown };

const framesOf = (received: readonly unknown[]) => received as readonly Frame[];
const dataOf = (received: readonly unknown[]) => framesOf(received).map(({ data }) => data);

async function receivedData(node: ClusterNode): Promise<unknown[]> {
  return listen(await node.open("/kept/a"));
}

async function areRefused({ port }: ClusterNode): Promise<void> {
  const base = `ws://127.0.0.1:${port}`;
  for (const [path, options] of [
    ["/kept/a", v1],
    ["/kept/a?since=x:1", v1],
    ["/replayed/a", v1],
    ["/replayed/a", {}],
  ] as const) {
    const client = await connectURL(base + path, options);
    expect(await client.closed).toMatchObject({ code: 1013 });
  }
}

async function areAccepted(node: ClusterNode): Promise<void> {
  const base = `ws://127.0.0.1:${node.port}`;
  for (const path of ["/kept/b", "/replayed/b"]) {
    expect(await (await connectURL(base + path, v1)).readJSON()).toMatchObject({ type: "welcome", position: {} });
  }
  expect(await (await connectURL(`${base}/replayed/c`)).readJSON()).toBe("hello");
}

describe("options", () => {
  const wrong = { code: "ERR_OPTION" };

  it.each(
    [
      42,
      null,
      undefined,
      true,
      "",
      "http://x",
      "redis:",
      "redis//x",
      "nats://127.0.0.1",
      "redis://[",
      [],
      ["redis://127.0.0.1"],
      {},
      { host: undefined },
      { db: 1 },
      { duplicate: () => undefined },
      new Map(),
    ].map((source) => ({ source })),
  )("redis($source) is refused, and the error names the accepted values", ({ source }) => {
    expect(() => redis(source as never)).toThrow(expect.objectContaining(wrong));
    expect(() => redis(source as never)).toThrow(/redis\(\) takes a URL such as "redis:\/\/127.0.0.1:6379"/);
  });

  it.each([42, null, true, {}, ""])("the prefix %j of redis is refused", (prefix) => {
    expect(() => redis("redis://127.0.0.1", { prefix } as never)).toThrow(expect.objectContaining(wrong));
    expect(() => redis("redis://127.0.0.1", { prefix } as never)).toThrow(/prefix takes a string/);
  });

  const noServers = [
    ...[42, null, undefined, true, "", [], [""], ["nats://127.0.0.1", 42], {}, { servers: [] }, { servers: "" }],
    ...[{ servers: ["http://x"] }, { name: "shop" }],
  ].map((source) => ({ source }));
  it.each(noServers)("nats($source) is refused, and the error names the accepted values", ({ source }) => {
    expect(() => nats(source as never)).toThrow(expect.objectContaining(wrong));
    expect(() => nats(source as never)).toThrow(/nats\(\) takes a URL such as "nats:\/\/127.0.0.1:4222"/);
  });

  it.each([
    ...["", "a.b", "a b", "*", ">", "ä", "x".repeat(65), 42, null].map((prefix) => ({ prefix })),
    ...["disk", "FILE", "", 1, null].map((storage) => ({ storage })),
    ...[0, 6, 1.5, -1, "3", Number.NaN, null].map((replicas) => ({ replicas })),
  ])("nats(url, %j) is refused, and the error names the option", (options) => {
    const [option = ""] = Object.keys(options);
    const make = () => nats("nats://127.0.0.1", options as BackplaneOptions);
    expect(make).toThrow(expect.objectContaining(wrong));
    expect(make).toThrow(new RegExp(`^${option} takes`));
  });

  it.each(["maybe", "", "LOCAL", 1, null, true])("backplaneOutage: %j is refused", (backplaneOutage) => {
    const make = () => new App({ backplaneOutage } as AppOptions);
    expect(make).toThrow(expect.objectContaining(wrong));
    expect(make).toThrow(/backplaneOutage takes "reject" or "local"/);
  });

  it.each([42, "redis://127.0.0.1", null, {}, []].map((backplane) => ({ backplane })))(
    "$backplane is refused as a backplane",
    ({ backplane }) => {
      const make = () => new App({ backplane } as unknown as AppOptions);
      expect(make).toThrow(expect.objectContaining(wrong));
      expect(make).toThrow(/backplane takes redis\(url or client\), nats\(url\) or another Backplane/);
    },
  );

  for (const name of ["redis", "nats"] as const) {
    it.skipIf(missing(name, "a backplane for two"))(`one backplane of ${name} serves one app`, async () => {
      const cluster = await startCluster(name, 0);
      const backplane = engineOf(cluster).backplane();
      const app = new App({ backplane }).route(
        "/plain",
        class extends WebSocketHandler {
          onMessage(text: string) {
            this.sendTextToThisRoom(text);
          }
        },
      );
      expect(() => new App({ backplane })).toThrow(expect.objectContaining(wrong));
      expect(() => new App({ backplane })).toThrow(new RegExp(`serves one app; call ${name}\\(\\) for each app`));
      const client = await connect(app, "/plain");
      client.sendText("still the first one's");
      expect(await client.readText()).toBe("still the first one's");
      await app.close();
    });
  }
});
