import type { DeliveryPolicy } from "../connection/policy.js";
import type { PresenceMode } from "../room/roomConfig.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import type { Schema } from "../wire/schema.js";
import type { WebSocketHandler } from "./handler.js";
import type { ConnectionLimits } from "./limits.js";
import type { BadMessage } from "./reader.js";

/** Which pages may connect: `"same-host"`, `"*"`, a list of origins such as `https://example.com`, or a decision. */
export type Origins = "same-host" | "*" | readonly string[] | ((origin: string) => boolean);

/** What an app, a scope and a route may set; the innermost counts. */
export interface SharedOptions {
  /** Limits of each connection; see the table in the README. */
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /** Which pages may connect. A request without an `Origin` is not from a browser, and passes. Default: `"same-host"`. */
  readonly origins?: Origins | undefined;
  /** Subprotocols that are spoken here, the preferred first; of those a client offers, the first known is agreed on. */
  readonly subprotocols?: readonly string[] | undefined;
  /** Whether permessage-deflate (RFC 7692) is agreed on with clients that offer it. Default: `false`. */
  readonly compression?: boolean | undefined;
  /** What to do with a text that is not JSON where JSON is read. Default: `"call"`. */
  readonly badMessage?: BadMessage | undefined;
  /** How the events of an `EventHandler` look on the wire. Default: `jsonEvents`. */
  readonly eventProtocol?: EventProtocol | undefined;
  /** What becomes of what handlers send to a client that lags, where a call does not say. Default: `reliable`. */
  readonly policy?: DeliveryPolicy | undefined;
}

/** How much is kept of the rooms of a route. */
export interface HistoryOptions {
  /** Publications of each room. */
  readonly size: number;
  /** How old they get, in seconds. Default: 3,600. */
  readonly seconds?: number | undefined;
  /** Bytes of each room, as accounted for: twice the message and 260. Default: 1 MiB. */
  readonly bytesMax?: number | undefined;
}

/** How presence is kept in the rooms of a route. */
export interface PresenceOptions {
  /** Which users there are, only how many, or nothing. */
  readonly mode: PresenceMode;
  /** Milliseconds that a user who left still counts as present, in case of a return. 0: none. Default: 5,000. */
  readonly leaveGraceMs?: number | undefined;
  /** What others see of a user in addition to the id: `(user: Person) => ({ name: user.name })`. Default: nothing. */
  // As a method, so that a function may name the type of its user.
  show?(user: unknown): unknown;
}

/** Options of one route. */
export interface RouteOptions<Params extends object = object> extends SharedOptions {
  /** For `app.channel(name)` and `app.url(name, params)`. Several patterns of one class may share it. */
  readonly name?: string | undefined;
  /** A schema for the parameters; what it returns is `this.params`, and what does not fit is a 400. */
  readonly params?: Schema<Params> | undefined;
  /** Whether a connection that leaves its last room is closed. Default: `false`. */
  readonly closeOnLastRoomLeft?: boolean | undefined;
  /** Keeps what is published to the rooms of this route; `room.history()` reads it. Default: nothing is kept. */
  readonly history?: HistoryOptions | undefined;
  /** How many of the last publications of its home a new connection gets first; needs `history`. Default: 0. */
  readonly replay?: number | undefined;
  /** Whether presence is kept in the rooms of this route: which users there are, or only how many. Default: `"off"`. */
  readonly presence?: PresenceMode | PresenceOptions | undefined;
  /** Policies of the events that an `EventHandler` sends, by their names. Default: that of the route. */
  readonly eventPolicies?: Readonly<Record<string, DeliveryPolicy>> | undefined;
}

/** A route that a class declares for itself. */
export interface RouteDeclaration extends RouteOptions {
  readonly pattern: string;
}

/** A handler class whose parameters are `Params`. One whose constructor takes something needs `new App({ create })`. */
export type HandlerClass<Params extends object = object> = new (...args: never[]) => WebSocketHandler<Params>;
