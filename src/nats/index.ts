import { type ConnectionOptions, connect } from "@nats-io/transport-node";
import type { Backplane } from "../backplane/backplane.js";
import { ClusterBackplane } from "../cluster/clusterBackplane.js";
import { EnfiladeError } from "../errors.js";
import { checkNames, describeAddress } from "../wire/options.js";
import { NatsEngine } from "./engine.js";

/** Options of {@link nats}. */
export interface BackplaneOptions {
  /**
   * The start of every subject and stream name, so that applications can share a server: 1 to 64 of `A–Z a–z 0–9 - _`.
   * Default: `"enfilade"`.
   */
  readonly prefix?: string | undefined;
  /** Where JetStream keeps its data; `"memory"` loses them when the server restarts. Default: `"file"`. */
  readonly storage?: "file" | "memory" | undefined;
  /** The number of servers in a NATS cluster that keep the data of JetStream, from 1 to 5. Default: 1. */
  readonly replicas?: number | undefined;
  /**
   * True if the server keeps every acknowledged publication over a restart, a power failure included: with
   * `sync_interval: always`. A restart then leaves the positions of clients valid. If the promise is broken, losses may
   * stay untold. Default: false.
   */
  readonly durable?: boolean | undefined;
}

/**
 * Creates a backplane over NATS 2.9 or later. It uses JetStream for rooms with history, with one stream per room, and
 * for the ids of requests.
 *
 * Each app needs its own backplane. The backplane opens one connection.
 *
 * @param source A URL, a list of URLs, or options of `@nats-io/transport-node` with `servers` or `port`.
 * @throws EnfiladeError `ERR_OPTION` when `source` has no address, or an option is wrong.
 * @example
 * ```ts
 * import { App, WebSocketHandler } from "enfilade";
 * import { nats } from "enfilade/nats";
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
 * const app = new App({ handlers: [Chat], backplane: nats("nats://127.0.0.1:4222") });
 * await app.listen(8000);
 * ```
 */
export function nats(
  source: string | readonly string[] | ConnectionOptions,
  options: BackplaneOptions = {},
): Backplane {
  checkNames("the second argument of nats()", options, ["prefix", "storage", "replicas", "durable"]);
  const { prefix = "enfilade", storage = "file", replicas = 1, durable = false } = options;
  if (typeof prefix !== "string" || !/^[\w-]{1,64}$/.test(prefix)) {
    throw optionError("prefix", "1 to 64 of A–Z a–z 0–9 - _", prefix);
  }
  if (storage !== "file" && storage !== "memory") throw optionError("storage", '"file" or "memory"', storage);
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 5) throw optionError("replicas", "1 to 5", replicas);
  if (typeof durable !== "boolean") throw optionError("durable", "a boolean", durable);
  const connection = { ...optionsOf(source), reconnect: false, noEcho: false, timeout: connectMs };
  return new ClusterBackplane(
    new NatsEngine({ prefix, storage, replicas, durable, connect: () => connect(connection) }),
  );
}

/** Milliseconds to connect to a server. */
const connectMs = 5_000;

function optionsOf(source: string | readonly string[] | ConnectionOptions): ConnectionOptions {
  const servers: readonly unknown[] = typeof source === "string" ? [source] : Array.isArray(source) ? source : [];
  if (servers.length > 0 && servers.every(isServer)) {
    return { servers: servers.map(String) };
  }
  if (typeof source === "object" && source !== null && !isList(source) && hasAddress(source)) return source;
  const expected =
    'a URL such as "nats://127.0.0.1:4222", a list of them, or options of @nats-io/transport-node with servers or port';
  throw new EnfiladeError("ERR_OPTION", `nats() takes ${expected}; got ${describeAddress(source)}`);
}

/** Whether options contain an address: without one, the client would connect to localhost. */
function hasAddress({ servers, port }: ConnectionOptions): boolean {
  const list: readonly unknown[] = Array.isArray(servers) ? servers : servers === undefined ? [] : [servers];
  return list.length > 0 ? list.every(isServer) : servers === undefined && typeof port === "number";
}

/** `nats://host:port`, `tls://…`, or `host:port`. */
function isServer(server: unknown): boolean {
  if (typeof server !== "string") return false;
  const url = server.includes("://") ? server : `nats://${server}`;
  return /^(nats|tls):\/\/\S+$/.test(url) && URL.canParse(url);
}

/** `Array.isArray` does not narrow readonly lists. */
function isList(value: object): value is readonly unknown[] {
  return Array.isArray(value);
}

function optionError(name: string, expected: string, came: unknown): EnfiladeError {
  return new EnfiladeError("ERR_OPTION", `${name} takes ${expected}; got ${JSON.stringify(came) ?? String(came)}`);
}
