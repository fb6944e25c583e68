import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import type { Backplane } from "../../src/backplane/index.js";
import { type BackplaneOptions as NatsOptions, nats } from "../../src/nats/index.js";
import { redis } from "../../src/redis/index.js";
import { command } from "./parts.js";
import { randomPort } from "./ports.js";

export type EngineName = "redis" | "nats";

/** An engine in a process of its own, on its own port. */
export interface EngineServer {
  readonly name: EngineName;
  readonly port: number;
  readonly url: string;
  /** A backplane over it; over `url` if given, such as that of a proxy. */
  backplane(url?: string): Backplane;
  /** Kills the process. Data on disk stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port; resolves when it accepts connections. */
  restart(): Promise<void>;
}

export interface EngineOptions {
  /** Whether data survives a restart. Default: `false`. */
  readonly durable?: boolean;
  /** Whether NATS has JetStream. Default: `true`. */
  readonly jetstream?: boolean;
  /** Additional arguments of the server. */
  readonly args?: readonly string[];
  readonly nats?: NatsOptions;
  /** The first port to try. Default: a random one. */
  readonly port?: number;
}

/** How often another port is tried. */
const attemptsMax = 20;

/** Starts an engine that runs until the end of the test. */
export async function startEngine(name: EngineName, options: EngineOptions = {}): Promise<EngineServer> {
  const { engine, remove } = await openEngine(name, options);
  onTestFinished(remove);
  return engine;
}

/** Starts an engine that runs until `remove()`, for tests that run concurrently. */
export async function openEngine(
  name: EngineName,
  options: EngineOptions = {},
): Promise<{ readonly engine: EngineServer; remove(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), `enfilade-${name}-`));
  let { port, child } = await launchAnywhere(name, folder, options);
  const remove = async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `${name}://127.0.0.1:${port}`;
  const storage = options.durable === true ? "file" : "memory";
  const engine: EngineServer = {
    name,
    port,
    url,
    backplane: (at = url) => (name === "redis" ? redis(at) : nats(at, { storage, ...options.nats })),
    kill: () => end(child),
    restart: async () => {
      const restarted = await launch(name, port, folder, options);
      if (restarted === undefined) throw new Error(`${name} could not start again on port ${port}`);
      child = restarted;
    },
  };
  return { engine, remove };
}

interface Launched {
  readonly port: number;
  readonly child: ChildProcess;
}

async function launchAnywhere(name: EngineName, folder: string, options: EngineOptions): Promise<Launched> {
  let { port = randomPort() } = options;
  for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
    const child = await launch(name, port, folder, options);
    if (child !== undefined) return { port, child };
    port = randomPort();
  }
  throw new Error(`${name} did not start on any of ${attemptsMax} ports`);
}

/** Resolves when the engine is ready, or with `undefined` if it ended, such as when its port is taken. */
async function launch(
  name: EngineName,
  port: number,
  folder: string,
  options: EngineOptions,
): Promise<ChildProcess | undefined> {
  const own = name === "redis" ? redisArgs(port, folder, options) : natsArgs(port, folder, options);
  const child = spawn(command(name), [...own, ...(options.args ?? [])], { stdio: ["ignore", "pipe", "pipe"] });
  // Read from its output, because another server may answer on the port.
  const isReady = await new Promise<boolean>((resolve) => {
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output }).on("line", (line) => readyLine.test(line) && resolve(true));
    }
    child.once("exit", () => resolve(false));
  });
  return isReady ? child : undefined;
}

const readyLine = /Ready to accept connections|Server is ready/;

function redisArgs(port: number, folder: string, { durable = false }: EngineOptions): string[] {
  const keeping = durable ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--save", "", "--appendonly", "no"];
  return ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, ...keeping];
}

function natsArgs(port: number, folder: string, { jetstream = true }: EngineOptions): string[] {
  const keeping = jetstream ? ["--jetstream", "--store_dir", folder] : [];
  return ["--addr", "127.0.0.1", "--port", String(port), ...keeping];
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
