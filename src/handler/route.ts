import type { DeliveryPolicy } from "../connection/policy.js";
import type { PresenceMode } from "../room/roomConfig.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import type { Schema } from "../wire/schema.js";
import type { WebSocketHandler } from "./handler.js";
import type { ConnectionLimits } from "./limits.js";
import type { BadMessage } from "./reader.js";

/**
 * Which pages may connect: `"same-host"` (those whose host is that of the request), `"*"` (all), origins such as
 * `["https://example.com"]`, or a function that returns `true` for an allowed origin.
 */
export type Origins = "same-host" | "*" | readonly string[] | ((origin: string) => boolean);

/** Options of an app, a scope and a route. A route overrides its scopes, and a scope overrides the app. */
export interface SharedOptions {
  /**
   * Limits of each connection, such as `{ messageBytesMax: 1_024 }`; see docs/limits.md. Default: those of the scope or
   * app around it.
   */
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /** Which pages may connect. A request without `Origin` is not from a page, and may. Default: `"same-host"`. */
  readonly origins?: Origins | undefined;
  /** Subprotocols of the app, the preferred one first; the first one a client offers is used. Default: none. */
  readonly subprotocols?: readonly string[] | undefined;
  /** Whether messages are compressed with permessage-deflate (RFC 7692) for clients that offer it. Default: `false`. */
  readonly compression?: boolean | undefined;
  /**
   * For a text message that is not JSON, where JSON is expected: `"error"` passes an error to the method, `"close"`
   * closes the connection with 1007. Default: `"error"`.
   */
  readonly badMessage?: BadMessage | undefined;
  /** The format of events: `jsonEvents`, `commandEvents`, `spacedEvents` or your own. Default: `jsonEvents`. */
  readonly eventProtocol?: EventProtocol | undefined;
  /** The policy for messages to a client that lags, unless the call names one. Default: `reliable`. */
  readonly policy?: DeliveryPolicy | undefined;
}

/** How much history each room of a route keeps: the option `history`. */
export interface HistoryOptions {
  /** The maximum number of publications in the history of a room; a positive whole number. */
  readonly size: number;
  /** Seconds that the history keeps a publication. Default: 3,600. */
  readonly seconds?: number | undefined;
  /** The maximum bytes of a room's history; a publication counts twice its bytes plus 260. Default: 1 MiB. */
  readonly bytesMax?: number | undefined;
}

/** The presence of the rooms of a route: the option `presence`. */
export interface PresenceOptions {
  /** `"full"`: which users are in a room. `"count"`: only how many. `"off"`: nothing. */
  readonly mode: PresenceMode;
  /**
   * Milliseconds for which a user who left stays present, so that a reload is not a leave; 0: none. Default: 5,000.
   */
  readonly leaveGraceMs?: number | undefined;
  /**
   * Returns the part of a user that others see, in addition to the id: `(user: Person) => ({ name: user.name })`. It is
   * called with `undefined` for an anonymous client, and must not return a promise. Default: others see only the id.
   */
  // Declared as a method, so that a function may name the type of its user.
  show?(user: unknown): unknown;
}

/** The uses of a room over plain HTTP: the option `http`. */
export interface HttpOptions {
  /** `GET` as an event stream, which is a connection like a WebSocket. Default: `false`. */
  readonly events?: boolean | undefined;
  /** `GET` as JSON: the history and the presence of the room. Default: `false`. */
  readonly history?: boolean | undefined;
  /** `POST`: one message to the handler. Default: `false`. */
  readonly publish?: boolean | undefined;
}

/** Options of one route, for `@Route` and `app.route()`. */
export interface RouteOptions<Params extends object = object> extends SharedOptions {
  /** The name for `app.channel(name)` and `app.url(name, params)`. Several patterns of one class may share it. */
  readonly name?: string | undefined;
  /**
   * A schema for the parameters: its output is `this.params`; a request that it rejects gets a 400. Default: they are
   * strings.
   */
  readonly params?: Schema<Params> | undefined;
  /**
   * Whether to close a connection with 1000 when it has left its last room: by `leave()`, `leaveAll()` or
   * `room.evict()`, whose reason becomes the close reason. Otherwise it stays open without a room. It
   * can still join rooms and receive messages. Default: `false`.
   */
  readonly closeOnLastRoomLeft?: boolean | undefined;
  /** Keeps the last publications of each room of this route; `room.history()` reads them. Default: no history. */
  readonly history?: HistoryOptions | undefined;
  /**
   * How many of the last publications a new connection gets first; needs `history`, and is at most its `size`. Default:
   * 0.
   */
  readonly replay?: number | undefined;
  /** Whether the rooms of this route have presence: which users are in a room, or only how many. Default: `"off"`. */
  readonly presence?: PresenceMode | PresenceOptions | undefined;
  /**
   * Whether the rooms of this route can be used over plain HTTP: read as an event stream, read as JSON, and sent to
   * with POST; see docs/http.md. Default: `false`.
   */
  readonly http?: boolean | HttpOptions | undefined;
  /** Policies for the events of an `EventHandler`, by event name. Default for each event: the route's `policy`. */
  readonly eventPolicies?: Readonly<Record<string, DeliveryPolicy>> | undefined;
}

/** A route as a class declares it: `static route = { pattern: "/chat/:channel", history: { size: 100 } }`. */
export interface RouteDeclaration extends RouteOptions {
  /** The pattern of the path, such as `/chat/:channel`. */
  readonly pattern: string;
}

/** The methods of a class with a contract fit it. Other classes have no such member. */
interface FittingContract {
  readonly "~contract"?: { readonly mismatches: never };
}

/**
 * A handler class with these parameters, and with the methods of its contract if it has one. A class whose constructor
 * has arguments needs `new App({ create })`.
 */
export type HandlerClass<Params extends object = object> = new (
  ...args: never[]
) => WebSocketHandler<Params> & FittingContract;
