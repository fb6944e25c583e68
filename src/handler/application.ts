import type { BackplaneStatus } from "../backplane/backplane.js";
import type { Counts } from "../backplane/counts.js";
import type { Totals } from "../metrics.js";
import type { Channel } from "../room/address.js";
import type { Registry } from "../room/registry.js";

/** What an app tells about itself. */
export interface Status extends BackplaneStatus, Counts {
  /** `open` until `close()` is called. */
  readonly state: "open" | "closing" | "closed";
  /** Whether new clients may be led here: open, not draining, and the backplane in reach. For a readiness check. */
  readonly ready: boolean;
  /** Connections of this node now. */
  readonly connections: number;
  /** Upgrade requests that are being answered now. */
  readonly handshakes: number;
  /** Rooms of this node in which somebody is, or listens. */
  readonly rooms: number;
  /** Users who are connected to this node. */
  readonly users: number;
  /** The same of all nodes, as these told last; what is on several counts once for each. */
  readonly cluster: Counts;
  /** Counted since the app was made. */
  readonly totals: Totals;
  /** How what was sent went out: how often, and the milliseconds that the longest time held the loop. */
  readonly flush: { readonly count: number; readonly msMax: number };
}

/**
 * What `app.context` has; empty until an application declares it.
 *
 * ```ts
 * declare module "enfilade" {
 *   interface AppContext {
 *     readonly db: Database;
 *   }
 * }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: the application fills it
export interface AppContext {}

/** The app, as its handlers see it. */
export interface Application {
  readonly registry: Registry;
  /**
   * What the application shares with its handlers, such as a database: the option `context`.
   *
   * @throws EnfiladeError `ERR_OPTION` when the app was given none.
   */
  readonly context: AppContext;
  /**
   * Everyone who connected through the route of this name.
   *
   * @throws EnfiladeError `ERR_ROUTE_UNKNOWN` when no route bears it.
   */
  channel(name: string): Channel;
  /**
   * The path of a named route, percent-encoded.
   *
   * @throws EnfiladeError `ERR_ROUTE_UNKNOWN`, or what `roomPath` throws.
   */
  url(name: string, params?: Readonly<Record<string, string | number | undefined>>): string;
  status(): Status;
}
