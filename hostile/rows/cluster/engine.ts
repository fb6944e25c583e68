import { FaultyProxy } from "../../../test/faults/faultyProxy.js";
import { openEngine } from "../../../test/support/engines.js";
import { missing } from "../../../test/support/parts.js";
import { freePort } from "../../../test/support/ports.js";
import { callRedis } from "../../../test/support/redisServer.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

const MB = 1024 * 1024;
/** Milliseconds for the answer of an engine (`backplaneMs`), and some for a busy machine. */
const answerMs = 5_000 + 2_500;
const unreadyMs = 3_000;
const loopMs = 50;

/** Publishes, and returns the code of the error, or `"ok"`. */
async function publish(server: ServerProcess, path = "/chat/engine"): Promise<string> {
  return server.ask({ do: "publish", path, text: "x".repeat(2_000) }).then(
    () => "ok",
    (error: Error) => /ERR_\w+/.exec(error.message)?.[0] ?? error.message.slice(0, 200),
  );
}

/** Publishes so often at once. Each must be settled within the time limit of the engine. Returns the outcomes. */
async function publishMany(scene: Scene, name: string, server: ServerProcess, count: number): Promise<string[]> {
  const start = performance.now();
  let slowest = 0;
  const outcomes = Array.from({ length: count }, async () => {
    const outcome = await publish(server);
    slowest = Math.max(slowest, performance.now() - start);
    return outcome;
  });
  const all = await Promise.all(outcomes);
  scene.timeAtMost(`${name}: the slowest answer to publish, ms`, slowest, answerMs);
  return all;
}

async function checkLoop(scene: Scene, name: string, server: ServerProcess): Promise<void> {
  const { loopP99 } = await server.measure(false);
  scene.timeAtMost(`${name}: loop p99, ms`, loopP99, loopMs);
}

/** Redis stops to run, for a time, without closing a connection. */
async function hung(scene: Scene): Promise<void> {
  const { engine, remove } = await openEngine("redis");
  scene.finally(remove);
  const server = await scene.start({ engine: engine.address });
  await scene.until("hung: ready before", 5_000, async () => (await server.status()).ready);
  scene.equal("hung: publish before", await publish(server), "ok");
  const pid = Number(/process_id:(\d+)/.exec(String(await callRedis(engine.port, "INFO", "server")))?.[1]);
  await server.resetPeaks();
  const before = await server.measure();
  process.kill(pid, "SIGSTOP");
  scene.finally(() => process.kill(pid, "SIGCONT"));
  const publishing = publishMany(scene, "hung", server, 50);
  const isUnready = async () => !(await server.health()).ready;
  const ms = await scene.until("hung: not ready within 3 s", unreadyMs, isUnready);
  scene.show("hung: not ready after, ms", ms);
  await scene.last(scene.pick(30_000, unreadyMs) - ms);
  // A quick run ends the hang before it is too late for them.
  if (!scene.isQuick) scene.equal("hung: publish meanwhile", [...new Set(await publishing)], ["ERR_BACKPLANE"]);
  const { peakHeap } = await server.measure(false);
  scene.atMost("hung: memory more, MB", (peakHeap - before.heap - before.external) / MB, 32);
  await checkLoop(scene, "hung", server);
  process.kill(pid, "SIGCONT");
  await publishing;
  await scene.until("hung: ready again", 10_000, async () => (await server.status()).ready);
  scene.equal("hung: publish afterwards", await publish(server), "ok");
}

/** No server is at the address. */
async function neverUp(scene: Scene): Promise<void> {
  const url = `redis://127.0.0.1:${await freePort()}`;
  const server = await scene.start({ engine: { kind: "redis", url } });
  await server.resetPeaks();
  scene.equal("never up: publish", await publishMany(scene, "never up", server, 1), ["ERR_BACKPLANE"]);
  scene.equal("never up: ready", (await server.status()).ready, false);
  await checkLoop(scene, "never up", server);
}

async function wrongPassword(scene: Scene): Promise<void> {
  const { engine, remove } = await openEngine("redis", { args: ["--requirepass", "right"] });
  scene.finally(remove);
  const url = `redis://:wrong@127.0.0.1:${engine.port}`;
  const server = await scene.start({ engine: { kind: "redis", url } });
  scene.equal("wrong password: publish", await publish(server), "ERR_BACKPLANE");
  scene.equal("wrong password: ready", (await server.status()).ready, false);
  const { lines, errors } = await server.log();
  if ([...lines, ...errors, server.output].join().includes(":wrong@")) scene.fail("the password is in the log");
}

/** Redis takes no more data, but still carries messages. */
async function outOfMemory(scene: Scene): Promise<void> {
  const { engine, remove } = await openEngine("redis", {
    args: ["--maxmemory", "1600kb", "--maxmemory-policy", "noeviction"],
  });
  scene.finally(remove);
  const server = await scene.start({ engine: engine.address });
  let outcome = "ok";
  for (let n = 0; n < 2_000 && outcome === "ok"; n += 1) {
    outcome = await publish(server, `/kept/memory-${n}`);
  }
  scene.equal("out of memory: publish to a room with history", outcome, "ERR_BACKPLANE");
}

async function readOnly(scene: Scene): Promise<void> {
  const { engine, remove } = await openEngine("redis");
  scene.finally(remove);
  const server = await scene.start({ engine: engine.address });
  await scene.until("read-only: ready before", 5_000, async () => (await server.status()).ready);
  await callRedis(engine.port, "REPLICAOF", "127.0.0.1", "1");
  const outcome = await publish(server, "/kept/read-only");
  scene.equal("read-only: publish to a room with history", outcome, "ERR_BACKPLANE");
  await callRedis(engine.port, "REPLICAOF", "NO", "ONE");
  const isBack = async () => (await publish(server, "/kept/read-only")) === "ok";
  await scene.until("read-only: publish afterwards", 20_000, isBack);
}

/** The way to Redis carries some bytes a second. */
async function slow(scene: Scene): Promise<void> {
  const { engine, remove } = await openEngine("redis");
  scene.finally(remove);
  const proxy = await FaultyProxy.start(() => engine.port);
  scene.finally(() => proxy.stop());
  const server = await scene.start({ engine: { kind: "redis", url: `redis://127.0.0.1:${proxy.port}` } });
  await scene.until("slow: ready before", 5_000, async () => (await server.status()).ready);
  await server.resetPeaks();
  const slowMs = scene.pick(20_000, 2_000);
  for (const link of proxy.connections) link.slowDown(2_000, slowMs);
  const outcomes = await publishMany(scene, "slow", server, 200);
  const strange = outcomes.filter((outcome) => outcome !== "ok" && outcome !== "ERR_BACKPLANE");
  scene.equal("slow: other outcomes of publish", strange, []);
  scene.show("slow: accepted of 200", outcomes.filter((outcome) => outcome === "ok").length);
  await checkLoop(scene, "slow", server);
  await scene.until("slow: ready again", slowMs + 15_000, async () => (await server.status()).ready);
}

export const engineRow: Row = {
  number: 16,
  title: "engine hung, slow, never up, wrong password, out of memory, read-only",
  expected: "bounded, honest, loop p99 below 50 ms, not ready within 3 s",
  seconds: 150,
  async run(scene) {
    if (missing("redis", "row 16")) {
      scene.skip("redis", "redis-server is not installed");
      return;
    }
    const times = [hung, slow, neverUp].map((part) => part(scene));
    await Promise.all([...times, wrongPassword(scene)]);
    await Promise.all([outOfMemory(scene), readOnly(scene)]);
  },
};
