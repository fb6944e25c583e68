import type { Backplane, BackplaneOutage } from "../backplane/backplane.js";
import type { Clock } from "../connection/clock.js";
import { checkedPolicy } from "../connection/policy.js";
import { EnfiladeError } from "../errors.js";
import type { AppContext } from "../handler/application.js";
import type { HandlerClass, RouteOptions, SharedOptions } from "../handler/route.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import { checkNames } from "../wire/options.js";
import type { CreateHandler } from "./creation.js";
import type { Limits } from "./limits.js";
import type { AuthorizeCheck } from "./router.js";

/** Where the app writes warnings, and errors that no listener takes; `console` is one. */
export interface Logger {
  warn(message: string): void;
  error(message: string, error: unknown): void;
}

/** Options of a scope: what they say holds for every route in it. */
export interface ScopeOptions extends SharedOptions {
  /**
   * Demanded before what the handlers of the scope demand, outer scopes first; refuses as a handler's `authorize` does.
   * The user that it returns is `this.user` unless the handler's own `authorize` returns one.
   */
  readonly authorize?: AuthorizeCheck | undefined;
}

export interface AppOptions extends Omit<SharedOptions, "limits"> {
  /** Handler classes that declare their routes, by `@Route` or `static route`. */
  readonly handlers?: readonly HandlerClass[] | undefined;
  /** Limits of the app and of each connection; see the table in the README. */
  readonly limits?: Partial<Limits> | undefined;
  /**
   * Makes the handler of each connection, for dependency injection: `create: (Class) => container.make(Class)`. It returns a new
   * instance of the class, and no promise. Default: `new Class()`.
   */
  readonly create?: CreateHandler | undefined;
  /** What handlers read as `this.app.context`, such as a database; typed by {@link AppContext}. */
  readonly context?: AppContext | undefined;
  /** Asked about every client of every route, before scopes and handlers; see {@link ScopeOptions.authorize}. */
  readonly authorize?: AuthorizeCheck | undefined;
  /** Carries publications between nodes, such as `redis(url)` or `nats(url)`. Default: this node alone. */
  readonly backplane?: Backplane | undefined;
  /**
   * What happens to publications to rooms without history, users, channels and all while the backplane cannot be reached:
   * rejected (`publish` rejects with `ERR_BACKPLANE`, `send` reports once), or delivered on this node alone. Default: `"reject"`.
   */
  readonly backplaneOutage?: BackplaneOutage | undefined;
  /** Default: `console`. */
  readonly logger?: Logger | undefined;
  /** Default: the system's time. */
  readonly clock?: Clock | undefined;
  /** From 0 to 1; spreads over time what many nodes do. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

const shared = ["limits", "origins", "subprotocols", "compression", "badMessage", "eventProtocol", "policy"];
const ofRooms = ["history", "replay", "presence"];
const known = {
  "the app": [
    ...shared,
    "handlers",
    "authorize",
    "create",
    "context",
    "backplane",
    "backplaneOutage",
    "logger",
    "clock",
    "random",
  ],
  "a scope": [...shared, "authorize"],
  "a route": [...shared, "name", "params", "closeOnLastRoomLeft", "eventPolicies", ...ofRooms],
};

/** RFC 6455 4.1: a subprotocol is a token of RFC 9110 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~\w]+$/;

/**
 * Checks options whose mistakes would otherwise show only later, or never.
 *
 * @throws EnfiladeError `ERR_OPTION` when a name is unknown here, or a value not of its kind.
 */
export function checkOptions(
  where: keyof typeof known,
  options: SharedOptions & Pick<RouteOptions, "eventPolicies">,
): void {
  checkNames(where, options, known[where]);
  const { badMessage = "error", compression = false, subprotocols = [], eventProtocol } = options;
  for (const policy of [options.policy, ...Object.values(options.eventPolicies ?? {})]) checkedPolicy(policy);
  if (eventProtocol !== undefined) checkProtocol(eventProtocol);
  if (badMessage !== "error" && badMessage !== "close") {
    throw new EnfiladeError("ERR_OPTION", `badMessage takes "error" or "close", got ${JSON.stringify(badMessage)}`);
  }
  if (typeof compression !== "boolean") {
    throw new EnfiladeError("ERR_OPTION", `compression takes a boolean, got ${typeof compression}`);
  }
  if (!Array.isArray(subprotocols) || !subprotocols.every((name) => typeof name === "string" && token.test(name))) {
    throw new EnfiladeError("ERR_OPTION", `subprotocols takes a list of names, got ${JSON.stringify(subprotocols)}`);
  }
}

/** @throws EnfiladeError `ERR_OPTION` when the context is no object. */
function checkContext(context: AppContext | undefined): void {
  if (context === undefined || (typeof context === "object" && context !== null)) return;
  throw new EnfiladeError("ERR_OPTION", `context takes an object, got ${context === null ? "null" : typeof context}`);
}

/** @throws EnfiladeError `ERR_OPTION`. */
export function checkAppOptions({ backplane, backplaneOutage = "reject", context, handlers = [] }: AppOptions): void {
  checkContext(context);
  if (!Array.isArray(handlers)) {
    throw new EnfiladeError("ERR_OPTION", "handlers takes a list of classes, such as [Chat]");
  }
  if (backplaneOutage !== "reject" && backplaneOutage !== "local") {
    const came = JSON.stringify(backplaneOutage);
    throw new EnfiladeError("ERR_OPTION", `backplaneOutage takes "reject" or "local", got ${came}`);
  }
  if (backplane === undefined || typeof backplane?.start === "function") return;
  throw new EnfiladeError("ERR_OPTION", `backplane takes what redis() or nats() returns, got ${typeof backplane}`);
}

function checkProtocol(protocol: EventProtocol): void {
  const { format, decode, encode } = protocol ?? {};
  const isFormat = ["json", "text", "binary"].includes(format);
  if (isFormat && typeof decode === "function" && typeof encode === "function") return;
  throw new EnfiladeError(
    "ERR_OPTION",
    "eventProtocol takes { example, format, decode, encode }, such as commandEvents",
  );
}
