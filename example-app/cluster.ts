import { type ChildProcess, spawn } from "node:child_process";
import cluster, { type Address, type Worker } from "node:cluster";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { availableParallelism } from "node:os";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The chat on every core of this machine: as many processes on one port, which meet in a Redis on loopback. */

const workersMax = 64;
const workersOf = Number(process.env.WORKERS ?? availableParallelism());
let isStopping = false;
let ownRedis: ChildProcess | undefined;

async function start(): Promise<void> {
  if (!Number.isInteger(workersOf) || workersOf < 1 || workersOf > workersMax) {
    throw new Error(`WORKERS is a number from 1 to ${workersMax}, got "${process.env.WORKERS}".`);
  }
  const REDIS_URL = process.env.REDIS_URL ?? (await startRedis());
  cluster.setupPrimary({ exec: fileURLToPath(new URL("main.ts", import.meta.url)) });
  for (let n = 0; n < workersOf; n += 1) cluster.fork({ REDIS_URL });
  const { port } = await listening();
  console.log(`The chat is at http://localhost:${port}/, on ${workersOf} processes`);
  cluster.on("exit", (_worker, code) => {
    if (!isStopping && code !== 0) cluster.fork({ REDIS_URL });
    if (Object.keys(cluster.workers ?? {}).length === 0) stop();
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
}

/** Where the workers listen, when all do; one that ends before has said why. */
async function listening(): Promise<Address> {
  const ended = once(cluster, "exit").then(() => {
    throw new Error("A worker could not start.");
  });
  for (let count = 1; ; count += 1) {
    const [, address] = (await Promise.race([once(cluster, "listening"), ended])) as [Worker, Address];
    if (count === workersOf) return address;
  }
}

/** A Redis of our own, on a free port of loopback, that keeps nothing on disk and ends with us. */
async function startRedis(): Promise<string> {
  const port = await freePort();
  const server = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", ""], {
    stdio: "ignore",
  });
  try {
    await once(server, "spawn");
  } catch (error) {
    throw new Error(`There is no redis-server (${error}). Install it, or set REDIS_URL to a Redis that runs.`);
  }
  ownRedis = server;
  while (!(await answers(port))) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}.`);
    await setTimeout(20);
  }
  return `redis://127.0.0.1:${port}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const answer = await once(socket, "connect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  return answer;
}

function stop(): void {
  isStopping = true;
  const workers = Object.values(cluster.workers ?? {});
  for (const worker of workers) worker?.process.kill("SIGTERM");
  if (workers.length === 0) ownRedis?.kill();
}

try {
  await start();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  stop();
  ownRedis?.kill();
  process.exitCode = 1;
}
