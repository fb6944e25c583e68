import { Redis, type RedisOptions } from "ioredis";
import type { Backplane } from "../backplane/backplane.js";
import { ClusterBackplane } from "../cluster/clusterBackplane.js";
import { EnfiladeError } from "../errors.js";
import { checkNames, describeAddress } from "../wire/options.js";
import { type DuplicableClient, isClient, type OwnClient } from "./client.js";
import { RedisEngine, type RedisPair } from "./engine.js";

/** Options of {@link redis}. */
export interface BackplaneOptions {
  /**
   * The start of every key and channel, before a colon, so that applications can share a Redis. Default: `"enfilade"`.
   */
  readonly prefix?: string | undefined;
  /**
   * True if Redis keeps every acknowledged write over a restart and a failover: with `appendfsync always`, or as a
   * managed service that promises it. A restart then leaves the positions of clients valid. If the promise is broken,
   * losses may stay untold. Default: false.
   */
  readonly durable?: boolean | undefined;
}

/**
 * Creates a backplane over Redis 6.2 or later, or Valkey. A cluster needs Redis 7.0 or later, for sharded pub/sub.
 *
 * Each app needs its own backplane. It opens its own connections: two to a server, or those of one `Cluster` client. A
 * client that you pass is only copied; you close it.
 *
 * @param source A URL, options of ioredis with `host`, `port`, `path` or `sentinels`, or a client of ioredis.
 * @throws EnfiladeError `ERR_OPTION` when `source` has no address, has a `keyPrefix`, or an option is wrong.
 * @example
 * ```ts
 * import { App, WebSocketHandler } from "enfilade";
 * import { redis } from "enfilade/redis";
 *
 * class Chat extends WebSocketHandler {
 *   static route = "/chat/:channel";
 *
 *   onJSON(message: unknown) {
 *     this.sendJSONToThisRoom(message);
 *   }
 * }
 *
 * // Run this on several nodes: a message reaches the clients of its room on all of them.
 * const app = new App({ handlers: [Chat], backplane: redis("redis://127.0.0.1:6379") });
 * await app.listen(8000);
 * ```
 */
export function redis(source: string | RedisOptions | OwnClient, options: BackplaneOptions = {}): Backplane {
  checkNames("the second argument of redis()", options, ["prefix", "durable"]);
  const { prefix = "enfilade", durable = false } = options;
  if (typeof prefix !== "string" || prefix === "") {
    throw new EnfiladeError("ERR_OPTION", `prefix takes a string such as "shop", got ${JSON.stringify(prefix)}`);
  }
  if (typeof durable !== "boolean") {
    throw new EnfiladeError("ERR_OPTION", `durable takes a boolean, got ${JSON.stringify(durable)}`);
  }
  return new ClusterBackplane(new RedisEngine({ prefix: `${prefix}:`, durable, connect: connectorOf(source) }));
}

/** Commands fail at once without a connection, and are never sent twice; see `maxRetriesPerRequest` of ioredis. */
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

/**
 * The client follows redirections, since a redirected command did nothing. It does not send again what may have been
 * done. Commands wait for a connection to a server that is being opened, but not longer than one attempt.
 */
const clusterOptions = {
  enableOfflineQueue: true,
  clusterRetryStrategy: retryMs,
  shardedSubscribers: true,
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  slotsRefreshInterval: 1_000,
};

function connectorOf(source: string | RedisOptions | OwnClient): () => RedisPair {
  if (isClient(source)) return connectorOfClient(source);
  if (typeof source === "string") {
    if (!/^rediss?:\/\//.test(source) || !URL.canParse(source)) throw sourceError(source);
    return () => pairOf(() => new Redis(source, connectionOptions));
  }
  if (!hasAddress(source)) throw sourceError(source);
  checkOwnOptions(source);
  checkKeyPrefix(source);
  return () => pairOf(() => new Redis({ ...source, ...connectionOptions }));
}

function connectorOfClient(client: DuplicableClient): () => RedisPair {
  checkKeyPrefix(client.options ?? {});
  if (!client.isCluster) return () => pairOf(() => client.duplicate(connectionOptions));
  return () => {
    const { lazyConnect, ...redisOptions } = connectionOptions;
    const options = { ...clusterOptions, lazyConnect, keyPrefix: "", redisOptions };
    const cluster = client.duplicate([], options);
    return { commands: cluster, subscriber: cluster, database: 0 };
  };
}

/** Whether options contain an address: without one, ioredis would connect to localhost. */
function hasAddress(source: unknown): source is RedisOptions {
  if (typeof source !== "object" || source === null) return false;
  return ["host", "port", "path", "sentinels"].some((name) => name in source && Reflect.get(source, name) != null);
}

/** Options of this library among those of ioredis would be ignored. */
function checkOwnOptions(source: object): void {
  for (const name of ["durable", "prefix"]) {
    if (!(name in source)) continue;
    const advice = `redis(source, { ${name} }), as the second argument`;
    throw new EnfiladeError("ERR_OPTION", `${name} is no option of ioredis; pass ${advice}`);
  }
}

function checkKeyPrefix({ keyPrefix }: Pick<RedisOptions, "keyPrefix"> | DuplicableClient["options"]): void {
  if ((keyPrefix ?? "") === "") return;
  throw new EnfiladeError(
    "ERR_OPTION",
    `redis() takes no keyPrefix, got "${keyPrefix}"; remove it, and pass redis(source, { prefix }) instead`,
  );
}

function pairOf(connect: () => ReturnType<DuplicableClient["duplicate"]>): RedisPair {
  const commands = connect();
  return { commands, subscriber: connect(), database: commands.options.db ?? 0 };
}

function retryMs(attempts: number): number {
  return Math.min(2_000, 50 * 2 ** Math.min(attempts, 10)) * (0.5 + Math.random() / 2);
}

function sourceError(source: unknown): EnfiladeError {
  const expected = 'a URL such as "redis://127.0.0.1:6379", options of ioredis with an address, or a client of ioredis';
  return new EnfiladeError("ERR_OPTION", `redis() takes ${expected}; got ${describeAddress(source)}`);
}
