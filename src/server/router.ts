import { addRoute, compareRoutes, createRouter, findRoute } from "rou3";
import type { ConnectionLimits } from "../connection/limits.js";
import type { ConnectionRequest } from "../connection/request.js";
import { asError, EnfiladeError } from "../errors.js";
import type { BadMessage, Reader } from "../handler/reader.js";
import type { HandlerClass } from "../handler/route.js";
import { encodePath, type RoomPath } from "../wire/path.js";
import { decodeParam, fillPattern, lookupPath } from "../wire/pattern.js";
import type { Schema } from "../wire/schema.js";
import type { OriginCheck } from "./origin.js";

/** What a scope demands before the handler does. */
export type Gate = (request: ConnectionRequest) => unknown;

/** One pattern and all that holds for it, as it was settled at registration. */
export interface Route {
  readonly pattern: string;
  readonly name: string | undefined;
  readonly handlerClass: HandlerClass;
  readonly reader: Reader;
  readonly gates: readonly Gate[];
  readonly limits: ConnectionLimits;
  readonly allowsOrigin: OriginCheck;
  readonly subprotocols: readonly string[];
  readonly compression: boolean;
  readonly badMessage: BadMessage;
  readonly params: Schema | undefined;
  readonly closeOnLastRoomLeft: boolean;
}

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

  get routes(): readonly Route[] {
    return this.#routes;
  }

  /** @throws EnfiladeError `ERR_ROUTE_PATTERN` or `ERR_ROUTE_CONFLICT`. */
  add(route: Route): void {
    checkPattern(route.pattern);
    for (const other of this.#routes) checkConflict(route, other);
    readable(route.pattern, () => addRoute(this.#tree, "", route.pattern, route));
    this.#routes.push(route);
  }

  match(path: RoomPath): Match | undefined {
    const found = findRoute(this.#tree, "", lookupPath(path));
    return found && { route: found.data, params: decodeParams(found.params) };
  }

  /** Whether a route bears this name. */
  has(name: string): boolean {
    return this.#routes.some((route) => route.name === name);
  }

  /** The percent-encoded path of the first route of this name. */
  url(name: string, params: Readonly<Record<string, string | number | undefined>>): string {
    const route = this.#routes.find((one) => one.name === name);
    if (route === undefined) throw unknownRoute(name, this.#routes);
    return encodePath(fillPattern(route.pattern, params));
  }
}

export function unknownRoute(name: string, routes: readonly Route[]): EnfiladeError {
  const names = [...new Set(routes.flatMap((route) => route.name ?? []))];
  const known = names.length === 0 ? "no route has a name" : `the names are: ${names.join(", ")}`;
  return new EnfiladeError("ERR_ROUTE_UNKNOWN", `no route is named "${name}"; ${known}`);
}

function checkPattern(pattern: string): void {
  const refuse = (why: string) =>
    new EnfiladeError("ERR_ROUTE_PATTERN", `the pattern ${JSON.stringify(pattern)} ${why}`);
  if (typeof pattern !== "string" || !pattern.startsWith("/")) throw refuse('does not begin with "/"');
  const literal = pattern.replace(/\((?:[^()]|\([^()]*\))*\)/g, "");
  if (literal.includes("%")) throw refuse("is percent-encoded: write the text itself");
  if (/(^|\/)\.{1,2}(\/|$)/.test(literal)) throw refuse('has a "." or ".." segment, which no room path has');
  if (/:_(?!\w)/.test(literal)) throw refuse('has a parameter named "_", a name that is taken');
  if (literal.includes("//")) throw refuse("has an empty segment, which no room path has");
}

function checkConflict(route: Route, other: Route): void {
  const both = `${describe(other)} and ${describe(route)}`;
  if (readable(route.pattern, () => compareRoutes(route.pattern, other.pattern)) === "equal") {
    throw new EnfiladeError("ERR_ROUTE_CONFLICT", `${both} match the same paths; keep one`);
  }
  if (route.name !== undefined && route.name === other.name && route.handlerClass !== other.handlerClass) {
    throw new EnfiladeError("ERR_ROUTE_CONFLICT", `${both} are both named "${route.name}"; rename one`);
  }
}

/** What the router throws says what is wrong with the syntax. */
function readable<T>(pattern: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const { message } = asError(cause);
    throw new EnfiladeError("ERR_ROUTE_PATTERN", `the pattern "${pattern}" cannot be read: ${message}`, { cause });
  }
}

function describe({ pattern, handlerClass }: Route): string {
  return `"${pattern}" (${handlerClass.name || "a handler"})`;
}

function decodeParams(params: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const decoded: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(params)) {
    // A bare wildcard stands twice in what rou3 returns: under its number, and under an old name.
    if (name !== "_") decoded[name] = decodeParam(value);
  }
  return decoded;
}
