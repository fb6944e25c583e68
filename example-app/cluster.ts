import { type ChildProcess, spawn } from "node:child_process";
import cluster, { type Address, type Worker } from "node:cluster";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { availableParallelism } from "node:os";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Runs the example on every core of this machine: one process per core, all on one port, connected by a Redis. */

const workersMax = 64;
const workerCount = Number(process.env.WORKERS ?? availableParallelism());
let isStopping = false;
let ownRedis: ChildProcess | undefined;

async function start(): Promise<void> {
  if (!Number.isInteger(workerCount) || workerCount < 1 || workerCount > workersMax) {
    throw new Error(`WORKERS must be an integer from 1 to ${workersMax}, got "${process.env.WORKERS}".`);
  }
  const REDIS_URL = process.env.REDIS_URL ?? (await startRedis());
  // All processes have to read the same cookies.
  const SESSION_SECRET = process.env.SESSION_SECRET || randomBytes(32).toString("base64url");
  const variables = { REDIS_URL, SESSION_SECRET };
  cluster.setupPrimary({ exec: fileURLToPath(new URL("main.ts", import.meta.url)) });
  for (let n = 0; n < workerCount; n += 1) cluster.fork(variables);
  const { port } = await waitForWorkers();
  console.log(`The example is at http://localhost:${port}/, on ${workerCount} processes`);
  cluster.on("exit", (_worker, code) => {
    if (!isStopping && code !== 0) cluster.fork(variables);
    if (Object.keys(cluster.workers ?? {}).length === 0) stop();
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
}

/** Waits until all workers listen and returns their address. A worker that ends first has printed why. */
async function waitForWorkers(): Promise<Address> {
  const ended = once(cluster, "exit").then(() => {
    throw new Error("A worker could not start.");
  });
  for (let count = 1; ; count += 1) {
    const [, address] = (await Promise.race([once(cluster, "listening"), ended])) as [Worker, Address];
    if (count === workerCount) return address;
  }
}

/** Starts a Redis on a free port of the loopback interface. It writes nothing to disk and ends with this process. */
async function startRedis(): Promise<string> {
  const port = await findFreePort();
  const server = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", ""], {
    stdio: "ignore",
  });
  try {
    await once(server, "spawn");
  } catch (error) {
    throw new Error(`redis-server did not start (${error}). Install it, or set REDIS_URL to a Redis that runs.`);
  }
  ownRedis = server;
  while (!(await isListening(port))) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with exit code ${server.exitCode}.`);
    await setTimeout(20);
  }
  return `redis://127.0.0.1:${port}`;
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function isListening(port: number): Promise<boolean> {
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
