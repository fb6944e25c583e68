import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FaultyProxy } from "../../../test/faults/faultyProxy.js";
import { addressThrough } from "../../../test/support/engineAddress.js";
import { type EngineName, type EngineOptions, type EngineServer, openEngine } from "../../../test/support/engines.js";
import { command, missing } from "../../../test/support/parts.js";
import { freePort } from "../../../test/support/ports.js";
import { callRedis } from "../../../test/support/redisServer.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

const MB = 1024 * 1024;
/** Milliseconds for the answer of an engine (`backplaneMs`), and some for a busy machine. */
const answerMs = 5_000 + 2_500;
const unreadyMs = 3_000;
const loopMs = 50;

const passwordArgs: Readonly<Record<EngineName, readonly string[]>> = {
  redis: ["--requirepass", "right"],
  nats: ["--user", "right", "--pass", "right"],
};

/** An engine until the end of the row. */
async function open(scene: Scene, name: EngineName, options: EngineOptions = {}): Promise<EngineServer> {
  const { engine, remove } = await openEngine(name, options);
  scene.finally(remove);
  return engine;
}

/** A folder until the end of the row. */
function openFolder(scene: Scene): string {
  const folder = mkdtempSync(join(tmpdir(), "enfilade-hostile-"));
  scene.finally(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

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

/** The engine stops to run, for a time, without closing a connection. */
async function hung(scene: Scene, kind: EngineName): Promise<void> {
  const name = `${kind} hung`;
  const pidFile = join(openFolder(scene), "pid");
  const engine = await open(scene, kind, { args: [kind === "redis" ? "--pidfile" : "--pid", pidFile] });
  const server = await scene.start({ engine: engine.address });
  await scene.until(`${name}: ready before`, 5_000, async () => (await server.status()).ready);
  scene.equal(`${name}: publish before`, await publish(server), "ok");
  const pid = Number(readFileSync(pidFile, "utf8"));
  await server.resetPeaks();
  const before = await server.measure();
  process.kill(pid, "SIGSTOP");
  const publishing = publishMany(scene, name, server, 50);
  const isUnready = async () => !(await server.health()).ready;
  const ms = await scene.until(`${name}: not ready within 3 s`, unreadyMs, isUnready);
  scene.show(`${name}: not ready after, ms`, ms);
  await scene.last(scene.pick(30_000, unreadyMs) - ms);
  // A quick run ends the hang before it is too late for them.
  if (!scene.isQuick) scene.equal(`${name}: publish meanwhile`, [...new Set(await publishing)], ["ERR_BACKPLANE"]);
  const { peakHeap } = await server.measure(false);
  scene.atMost(`${name}: memory more, MB`, (peakHeap - before.heap - before.external) / MB, 32);
  await checkLoop(scene, name, server);
  process.kill(pid, "SIGCONT");
  await publishing;
  await scene.until(`${name}: ready again`, 10_000, async () => (await server.status()).ready);
  scene.equal(`${name}: publish afterwards`, await publish(server), "ok");
}

/** No server is at the address. */
async function neverUp(scene: Scene, kind: EngineName): Promise<void> {
  const name = `${kind} never up`;
  const url = `${kind}://127.0.0.1:${await freePort()}`;
  const limits = scene.pick({}, { backplaneMs: 2_000 });
  const server = await scene.start({ engine: { kind, url }, limits });
  await server.resetPeaks();
  scene.equal(`${name}: publish`, await publishMany(scene, name, server, 1), ["ERR_BACKPLANE"]);
  scene.equal(`${name}: ready`, (await server.status()).ready, false);
  await checkLoop(scene, name, server);
}

async function wrongPassword(scene: Scene, kind: EngineName): Promise<void> {
  const name = `${kind} with another password`;
  const engine = await open(scene, kind, { args: passwordArgs[kind] });
  const url = `${kind}://${kind === "redis" ? "" : "right"}:wrong@127.0.0.1:${engine.port}`;
  const server = await scene.start({ engine: { kind, url } });
  scene.equal(`${name}: publish`, await publish(server), "ERR_BACKPLANE");
  scene.equal(`${name}: ready`, (await server.status()).ready, false);
  const { lines, errors } = await server.log();
  if ([...lines, ...errors, server.output].join().includes(":wrong@")) scene.fail(`${name}: it is in the log`);
}

/** The engine takes no more data, but still carries messages. */
async function outOfMemory(scene: Scene, kind: EngineName): Promise<void> {
  const engine = await open(scene, kind, smallMemory(scene, kind));
  const server = await scene.start({
    engine: engine.address,
    ...(kind === "nats" && { backplane: { storage: "memory" } }),
  });
  let outcome = "ok";
  for (let n = 0; n < 2_000 && outcome === "ok"; n += 1) {
    outcome = await publish(server, `/kept/memory-${n}`);
  }
  scene.equal(`${kind} out of memory: publish to a room with history`, outcome, "ERR_BACKPLANE");
}

function smallMemory(scene: Scene, kind: EngineName): EngineOptions {
  if (kind === "redis") return { args: ["--maxmemory", "1600kb", "--maxmemory-policy", "noeviction"] };
  const folder = openFolder(scene);
  const config = join(folder, "nats.conf");
  writeFileSync(config, `jetstream { max_mem: 1M, max_file: 1M, store_dir: "${folder}" }`);
  return { jetstream: false, args: ["--config", config] };
}

/** Redis becomes a replica, which refuses writes. NATS has no such state. */
async function readOnly(scene: Scene): Promise<void> {
  const engine = await open(scene, "redis");
  const server = await scene.start({ engine: engine.address });
  await scene.until("read-only: ready before", 5_000, async () => (await server.status()).ready);
  await callRedis(engine.port, "REPLICAOF", "127.0.0.1", "1");
  const outcome = await publish(server, "/kept/read-only");
  scene.equal("read-only: publish to a room with history", outcome, "ERR_BACKPLANE");
  await callRedis(engine.port, "REPLICAOF", "NO", "ONE");
  const isBack = async () => (await publish(server, "/kept/read-only")) === "ok";
  await scene.until("read-only: publish afterwards", 20_000, isBack);
}

/** The way to the engine carries some bytes a second. */
async function slow(scene: Scene, kind: EngineName): Promise<void> {
  const name = `${kind} slow`;
  const engine = await open(scene, kind);
  const proxy = await FaultyProxy.start(() => engine.port);
  scene.finally(() => proxy.stop());
  const server = await scene.start({ engine: addressThrough(engine.address, proxy.port) });
  await scene.until(`${name}: ready before`, 5_000, async () => (await server.status()).ready);
  await server.resetPeaks();
  const slowMs = scene.pick(20_000, 2_000);
  for (const link of proxy.connections) link.slowDown(2_000, slowMs);
  const outcomes = await publishMany(scene, name, server, 200);
  const strange = outcomes.filter((outcome) => outcome !== "ok" && outcome !== "ERR_BACKPLANE");
  scene.equal(`${name}: other outcomes of publish`, strange, []);
  scene.show(`${name}: accepted of 200`, outcomes.filter((outcome) => outcome === "ok").length);
  await checkLoop(scene, name, server);
  await scene.until(`${name}: ready again`, slowMs + 15_000, async () => (await server.status()).ready);
}

async function breakEngine(scene: Scene, kind: EngineName): Promise<void> {
  if (missing(kind, "row 16")) {
    scene.skip(kind, `${command(kind)} is not installed`);
    return;
  }
  const waiting = Promise.all([hung, slow, neverUp, wrongPassword].map((part) => part(scene, kind)));
  // A full run measures the times of those without other work.
  if (!scene.isQuick) await waiting;
  await Promise.all([waiting, outOfMemory(scene, kind), ...(kind === "redis" ? [readOnly(scene)] : [])]);
}

export const engineRow: Row = {
  number: 16,
  title: "engine hung, slow, never up, wrong password, out of memory, read-only",
  expected: "bounded, honest, loop p99 below 50 ms, not ready within 3 s",
  seconds: 300,
  isMostlyWaiting: true,
  async run(scene) {
    const first = breakEngine(scene, "redis");
    if (!scene.isQuick) await first;
    await Promise.all([first, breakEngine(scene, "nats")]);
  },
};
