import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { Cluster, Redis } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, type AppOptions, EventError, EventHandler, type Limits, On, WebSocketHandler } from "../../src/index.js";
import { nats } from "../../src/nats/index.js";
import { redis } from "../../src/redis/index.js";
import { connect, connectURL, type TestClient } from "../../src/testing/index.js";
import { startRequestChild } from "../faults/requestChild.js";
import { Mailbox } from "../support/app.js";
import { type EngineName, type EngineOptions, type EngineServer, startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { type ClusterNode, nodeOf, startCluster, type TestCluster, until } from "./cluster.js";

const v1 = { protocols: ["enfilade.v1", `enfilade.secret.${"s".repeat(22)}`] };
const clientId = "client-0123456789";
const path = `/work/a?client=${clientId}`;
const room = "/work/a";

interface Ran {
  readonly node: number;
  readonly id: unknown;
  readonly data: unknown;
}

/** Nodes that answer the same requests. */
interface Workers extends TestCluster {
  /** What ran, on any node. */
  readonly ran: Mailbox<Ran>;
  /** The event `wait` ends when something is put here. */
  readonly gate: Mailbox<true>;
  addWorker(url?: string): Promise<ClusterNode>;
}

interface WorkerOptions {
  readonly limits?: Partial<Limits>;
  readonly engine?: EngineOptions;
  readonly app?: AppOptions;
}

async function startWorkers(name: EngineName, count: number, options: WorkerOptions = {}): Promise<Workers> {
  const ran = new Mailbox<Ran>();
  const gate = new Mailbox<true>();
  const cluster = await startCluster(name, 0, options);
  const nodes: ClusterNode[] = [];
  const addWorker = async (url?: string) => {
    const node = nodes.length;
    class Worker extends EventHandler {
      @On("count")
      onCount(data: unknown, { id }: { id?: unknown }) {
        ran.put({ node, id, data });
        return { node, nth: ran.all.length };
      }
      @On("wait")
      async onWait(data: unknown, { id }: { id?: unknown }) {
        ran.put({ node, id, data });
        await gate.have(1);
        return { node, nth: ran.all.length };
      }
      @On("refuse")
      onRefuse(data: unknown, { id }: { id?: unknown }) {
        ran.put({ node, id, data });
        throw new EventError("sold_out", "there are none left");
      }
      @On("tell")
      onTell(length: number, { id }: { id?: unknown }) {
        ran.put({ node, id, data: length });
        return "x".repeat(length);
      }
    }
    class Reader extends WebSocketHandler {
      override async serve() {
        for await (const { id, text } of this.connection) ran.put({ node, id, data: text });
      }
    }
    const added = await cluster.add(url);
    added.app.route("/work/:name", Worker).route("/read/:name", Reader);
    nodes.push(added);
    return added;
  };
  for (let n = 0; n < count; n += 1) await addWorker();
  await until(() => nodes.every(({ app }) => app.status().backplane.nodes === count));
  return { ...cluster, nodes, ran, gate, addWorker };
}

function engineOf({ engine }: TestCluster): EngineServer {
  if (engine === undefined) throw new Error("there is no engine");
  return engine;
}

async function ask(client: TestClient, id: unknown, event = "count", data: unknown = null): Promise<unknown> {
  client.sendJSON({ type: "event", event, data, id });
  return client.readJSON();
}

/** Sends a request on a new connection of the same client. */
async function askOn(node: ClusterNode, id: unknown, event?: string, data?: unknown): Promise<unknown> {
  return ask(await node.open(path, v1), id, event, data);
}

const stateOf = ({ app }: ClusterNode) => app.status().backplane.state;
const unavailable = { id: 1, error: { code: "unavailable" } };
const duplicate = { id: 1, error: { code: "duplicate" } };

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `requests over ${name}`))(
    `a request that is repeated on another node of ${name}`,
    () => {
      it("runs once and gets the same reply", async () => {
        const { ran, nodes } = await startWorkers(name, 3);
        const replies: unknown[] = [];
        for (const node of [...nodes, ...nodes]) replies.push(await askOn(node, 1));
        expect(replies).toEqual(replies.map(() => ({ type: "reply", id: 1, data: { node: 0, nth: 1 } })));
        expect(ran.all).toHaveLength(1);
      });

      it("waits for the reply while another node runs it", async () => {
        const cluster = await startWorkers(name, 3);
        const { ran, gate, nodes } = cluster;
        const replies = [askOn(nodeOf(cluster, 0), 1, "wait")];
        await ran.have(1);
        for (const node of nodes.slice(1)) replies.push(askOn(node, 1, "wait"));
        // The other nodes have asked the one that runs it.
        for (const node of nodes.slice(1)) await askAfter(node);
        gate.put(true);
        for (const reply of replies) expect(await reply).toMatchObject({ id: 1, data: { node: 0 } });
        expect(ran.all.filter(({ data }) => data === null)).toHaveLength(1);
      });

      it("is refused as before if it was refused", async () => {
        const cluster = await startWorkers(name, 2);
        const first = await askOn(nodeOf(cluster, 0), "r", "refuse");
        expect(first).toMatchObject({ id: "r", error: { code: "sold_out" } });
        expect(await askOn(nodeOf(cluster, 1), "r", "refuse")).toEqual(first);
        expect(cluster.ran.all).toHaveLength(1);
      });

      it("is another request if its id has another type, or its client, user or room is another", async () => {
        const cluster = await startWorkers(name, 2);
        await askOn(nodeOf(cluster, 0), 7);
        const other = nodeOf(cluster, 1);
        await askOn(other, "7");
        await ask(await other.open("/work/a?client=another-0123456789", v1), 7);
        await ask(await other.open(`/work/b?client=${clientId}`, v1), 7);
        expect(cluster.ran.all).toHaveLength(4);
        expect(new Set(cluster.ran.all.map(({ id }) => id)).size).toBe(4);
        for (const { id } of cluster.ran.all) expect(id).toMatch(/^[\w-]{22}:("7"|7)$/);
      });

      it("is another request on a connection without the secret of the first one", async () => {
        const cluster = await startWorkers(name, 2);
        await askOn(nodeOf(cluster, 0), 1, "tell", 3);
        const stranger = await nodeOf(cluster, 1).open(path, { protocols: ["enfilade.v1"] });
        expect(await ask(stranger, 1)).toMatchObject({ id: 1, data: { node: 1, nth: 2 } });
      });

      it("has the same id for the handler on every node", async () => {
        const cluster = await startWorkers(name, 2, { limits: { receiptsMs: 100 } });
        await askOn(nodeOf(cluster, 0), 1);
        const { redis, manager } = await toolsOf(engineOf(cluster));
        // After the window it is a new request.
        while ((await redis?.dbsize()) !== 0 && (await manager?.streams.info("enfilade-claims"))?.state.messages !== 0);
        await askOn(nodeOf(cluster, 1), 1);
        const [first, second] = cluster.ran.all;
        expect(second).toEqual({ ...first, node: 1 });
      });

      it("runs once if the handler reads it in its own loop", async () => {
        const cluster = await startWorkers(name, 2);
        for (const node of [...cluster.nodes, ...cluster.nodes]) {
          const client = await node.open(`/read/a?client=${clientId}`, v1);
          client.sendJSON({ type: "message", text: "once", id: 1 });
          client.sendJSON({ type: "message", text: `marker ${cluster.ran.all.length}` });
          expect(await client.readJSON()).toEqual({ type: "reply", id: 1, data: null });
        }
        await cluster.ran.have(5);
        expect(cluster.ran.all.filter(({ data }) => data === "once")).toHaveLength(1);
        expect(cluster.ran.all.filter(({ id }) => id !== undefined)).toHaveLength(1);
      });

      it("gets the error duplicate if the reply was too long to be kept", async () => {
        const cluster = await startWorkers(name, 2);
        expect(await askOn(nodeOf(cluster, 0), 1, "tell", 9_000)).toMatchObject({ data: expect.any(String) });
        expect(await askOn(nodeOf(cluster, 1), 1, "tell", 9_000)).toMatchObject(duplicate);
        expect(cluster.ran.all).toHaveLength(1);
      });

      it("gets the error duplicate after claimMs, and later the reply", async () => {
        const cluster = await startWorkers(name, 2, { limits: { claimMs: 50 } });
        const [first, second] = [nodeOf(cluster, 0), nodeOf(cluster, 1)];
        const running = askOn(first, 1, "wait");
        await cluster.ran.have(1);
        expect(await askOn(second, 1, "wait")).toMatchObject(duplicate);
        cluster.gate.put(true);
        const reply = await running;
        expect(reply).toMatchObject({ id: 1, data: { node: 0 } });
        expect(await askOn(second, 1, "wait")).toEqual(reply);
        expect(cluster.ran.all).toHaveLength(1);
      });

      it("gets the error duplicate if the node that ran it was killed", async () => {
        const cluster = await startWorkers(name, 1, { limits: { nodeHeartbeatMs: 100, claimMs: 60_000 } });
        const engine = engineOf(cluster);
        const [node] = cluster.nodes;
        const child = await startRequestChild(engine, engine.url, { nodeHeartbeatMs: 100 });
        const client = await connectURL(`ws://127.0.0.1:${child.port}${path}`, v1);
        await client.readJSON();
        client.sendJSON({ type: "event", event: "hang", data: { name: "killed" }, id: 1 });
        await child.ran.have(1);
        await until(() => node?.app.status().backplane.nodes === 2);
        const waiting = askOn(nodeOf(cluster, 0), 1);
        await askAfter(nodeOf(cluster, 0));
        await child.kill();
        expect(await waiting).toMatchObject(duplicate);
        // The node is known to be lost now.
        expect(await askOn(nodeOf(cluster, 0), 1)).toMatchObject(duplicate);
        expect(cluster.ran.all.filter(({ data }) => data === null)).toEqual([]);
      });

      it("is not run while the engine is away, and can be repeated when it is back", async () => {
        const cluster = await startWorkers(name, 2);
        const node = nodeOf(cluster, 0);
        await engineOf(cluster).kill();
        await until(() => cluster.nodes.every((one) => stateOf(one) === "away"));
        const client = await node.open(path, v1);
        expect(await ask(client, 1)).toMatchObject(unavailable);
        expect(await ask(client, 1)).toMatchObject(unavailable);
        expect(cluster.ran.all).toEqual([]);
        await engineOf(cluster).restart();
        await until(() => cluster.nodes.every(({ app }) => app.status().ready));
        const reply = await ask(client, 1);
        expect(reply).toMatchObject({ id: 1, data: { nth: 1 } });
        expect(await askOn(nodeOf(cluster, 1), 1)).toEqual(reply);
        expect(cluster.ran.all).toHaveLength(1);
      });

      it('runs once per node while the engine is away, with backplaneOutage: "local"', async () => {
        const cluster = await startWorkers(name, 2, { app: { backplaneOutage: "local" } });
        await engineOf(cluster).kill();
        await until(() => cluster.nodes.every((one) => stateOf(one) === "away"));
        for (const node of [...cluster.nodes, ...cluster.nodes]) expect(await askOn(node, 1)).toMatchObject({ id: 1 });
        expect(cluster.ran.all.map(({ node }) => node)).toEqual([0, 1]);
        await engineOf(cluster).restart();
        await until(() => cluster.nodes.every(({ app }) => app.status().ready));
        for (const node of [...cluster.nodes, await cluster.addWorker()]) await askOn(node, 1);
        expect(cluster.ran.all.map(({ node }) => node)).toEqual([0, 1]);
      });

      it.each(["the same node", "another node"])(
        "is not run if the answer to its claim is lost, and can be repeated on %s",
        async (where) => {
          const cluster = await startWorkers(name, 1, { limits: { backplaneMs: 400 } });
          const proxy = await startProxy(engineOf(cluster).port);
          const far = await cluster.addWorker(`${name}://127.0.0.1:${proxy.port}`);
          await until(() => far.app.status().ready);
          await askOn(far, "before");
          cluster.ran.all.length = 0;
          // The claim arrives, and its answer is too late.
          proxy.delay(300);
          expect(await askOn(far, 1)).toMatchObject(unavailable);
          expect(cluster.ran.all).toEqual([]);
          proxy.delay(0);
          await until(() => stateOf(far) === "away");
          await until(() => far.app.status().ready);
          const again = where === "the same node" ? far : nodeOf(cluster, 0);
          expect(await askOn(again, 1)).toMatchObject({ id: 1, data: { nth: 1 } });
          expect(cluster.ran.all).toHaveLength(1);
        },
      );

      it("is run elsewhere if its connection had ended before it was claimed", async () => {
        const cluster = await startWorkers(name, 1, { limits: { closeMs: 50 } });
        const proxy = await startProxy(engineOf(cluster).port);
        const far = await cluster.addWorker(`${name}://127.0.0.1:${proxy.port}`);
        await until(() => far.app.status().ready);
        const client = await far.open(path, v1);
        await ask(client, "before");
        const left = new Promise<void>((resolve) => far.app.on("close", () => resolve()));
        proxy.stall();
        client.sendJSON({ type: "event", event: "count", data: null, id: 1 });
        client.terminate();
        await left;
        proxy.open();
        expect(await askOn(nodeOf(cluster, 0), 1)).toMatchObject({ id: 1, data: { node: 0, nth: 2 } });
        expect(cluster.ran.all).toHaveLength(2);
      });

      it("gets its reply from another node even if the engine was away when it was answered", async () => {
        const cluster = await startWorkers(name, 1);
        const proxy = await startProxy(engineOf(cluster).port);
        const far = await cluster.addWorker(`${name}://127.0.0.1:${proxy.port}`);
        await until(() => far.app.status().ready);
        const running = askOn(far, 1, "wait");
        await cluster.ran.have(1);
        const waiting = askOn(nodeOf(cluster, 0), 1, "wait");
        await askAfter(nodeOf(cluster, 0));
        proxy.cut();
        await until(() => stateOf(far) === "away");
        cluster.gate.put(true);
        const reply = await running;
        expect(reply).toMatchObject({ id: 1, data: { node: 1 } });
        proxy.open();
        expect(await waiting).toEqual(reply);
        expect(await askOn(nodeOf(cluster, 0), 1, "wait")).toEqual(reply);
        expect(cluster.ran.all.filter(({ data }) => data === null)).toHaveLength(1);
      });

      it("gets its reply from another node after the first one has closed", async () => {
        const cluster = await startWorkers(name, 1);
        const proxy = await startProxy(engineOf(cluster).port);
        const far = await cluster.addWorker(`${name}://127.0.0.1:${proxy.port}`);
        await until(() => far.app.status().ready);
        const client = await far.open(path, v1);
        // The messages of a node to the engine are slower than those to its client.
        const running = ask(client, 1, "wait");
        await cluster.ran.have(1);
        proxy.delay(100);
        cluster.gate.put(true);
        const reply = await running;
        await far.close();
        expect(await askOn(nodeOf(cluster, 0), 1, "wait")).toEqual(reply);
        expect(cluster.ran.all).toHaveLength(1);
      });

      it("gets its reply after its own node could not reach the engine", async () => {
        const cluster = await startWorkers(name, 1, { limits: { claimMs: 60_000 } });
        const proxy = await startProxy(engineOf(cluster).port);
        const far = await cluster.addWorker(`${name}://127.0.0.1:${proxy.port}`);
        await until(() => far.app.status().ready);
        const running = askOn(nodeOf(cluster, 0), 1, "wait");
        await cluster.ran.have(1);
        const waiting = askOn(far, 1, "wait");
        await askAfter(far);
        proxy.cut();
        await until(() => stateOf(far) === "away");
        cluster.gate.put(true);
        const reply = await running;
        // The answer is stored, as another node can see.
        expect(await askOn(await cluster.addWorker(), 1, "wait")).toEqual(reply);
        proxy.open();
        expect(await waiting).toEqual(reply);
        expect(cluster.ran.all.filter(({ data }) => data === null)).toHaveLength(1);
      });
    },
  );
}

/** Resolves when the node waits for the requests that it received before and that another node runs. */
async function askAfter(node: ClusterNode): Promise<void> {
  const client = await node.open(`${room}?client=${randomUUID()}`, v1);
  // Each request takes one step in the engine. A claim that another node has takes two.
  for (const id of [1, 2, 3]) await ask(client, id, "count", "marker");
}

async function toolsOf({ name, url }: EngineServer) {
  if (name === "redis") {
    const redis = new Redis(url);
    onTestFinished(() => redis.disconnect());
    return { redis, manager: undefined };
  }
  const connection = await connectNats({ servers: url });
  onTestFinished(() => connection.close());
  return { redis: undefined, manager: await jetstreamManager(connection) };
}

describe.skipIf(missing("redis", "claims in Redis"))("claims in Redis", () => {
  it("are kept for the last receiptsMax ids of a client, until receiptsMs after the last one", async () => {
    const cluster = await startWorkers("redis", 2, { limits: { receiptsMax: 5, receiptsMs: 60_000 } });
    const client = await nodeOf(cluster, 0).open(path, v1);
    for (let id = 1; id <= 20; id += 1) await ask(client, id);
    // The answer of the last one may still be on its way.
    await client.close();
    const { redis } = await toolsOf(engineOf(cluster));
    const [entries = "", order = ""] = (await redis?.keys("*"))?.sort() ?? [];
    expect(entries).toMatch(/^enfilade:\{claims:[\w-]{22}\}:entries$/);
    expect(await redis?.lrange(order, 0, -1)).toEqual(["16", "17", "18", "19", "20"]);
    expect((await redis?.hkeys(entries))?.sort()).toEqual(["16", "17", "18", "19", "20", "bytes"]);
    for (const key of [entries, order]) {
      expect(await redis?.pttl(key)).toBeGreaterThan(50_000);
      expect(await redis?.pttl(key)).toBeLessThanOrEqual(60_000);
    }
    await askOn(nodeOf(cluster, 1), 16);
    expect(cluster.ran.all).toHaveLength(20);
    await askOn(nodeOf(cluster, 1), 15);
    expect(cluster.ran.all).toHaveLength(21);
  });

  it("hold no more than clientReceiptsBytesMax of replies", async () => {
    const cluster = await startWorkers("redis", 2, { limits: { clientReceiptsBytesMax: 3_000 } });
    const client = await nodeOf(cluster, 0).open(path, v1);
    for (let id = 1; id <= 10; id += 1) await ask(client, id, "tell", 1_000);
    const { redis } = await toolsOf(engineOf(cluster));
    const [entries = ""] = (await redis?.keys("*:entries")) ?? [];
    let values: Record<string, string> = {};
    while (!values["10"]?.startsWith("=")) values = (await redis?.hgetall(entries)) ?? {};
    const { bytes, ...replies } = values;
    expect(Object.keys(replies)).toHaveLength(10);
    const kept = Object.values(replies).map(({ length }) => length - 1);
    expect(kept.reduce((sum, length) => sum + length)).toBe(Number(bytes));
    expect(kept.filter((length) => length > 0)).toHaveLength(2);
    expect(await askOn(nodeOf(cluster, 1), 1, "tell", 1_000)).toMatchObject(duplicate);
    expect(await askOn(nodeOf(cluster, 1), 10, "tell", 1_000)).toMatchObject({ id: 10, data: "x".repeat(1_000) });
    expect(cluster.ran.all).toHaveLength(10);
  });
});

describe.skipIf(missing("redis", "claims in a cluster of Redis"))("claims in a cluster of Redis", () => {
  it("work, since all keys of a client are in one slot", async () => {
    const args = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"];
    const cluster = await startCluster("redis", 0, { engine: { args } });
    const { port } = engineOf(cluster);
    const { redis: single } = await toolsOf(engineOf(cluster));
    await single?.cluster("ADDSLOTSRANGE", 0, 16_383);
    while (!String(await single?.cluster("INFO")).includes("cluster_state:ok"));
    const source = new Cluster([{ host: "127.0.0.1", port }]);
    onTestFinished(() => source.disconnect());
    const replies: unknown[] = [];
    for (const node of [1, 2]) {
      class Worker extends EventHandler {
        @On("count")
        onCount() {
          return node;
        }
      }
      const app = new App({ backplane: redis(source) }).route("/work/:name", Worker);
      onTestFinished(() => app.close());
      await until(() => app.status().ready);
      const client = await connect(app, path, v1);
      await client.readJSON();
      replies.push(await ask(client, 1));
    }
    expect(replies).toEqual([1, 1].map((data) => ({ type: "reply", id: 1, data })));
  });
});

describe.skipIf(missing("nats", "claims in NATS"))("claims in NATS", () => {
  it("are in one stream with limits, made with the first one", async () => {
    const cluster = await startWorkers("nats", 2, { limits: { receiptsMs: 60_000 } });
    const { manager } = await toolsOf(engineOf(cluster));
    await nodeOf(cluster, 0).open(path, v1);
    expect(await manager?.streams.names().next()).toEqual([]);
    for (const node of cluster.nodes) for (const id of [1, 2]) await askOn(node, id);
    const info = await manager?.streams.info("enfilade-claims");
    expect(info?.config).toMatchObject({ max_msgs_per_subject: 1, max_age: 60e9, max_bytes: 256 * 1024 * 1024 });
    expect(info?.state.messages).toBe(2);
  });

  it("need no more space than the server has", async () => {
    const folder = mkdtempSync(join(tmpdir(), "enfilade-nats-config-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const config = join(folder, "nats.conf");
    writeFileSync(config, `jetstream { max_mem: 20M, max_file: 20M, store_dir: "${folder}" }`);
    const cluster = await startWorkers("nats", 2, { engine: { jetstream: false, args: ["--config", config] } });
    const reply = await askOn(nodeOf(cluster, 0), 1);
    expect(reply).toMatchObject({ id: 1 });
    expect(await askOn(nodeOf(cluster, 1), 1)).toEqual(reply);
    const { manager } = await toolsOf(engineOf(cluster));
    expect((await manager?.streams.info("enfilade-claims"))?.config.max_bytes).toBe(16 * 1024 * 1024);
  });

  it("are refused and reported if the user may not use JetStream, and other messages still arrive", async () => {
    const folder = mkdtempSync(join(tmpdir(), "enfilade-nats-config-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const config = join(folder, "nats.conf");
    writeFileSync(
      config,
      'authorization { users: [{ user: a, password: b, permissions: { publish: { deny: "$JS.>" } } }] }',
    );
    const engine = await startEngine("nats", { args: ["--config", config] });
    const app = new App({ backplane: nats({ servers: engine.url, user: "a", pass: "b" }) });
    const errors: Error[] = [];
    app.on("error", (error) => errors.push(error));
    onTestFinished(() => app.close());
    class Worker extends EventHandler {
      @On("count")
      onCount() {
        return 1;
      }
    }
    app.route("/work/:name", Worker);
    await until(() => app.status().ready);
    const client = await connect(app, path, v1);
    await client.readJSON();
    for (let n = 0; n < 3; n += 1) expect(await ask(client, 1)).toMatchObject(unavailable);
    await app.registry.room(room).publish("still here");
    expect(await client.readJSON()).toMatchObject({ data: "still here" });
    const message = expect.stringContaining("requests of clients cannot be claimed");
    expect(errors).toMatchObject([{ code: "ERR_BACKPLANE", message }]);
  });

  it("need JetStream: without it a request runs once per node, which is reported once", async () => {
    const cluster = await startWorkers("nats", 2, { engine: { jetstream: false } });
    for (const node of [...cluster.nodes, ...cluster.nodes]) {
      for (const id of [1, 2]) expect(await askOn(node, id)).toMatchObject({ id });
    }
    expect(cluster.ran.all.map(({ node }) => node)).toEqual([0, 0, 1, 1]);
    const message = expect.stringContaining("repeated on another node runs again there");
    for (const { errors } of cluster.nodes) expect(errors).toMatchObject([{ code: "ERR_BACKPLANE", message }]);
  });
});
