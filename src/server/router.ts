import { addRoute, compareRoutes, createRouter, findRoute } from "rou3";
import type { DeliveryPolicy } from "../connection/policy.js";
import type { ConnectionRequest } from "../connection/request.js";
import { EnfiladeError } from "../errors.js";
import type { ConnectionLimits } from "../handler/limits.js";
import type { Reader } from "../handler/reader.js";
import type { HandlerClass, Origins } from "../handler/route.js";
import type { Authorized } from "../handler/user.js";
import { defaultRoomConfig, type RoomConfig } from "../room/roomConfig.js";
import { encodePath, type RoomPath } from "../wire/path.js";
import { fillPattern, namedParams, readPattern, type Values } from "../wire/pattern.js";
import type { Schema } from "../wire/schema.js";
import type { OriginCheck } from "./access/origin.js";
import type { RouteHttp } from "./http/routeHttp.js";

/**
 * Decides if a client may connect, like the `authorize` of a handler.
 *
 * It returns the user, `anonymous` for a client without one, or a `Response` to refuse; or it throws an `HttpError`.
 */
export type AuthorizeCheck = (request: ConnectionRequest) => Authorized<unknown>;

/** The `authorize` of the app or of a scope. */
export interface OwnedCheck {
  /** The app or the scope, as errors name it. */
  readonly owner: string;
  readonly authorize: AuthorizeCheck;
}

/** One route with its complete configuration, computed at registration. */
export interface Route {
  readonly pattern: string;
  readonly name: string | undefined;
  readonly handlerClass: HandlerClass;
  readonly reader: Reader;
  readonly checks: readonly OwnedCheck[];
  readonly limits: ConnectionLimits;
  readonly allowsOrigin: OriginCheck;
  /** The option that `allowsOrigin` was made from. */
  readonly origins: Origins;
  readonly subprotocols: readonly string[];
  readonly compression: boolean;
  readonly params: Schema | undefined;
  readonly closeOnLastRoomLeft: boolean;
  /** The configuration of the rooms whose path matches. */
  readonly room: RoomConfig;
  readonly replay: number;
  /** The uses of its rooms over plain HTTP; `undefined` if there are none. */
  readonly http: RouteHttp | undefined;
  /** The default policy of messages that its handlers send to their own client. */
  readonly policy: DeliveryPolicy | undefined;
}

/** A route as listed in `app.routes`. */
export interface RouteInfo {
  /** The pattern, including the prefixes of its scopes. */
  readonly pattern: string;
  /** The option `name`; `undefined` if it is not set. */
  readonly name: string | undefined;
  /** The name of the handler class. */
  readonly handler: string;
  /** The method that reads messages; `"onJSON"` for an `EventHandler`. */
  readonly reads: "serve" | "onJSON" | "onMessage";
}

/** The number of routes that a warning lists. */
const describedRoutesMax = 20;

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** A valid path and its route. */
export interface Destination {
  readonly path: RoomPath;
  readonly match: Match;
}

/**
 * Finds the route of a path: the most specific route that matches.
 *
 * Patterns are compared segment by segment: fixed text is more specific than a parameter with a constraint, that more
 * than a parameter without one, and that more than a wildcard. Of equally specific routes the first registered one
 * wins. Two routes that match exactly the same paths are an error.
 */
export class Router {
  readonly #tree = createRouter<Route>();
  readonly #routes: Route[] = [];
  /** False in most apps; then `configOf` need not look up a route. */
  #hasRoomConfig = false;

  get routes(): readonly Route[] {
    return this.#routes;
  }

  /** @throws EnfiladeError `ERR_ROUTE_PATTERN` or `ERR_ROUTE_CONFLICT`. */
  add(route: Route): void {
    for (const other of this.#routes) checkConflict(route, other);
    readPattern(route.pattern, (decoded) => addRoute(this.#tree, "", decoded, route));
    this.#routes.push(route);
    this.#hasRoomConfig ||= route.room !== defaultRoomConfig;
  }

  match(path: RoomPath): Match | undefined {
    const found = findRoute(this.#tree, "", path);
    return found && { route: found.data, params: namedParams(found.params) };
  }

  /** The configuration of a room. Its path need not have a route. */
  configOf(path: RoomPath): RoomConfig {
    return this.#hasRoomConfig ? (this.match(path)?.route.room ?? defaultRoomConfig) : defaultRoomConfig;
  }

  /** Returns true if a route has this name. */
  has(name: string): boolean {
    return this.#routes.some((route) => route.name === name);
  }

  /** Lists the routes, for a warning. */
  describe(): string {
    const named = this.#routes.slice(0, describedRoutesMax).map(({ pattern, handlerClass }) => {
      return `"${pattern}" of ${handlerClass.name || "a handler"}`;
    });
    const more = this.#routes.length - named.length;
    if (named.length === 0) return "the app has no routes";
    return `the routes are ${named.join(", ")}${more > 0 ? `, and ${more} more` : ""}`;
  }

  /** The percent-encoded path of the first route with this name. */
  url(name: string, params: Values): string {
    const route = this.#routes.find((one) => one.name === name);
    if (route === undefined) throw unknownRoute(name, this.#routes);
    return encodePath(fillPattern(route.pattern, params));
  }
}

export function infoOf({ pattern, name, handlerClass, reader }: Route): RouteInfo {
  return { pattern, name, handler: handlerClass.name, reads: reader.method };
}

export function unknownRoute(name: string, routes: readonly Route[]): EnfiladeError {
  const names = [...new Set(routes.flatMap((route) => route.name ?? []))];
  const known = names.length === 0 ? "no route has a name" : `the names are: ${names.join(", ")}`;
  return new EnfiladeError("ERR_ROUTE_UNKNOWN", `no route is named "${name}"; ${known}`);
}

function checkConflict(route: Route, other: Route): void {
  const both = `${describeInError(other)} and ${describeInError(route)}`;
  const compared = readPattern(route.pattern, (own) =>
    readPattern(other.pattern, (others) => compareRoutes(own, others)),
  );
  if (compared === "equal") {
    throw new EnfiladeError("ERR_ROUTE_CONFLICT", `${both} match the same paths; keep one`);
  }
  if (route.name !== undefined && route.name === other.name && route.handlerClass !== other.handlerClass) {
    throw new EnfiladeError("ERR_ROUTE_CONFLICT", `${both} are both named "${route.name}"; rename one`);
  }
}

function describeInError({ pattern, handlerClass }: Route): string {
  return `"${pattern}" (${handlerClass.name || "a handler"})`;
}

/** The class and the pattern of a route, for warnings and errors. */
export function describeRoute({ pattern, handlerClass }: Route): string {
  return `${handlerClass.name || "a handler"} ("${pattern}")`;
}
