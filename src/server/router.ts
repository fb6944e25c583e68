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

/** Decides whether a client may connect, as a handler's `authorize` does. */
export type AuthorizeCheck = (request: ConnectionRequest) => Authorized<unknown>;

/** What the app or a scope demands before the handler does. */
export interface OwnedCheck {
  /** As errors name it. */
  readonly owner: string;
  readonly authorize: AuthorizeCheck;
}

/** One pattern and all that holds for it, as it was settled at registration. */
export interface Route {
  readonly pattern: string;
  readonly name: string | undefined;
  readonly handlerClass: HandlerClass;
  readonly reader: Reader;
  readonly checks: readonly OwnedCheck[];
  readonly limits: ConnectionLimits;
  readonly allowsOrigin: OriginCheck;
  /** What that check was made of. */
  readonly origins: Origins;
  readonly subprotocols: readonly string[];
  readonly compression: boolean;
  readonly params: Schema | undefined;
  readonly closeOnLastRoomLeft: boolean;
  /** What holds for the rooms whose paths fit. */
  readonly room: RoomConfig;
  readonly replay: number;
  /** Of what its handlers send to their own client. */
  readonly policy: DeliveryPolicy | undefined;
}

/** A route as `app.routes` tells of it. */
export interface RouteInfo {
  readonly pattern: string;
  readonly name: string | undefined;
  readonly handler: string;
  readonly reads: "serve" | "onJSON" | "onMessage";
}

/** How many routes a warning lists. */
const describedMax = 20;

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Which route a path belongs to: the most specific one that matches.
 *
 * Segment by segment, fixed text comes before a parameter with a constraint, that before one without, and that before a
 * wildcard. Among routes that are equal in this the first registered one wins; two that match exactly the same paths
 * are refused.
 */
export class Router {
  readonly #tree = createRouter<Route>();
  readonly #routes: Route[] = [];
  /** Most apps keep nothing of any room, and then no path is looked up for it. */
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

  /** What holds for the room of a path, which need not have a route. */
  configOf(path: RoomPath): RoomConfig {
    return this.#hasRoomConfig ? (this.match(path)?.route.room ?? defaultRoomConfig) : defaultRoomConfig;
  }

  /** Whether a route bears this name. */
  has(name: string): boolean {
    return this.#routes.some((route) => route.name === name);
  }

  /** The routes as a warning lists them. */
  describe(): string {
    const named = this.#routes.slice(0, describedMax).map(({ pattern, handlerClass }) => {
      return `"${pattern}" of ${handlerClass.name || "a handler"}`;
    });
    const more = this.#routes.length - named.length;
    if (named.length === 0) return "the app has no routes";
    return `the routes are ${named.join(", ")}${more > 0 ? `, and ${more} more` : ""}`;
  }

  /** The percent-encoded path of the first route of this name. */
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
  const both = `${describe(other)} and ${describe(route)}`;
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

function describe({ pattern, handlerClass }: Route): string {
  return `"${pattern}" (${handlerClass.name || "a handler"})`;
}

/** A route as warnings and reports name it. */
export function describeRoute({ pattern, handlerClass }: Route): string {
  return `${handlerClass.name || "a handler"} ("${pattern}")`;
}
