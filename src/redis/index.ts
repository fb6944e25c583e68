import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { Backplane } from "../backplane/backplane.js";
import { ClusterBackplane } from "../cluster/clusterBackplane.js";
import { EnfiladeError } from "../errors.js";
import { checkNames } from "../wire/options.js";
import { RedisEngine, type RedisPair } from "./engine.js";

/** Options in addition to those of ioredis. */
export interface BackplaneOptions {
  /** Before every key and channel, so that several applications may share one Redis. Default: `"enfilade:"`. */
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
 * @param source A URL, options of ioredis, or a client of ioredis.
 * @throws EnfiladeError `ERR_OPTION`.
 */
export function redis(source: string | RedisOptions | Redis | Cluster, options: BackplaneOptions = {}): Backplane {
  checkNames("redis()", options, ["prefix"]);
  const { prefix = "enfilade:" } = options;
  if (typeof prefix !== "string") throw new EnfiladeError("ERR_OPTION", `prefix takes a string, got ${typeof prefix}`);
  return new ClusterBackplane(new RedisEngine({ prefix, connect: connectorOf(source) }));
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

function connectorOf(source: string | RedisOptions | Redis | Cluster): () => RedisPair {
  if (source instanceof Cluster) {
    return () => {
      const { enableOfflineQueue, lazyConnect, ...ofNodes } = connectionOptions;
      const options = { enableOfflineQueue, lazyConnect, clusterRetryStrategy: retryMs, shardedSubscribers: true };
      const cluster = source.duplicate([], { ...options, keyPrefix: "", redisOptions: ofNodes });
      return { commands: cluster, subscriber: cluster, database: 0 };
    };
  }
  if (keyPrefixOf(source) !== "") {
    throw new EnfiladeError(
      "ERR_OPTION",
      "redis() has a prefix of its own in place of keyPrefix: redis(client, { prefix })",
    );
  }
  if (source instanceof Redis) return () => pairOf(() => source.duplicate(connectionOptions));
  if (typeof source === "string") checkURL(source);
  else if (typeof source !== "object" || source === null || Array.isArray(source)) throw wrong(source);
  const connect = (): Redis => {
    if (typeof source === "string") return new Redis(source, connectionOptions);
    return new Redis({ ...source, ...connectionOptions });
  };
  return () => pairOf(connect);
}

function keyPrefixOf(source: unknown): unknown {
  const options: unknown = source instanceof Redis ? source.options : source;
  return typeof options === "object" && options !== null && "keyPrefix" in options ? (options.keyPrefix ?? "") : "";
}

function pairOf(connect: () => Redis): RedisPair {
  const commands = connect();
  return { commands, subscriber: connect(), database: commands.options.db ?? 0 };
}

function retryMs(attempts: number): number {
  return Math.min(2_000, 50 * 2 ** Math.min(attempts, 10)) * (0.5 + Math.random() / 2);
}

function checkURL(source: string): void {
  if (!/^rediss?:\/\//.test(source) || !URL.canParse(source)) throw wrong(source);
}

function wrong(source: unknown): EnfiladeError {
  const came = JSON.stringify(source) ?? String(source);
  return new EnfiladeError(
    "ERR_OPTION",
    `redis() takes a URL such as "redis://127.0.0.1:6379", options or a client of ioredis; got ${came}`,
  );
}
