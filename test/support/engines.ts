import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Backplane } from "../../src/backplane/index.js";
import type { BackplaneOptions as NatsOptions } from "../../src/nats/index.js";
import { backplaneOf, type EngineAddress } from "./engineAddress.js";
import { end, launch, launchAnywhere } from "./engineProcess.js";
import { command } from "./parts.js";
import { openRedisCluster, type RedisCluster } from "./redisCluster.js";
import { openRedisSentinel, type RedisSentinel } from "./redisSentinel.js";

export type EngineName = "redis" | "nats";
/** An engine of one server, or Redis of many servers. */
export type EngineSetup = EngineName | "redis-cluster" | "redis-sentinel";

/** An engine in processes of its own, on its own ports. */
export interface EngineServer {
  readonly name: EngineName;
  /** Of the first server. */
  readonly port: number;
  readonly url: string;
  readonly address: EngineAddress;
  /** What the server stores. */
  readonly folder: string;
  /** A backplane over it; over `url` if given, such as that of a proxy. */
  backplane(url?: string, options?: object): Backplane;
  /** Kills the process. Data on disk stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port; resolves when it accepts connections. */
  restart(): Promise<void>;
}

export interface EngineOptions {
  /** Whether data survives a restart. Default: `false`. */
  readonly durable?: boolean;
  /** How Redis writes durable data. Default: `always`. */
  readonly appendfsync?: "always" | "everysec";
  /** The rules of the Redis user that `url` names, such as `+@all`. Default: the user of Redis without limits. */
  readonly acl?: readonly string[];
  /** Whether NATS has JetStream. Default: `true`. */
  readonly jetstream?: boolean;
  /** Additional arguments of the server. */
  readonly args?: readonly string[];
  readonly nats?: NatsOptions;
  /** Options of each backplane. */
  readonly backplane?: object;
  /** The first port to try. Default: a random one. */
  readonly port?: number;
}

/** An engine, and the function that ends it and deletes its data. */
export interface OpenEngine<Kind extends EngineServer = EngineServer> {
  readonly engine: Kind;
  remove(): Promise<void>;
}

const aclUser = "limited";
const aclPassword = "secret";

/** Starts an engine that runs until the end of the test. */
export async function startEngine(name: EngineSetup, options: EngineOptions = {}): Promise<EngineServer> {
  return untilTheEnd(await openEngine(name, options));
}

export async function startRedisCluster(): Promise<RedisCluster> {
  return untilTheEnd(await openRedisCluster());
}

export async function startRedisSentinel(): Promise<RedisSentinel> {
  return untilTheEnd(await openRedisSentinel());
}

function untilTheEnd<Kind extends EngineServer>({ engine, remove }: OpenEngine<Kind>): Kind {
  onTestFinished(remove);
  return engine;
}

/** Starts an engine that runs until `remove()`, for tests that run concurrently or share it. */
export async function openEngine(name: EngineSetup, options: EngineOptions = {}): Promise<OpenEngine> {
  if (name === "redis-cluster") return openRedisCluster();
  if (name === "redis-sentinel") return openRedisSentinel();
  const folder = mkdtempSync(join(tmpdir(), `enfilade-${name}-`));
  const argsOf = (at: number) => [
    ...(name === "redis" ? redisArgs(at, folder, options) : natsArgs(at, folder, options)),
    ...(options.args ?? []),
  ];
  const launched = await launchAnywhere(command(name), argsOf, options.port);
  const { port } = launched;
  let { child } = launched;
  const remove = async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const user = options.acl === undefined ? "" : `${aclUser}:${aclPassword}@`;
  const url = `${name}://${user}127.0.0.1:${port}`;
  const storage = options.durable === true ? "file" : "memory";
  const own = { ...(name === "nats" && { storage, ...options.nats }), ...options.backplane };
  const engine: EngineServer = {
    name,
    port,
    url,
    address: { kind: name, url },
    folder,
    backplane: (at = url, more = {}) => backplaneOf({ kind: name, url: at }, { ...own, ...more }),
    kill: () => end(child),
    restart: async () => {
      const restarted = await launch(command(name), argsOf(port));
      if (restarted === undefined) throw new Error(`${name} could not start again on port ${port}`);
      child = restarted;
    },
  };
  return { engine, remove };
}

function redisArgs(port: number, folder: string, options: EngineOptions): string[] {
  const { durable = false, appendfsync = "always", acl } = options;
  const keeping = durable
    ? ["--appendonly", "yes", "--appendfsync", appendfsync]
    : ["--save", "", "--appendonly", "no"];
  const users = acl === undefined ? [] : ["--user", aclUser, "on", `>${aclPassword}`, ...acl];
  return ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, ...keeping, ...users];
}

function natsArgs(port: number, folder: string, { jetstream = true }: EngineOptions): string[] {
  const keeping = jetstream ? ["--jetstream", "--store_dir", folder] : [];
  return ["--addr", "127.0.0.1", "--port", String(port), ...keeping];
}
