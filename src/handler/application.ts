import type { BackplaneStatus } from "../backplane/backplane.js";
import type { Counts } from "../backplane/counts.js";
import type { MemoryStatus } from "../connection/memory/ledger.js";
import type { Totals } from "../counters.js";
import type { Channel } from "../room/address.js";
import type { Registry } from "../room/registry.js";

/** The result of `app.status()`: the state and the counters of an app. */
export interface Status extends BackplaneStatus, Counts {
  /** `open` until `close()` is called, `closing` until that has finished, then `closed`. */
  readonly state: "open" | "closing" | "closed";
  /** For a readiness check: true while the app is open and not draining, and the backplane can be reached. */
  readonly ready: boolean;
  /** Current connections of this node. */
  readonly connections: number;
  /** Upgrade requests that have no answer yet. */
  readonly handshakes: number;
  /** Open rooms of this node: those with a member or a subscription, or with a user who may return. */
  readonly rooms: number;
  /** Users with a connection to this node. */
  readonly users: number;
  /** The counts of all nodes, as last reported by each; a room or a user on several nodes counts once for each node. */
  readonly cluster: Counts;
  /** The bytes that the app holds for its clients. */
  readonly memory: MemoryStatus;
  /** Totals of this node since the app was created. */
  readonly totals: Totals;
  /** Flushes to the sockets: how many, and the longest time in milliseconds that one blocked the event loop. */
  readonly flush: { readonly count: number; readonly msMax: number };
}

/**
 * The type of `app.context`. It is empty until the application adds its own properties.
 *
 * ```ts
 * declare module "enfilade" {
 *   interface AppContext {
 *     readonly db: Database;
 *   }
 * }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: the application adds the properties
export interface AppContext {}

/** The app as its handlers see it: `this.app`. */
export interface Application {
  /** All connections and rooms of this node; sends to rooms and users by name. */
  readonly registry: Registry;
  /**
   * The object that the application shares with its handlers, such as a database: the option `context`.
   *
   * @throws EnfiladeError `ERR_OPTION` when the app was created without `context`.
   */
  readonly context: AppContext;
  /**
   * All connections that came through the route with this name, to send to them.
   *
   * @throws EnfiladeError `ERR_ROUTE_UNKNOWN` when no route has this name.
   */
  channel(name: string): Channel;
  /**
   * The percent-encoded path of a named route, with these parameters; without scheme and host.
   *
   * @throws EnfiladeError `ERR_ROUTE_UNKNOWN` when no route has this name; also the errors of {@link roomPath}.
   */
  url(name: string, params?: Readonly<Record<string, string | number | undefined>>): string;
  /** The state of the app and its counters, such as for a readiness check or for metrics. */
  status(): Status;
}
