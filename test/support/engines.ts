import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Backplane } from "../../src/index.js";
import { type BackplaneOptions as NatsOptions, nats } from "../../src/nats/index.js";
import { redis } from "../../src/redis/index.js";
import { command } from "./parts.js";

export type EngineName = "redis" | "nats";

/** A server of its own, on a free port, until the test is over. */
export interface EngineServer {
  readonly name: EngineName;
  readonly port: number;
  readonly url: string;
  /** A backplane over it; over `url` if given, such as that of a proxy. */
  backplane(url?: string): Backplane;
  /** Ends the process as a crash would. What it keeps on disk stays. */
  kill(): Promise<void>;
  /** The same again, on the same port; resolves when it takes connections. */
  restart(): Promise<void>;
}

export interface EngineOptions {
  /** Whether what is kept survives a restart. Default: `false`. */
  readonly durable?: boolean;
  /** Whether NATS has JetStream. Default: `true`. */
  readonly jetstream?: boolean;
  /** Further arguments of the server. */
  readonly args?: readonly string[];
  readonly nats?: NatsOptions;
}

export async function startEngine(name: EngineName, options: EngineOptions = {}): Promise<EngineServer> {
  const folder = mkdtempSync(join(tmpdir(), `enfilade-${name}-`));
  const port = await freePort();
  let running = await launch(name, port, folder, options);
  onTestFinished(async () => {
    await end(running);
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `${name}://127.0.0.1:${port}`;
  const storage = options.durable === true ? "file" : "memory";
  return {
    ...{ name, port, url },
    backplane: (at = url) => (name === "redis" ? redis(at) : nats(at, { storage, ...options.nats })),
    kill: () => end(running),
    restart: async () => {
      running = await launch(name, port, folder, options);
    },
  };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a server on a port has an address");
  return address.port;
}

async function launch(name: EngineName, port: number, folder: string, options: EngineOptions): Promise<ChildProcess> {
  const own = name === "redis" ? redisArgs(port, folder, options) : natsArgs(port, folder, options);
  const child = spawn(command(name), [...own, ...(options.args ?? [])], { stdio: "ignore" });
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${[...own].join(" ")}`);
  }
  return child;
}

function redisArgs(port: number, folder: string, { durable = false }: EngineOptions): string[] {
  const keeping = durable ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--save", "", "--appendonly", "no"];
  return ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, ...keeping];
}

function natsArgs(port: number, folder: string, { jetstream = true }: EngineOptions): string[] {
  const keeping = jetstream ? ["--jetstream", "--store_dir", folder] : [];
  return ["--addr", "127.0.0.1", "--port", String(port), ...keeping];
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    // Both speak as soon as somebody is there: NATS by itself, Redis when it is asked.
    await once(socket, "connect");
    socket.write("PING\r\n");
    const [first]: unknown[] = await once(socket, "data");
    return !String(first).includes("LOADING");
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
