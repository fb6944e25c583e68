import { Redis, type RedisOptions } from "ioredis";
import type { Backplane } from "../backplane/backplane.js";
import { ClusterBackplane } from "../cluster/clusterBackplane.js";
import { EnfiladeError } from "../errors.js";
import { checkNames } from "../wire/options.js";
import { type DuplicableClient, isClient, type OwnClient } from "./client.js";
import { RedisEngine, type RedisPair } from "./engine.js";

/** Options in addition to those of ioredis. */
export interface BackplaneOptions {
  /** Before every key and channel, with a colon, so that several applications may share one Redis. Default: `"enfilade"`. */
  readonly prefix?: string | undefined;
}

/**
 * A backplane over Redis (6.2 or later) or Valkey; over sharded pub/sub where the client is a cluster (7.0 or later).
 *
 * ```ts
 * const app = new App({ handlers: [Chat], backplane: redis("redis://127.0.0.1:6379") });
 * ```
 *
 * Each app needs its own. It opens connections of its own, two to a server. A client that is passed in is only copied;
 * its owner closes it.
 *
 * @param source A URL, options of ioredis with a `host`, `port`, `path` or `sentinels`, or a client of ioredis.
 * @throws EnfiladeError `ERR_OPTION`.
 */
export function redis(source: string | RedisOptions | OwnClient, options: BackplaneOptions = {}): Backplane {
  checkNames("redis()", options, ["prefix"]);
  const { prefix = "enfilade" } = options;
  if (typeof prefix !== "string" || prefix === "") {
    throw new EnfiladeError("ERR_OPTION", `prefix takes a string such as "shop", got ${JSON.stringify(prefix)}`);
  }
  return new ClusterBackplane(new RedisEngine({ prefix: `${prefix}:`, connect: connectorOf(source) }));
}

/** Nothing is queued while there is no connection, and nothing is sent twice; see `maxRetriesPerRequest` of ioredis. */
const connectionOptions = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  lazyConnect: false,
  keyPrefix: "",
  replyMapping: "legacy",
  connectTimeout: 5_000,
  retryStrategy: retryMs,
} satisfies RedisOptions;

function connectorOf(source: string | RedisOptions | OwnClient): () => RedisPair {
  if (isClient(source)) return connectorOfClient(source);
  if (typeof source === "string") {
    if (!/^rediss?:\/\//.test(source) || !URL.canParse(source)) throw wrong(source);
    return () => pairOf(() => new Redis(source, connectionOptions));
  }
  if (!isAddress(source)) throw wrong(source);
  checkKeyPrefix(source);
  return () => pairOf(() => new Redis({ ...source, ...connectionOptions }));
}

function connectorOfClient(client: DuplicableClient): () => RedisPair {
  checkKeyPrefix(client.options ?? {});
  if (!client.isCluster) return () => pairOf(() => client.duplicate(connectionOptions));
  return () => {
    const { enableOfflineQueue, lazyConnect, ...redisOptions } = connectionOptions;
    const options = { enableOfflineQueue, lazyConnect, clusterRetryStrategy: retryMs, shardedSubscribers: true };
    const cluster = client.duplicate([], { ...options, keyPrefix: "", redisOptions });
    return { commands: cluster, subscriber: cluster, database: 0 };
  };
}

/** Options that say where the server is: without them ioredis would connect to localhost. */
function isAddress(source: unknown): source is RedisOptions {
  if (typeof source !== "object" || source === null) return false;
  return ["host", "port", "path", "sentinels"].some((name) => name in source && Reflect.get(source, name) != null);
}

function checkKeyPrefix({ keyPrefix }: Pick<RedisOptions, "keyPrefix"> | DuplicableClient["options"]): void {
  if ((keyPrefix ?? "") === "") return;
  throw new EnfiladeError(
    "ERR_OPTION",
    "redis() has a prefix of its own in place of keyPrefix: redis(client, { prefix })",
  );
}

function pairOf(connect: () => ReturnType<DuplicableClient["duplicate"]>): RedisPair {
  const commands = connect();
  return { commands, subscriber: connect(), database: commands.options.db ?? 0 };
}

function retryMs(attempts: number): number {
  return Math.min(2_000, 50 * 2 ** Math.min(attempts, 10)) * (0.5 + Math.random() / 2);
}

function wrong(source: unknown): EnfiladeError {
  const expected =
    'a URL such as "redis://127.0.0.1:6379", options of ioredis with its address, or a client of ioredis';
  return new EnfiladeError("ERR_OPTION", `redis() takes ${expected}; got ${described(source)}`);
}

/** A client of another library is an object too large to print, or one that JSON cannot. */
function described(source: unknown): string {
  if (typeof source !== "object" || source === null) return JSON.stringify(source) ?? String(source);
  const names = Object.keys(source).slice(0, 5);
  return `an object with ${names.length === 0 ? "no properties" : names.join(", ")}`;
}
