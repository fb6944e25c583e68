import type { Backplane, BackplaneOutage } from "../backplane/backplane.js";
import type { Clock } from "../connection/clock.js";
import { checkedPolicy } from "../connection/policy.js";
import type { FrameReceiver } from "../connection/transport.js";
import { EnfiladeError } from "../errors.js";
import type { AppContext } from "../handler/application.js";
import type { HandlerClass, RouteOptions, SharedOptions } from "../handler/route.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import { checkNames } from "../wire/options.js";
import type { TrustProxy } from "./access/proxies.js";
import type { UserOverflow } from "./access/userLimit.js";
import type { CreateHandler } from "./creation.js";
import type { Limits } from "./limits.js";
import type { AuthorizeCheck } from "./router.js";
import { isSubprotocol } from "./websocket/subprotocols.js";

/**
 * Receives the log lines of an app: an object with the methods `warn` and `error`, such as `console` or a pino logger.
 *
 * ```ts
 * const app = new App({ logger: { warn: (text) => log(text), error: (text, error) => log(text, error) } });
 * ```
 */
export interface Logger {
  /** Receives warnings, such as an upgrade to a path without a route. Each begins with `enfilade: `. */
  warn(message: string): void;
  /** Receives errors, when `app.on("error")` has no listener. */
  error(message: string, error: unknown): void;
}

/** Options of a scope. They apply to every route in it. */
export interface ScopeOptions extends SharedOptions {
  /**
   * Called for each client before the `authorize` of the handlers in this scope, outer scopes first. It refuses like
   * the `authorize` of a handler: by `throw new HttpError(401)` or by returning a `Response`. The user that it returns
   * becomes `this.user`, unless an inner scope or the handler returns another one.
   */
  readonly authorize?: AuthorizeCheck | undefined;
}

/** Options of `new App(options)`. */
export interface AppOptions extends Omit<SharedOptions, "limits"> {
  /** Handler classes that declare their own routes, with `@Route` or `static route`. Default: none. */
  readonly handlers?: readonly HandlerClass[] | undefined;
  /**
   * Limits of the app and of each connection, such as `{ connectionsMax: 1_000 }`; see docs/limits.md. Default:
   * {@link defaultLimits}.
   */
  readonly limits?: Partial<Limits> | undefined;
  /**
   * Makes the handler of each connection, for dependency injection: `create: (Class) => container.make(Class)`. It must
   * return a new instance of the class, not a promise. Default: `new Class()`.
   */
  readonly create?: CreateHandler | undefined;
  /** An object that handlers read as `this.app.context`, such as `{ db }`. Its type is {@link AppContext}. */
  readonly context?: AppContext | undefined;
  /** Called for each client of every route, before scopes and handlers; see {@link ScopeOptions.authorize}. */
  readonly authorize?: AuthorizeCheck | undefined;
  /** Carries publications between nodes: `redis(url)` or `nats(url)`. Default: a single node, in memory. */
  readonly backplane?: Backplane | undefined;
  /**
   * How publications without history are handled while the backplane cannot be reached. `"reject"`: `publish` rejects
   * with `ERR_BACKPLANE`, and the `send` methods report one error for each outage. `"local"`: they are delivered on
   * this node only. Default: `"reject"`.
   */
  readonly backplaneOutage?: BackplaneOutage | undefined;
  /**
   * Which proxies are trusted to name the client's address, protocol and host, in `Forwarded` (RFC 7239) or the
   * `X-Forwarded-` fields: the number of proxies in front of the app, or their addresses and networks, such as
   * `["10.0.0.0/8", "::1"]`. Default: `false`, none; see docs/deployment.md.
   */
  readonly trustProxy?: TrustProxy | undefined;
  /**
   * A connection past `connectionsPerUserMax`: `"refuse"` refuses it, `"closeOldest"` closes the user's oldest
   * connection to this node with 4009. Default: `"refuse"`.
   */
  readonly userOverflow?: UserOverflow | undefined;
  /**
   * What reads the frames of WebSockets: `"direct"`, this library, which is faster and takes less memory; or `"ws"`,
   * the library ws, which always reads those of clients with compression. Both accept and refuse the same. Default:
   * `"direct"`.
   */
  readonly receiver?: FrameReceiver | undefined;
  /** Receives warnings, and errors without a listener of `app.on("error")`. Default: `console`. */
  readonly logger?: Logger | undefined;
  /** The source of time, for tests: `new ManualClock()` of `enfilade/testing`. Default: the system's time. */
  readonly clock?: Clock | undefined;
  /**
   * Returns a number of at least 0 and less than 1, to spread the work of many nodes over time. Default: `Math.random`.
   */
  readonly random?: (() => number) | undefined;
}

const sharedNames = ["limits", "origins", "subprotocols", "compression", "badMessage", "eventProtocol", "policy"];
const roomNames = ["history", "replay", "presence"];
const optionNames = {
  "the app": [
    ...sharedNames,
    "handlers",
    "authorize",
    "create",
    "context",
    "backplane",
    "backplaneOutage",
    "trustProxy",
    "userOverflow",
    "receiver",
    "logger",
    "clock",
    "random",
  ],
  "a scope": [...sharedNames, "authorize"],
  "a route": [...sharedNames, "name", "params", "closeOnLastRoomLeft", "eventPolicies", "http", ...roomNames],
};

/**
 * Checks options early: without it a mistake would show only later, or never.
 *
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown, or its value is invalid.
 */
export function checkOptions(
  where: keyof typeof optionNames,
  options: SharedOptions & Pick<RouteOptions, "eventPolicies">,
): void {
  checkNames(where, options, optionNames[where]);
  const { badMessage = "error", compression = false, subprotocols = [], eventProtocol } = options;
  for (const policy of [options.policy, ...Object.values(options.eventPolicies ?? {})]) checkedPolicy(policy);
  if (eventProtocol !== undefined) checkProtocol(eventProtocol);
  if (badMessage !== "error" && badMessage !== "close") {
    throw new EnfiladeError("ERR_OPTION", `badMessage takes "error" or "close", got ${JSON.stringify(badMessage)}`);
  }
  if (typeof compression !== "boolean") {
    throw new EnfiladeError("ERR_OPTION", `compression takes a boolean, got ${typeof compression}`);
  }
  if (!Array.isArray(subprotocols) || !subprotocols.every((name) => typeof name === "string" && isSubprotocol(name))) {
    throw new EnfiladeError("ERR_OPTION", `subprotocols takes a list of names, got ${JSON.stringify(subprotocols)}`);
  }
}

/** @throws EnfiladeError `ERR_OPTION` when the context is not an object. */
function checkContext(context: AppContext | undefined): void {
  if (context === undefined || (typeof context === "object" && context !== null)) return;
  throw new EnfiladeError("ERR_OPTION", `context takes an object, got ${context === null ? "null" : typeof context}`);
}

/**
 * As {@link checkOptions}, for the options of an app; the limits are checked when they are merged.
 *
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown, or its value is invalid.
 */
export function checkAppOptions(options: AppOptions): void {
  if (typeof options !== "object" || options === null) {
    const came = options === null ? "null" : `a ${typeof options}`;
    throw new EnfiladeError("ERR_OPTION", `new App() takes options, such as { handlers: [Chat] }, got ${came}`);
  }
  const { limits: _limits, ...shared } = options;
  checkOptions("the app", shared);
  const { backplane, backplaneOutage = "reject", context, handlers = [], userOverflow = "refuse" } = options;
  const { receiver = "direct" } = options;
  checkContext(context);
  if (userOverflow !== "refuse" && userOverflow !== "closeOldest") {
    const came = JSON.stringify(userOverflow);
    throw new EnfiladeError("ERR_OPTION", `userOverflow takes "refuse" or "closeOldest", got ${came}`);
  }
  if (receiver !== "direct" && receiver !== "ws") {
    const came = JSON.stringify(receiver) ?? typeof receiver;
    throw new EnfiladeError("ERR_OPTION", `receiver takes "direct" or "ws", got ${came}`);
  }
  if (!Array.isArray(handlers)) {
    throw new EnfiladeError("ERR_OPTION", "handlers takes a list of classes, such as [Chat]");
  }
  if (backplaneOutage !== "reject" && backplaneOutage !== "local") {
    const came = JSON.stringify(backplaneOutage);
    throw new EnfiladeError("ERR_OPTION", `backplaneOutage takes "reject" or "local", got ${came}`);
  }
  if (backplane === undefined || typeof backplane?.start === "function") return;
  const came = typeof backplane;
  throw new EnfiladeError(
    "ERR_OPTION",
    `backplane takes redis(url or client), nats(url) or another Backplane, got ${came}`,
  );
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
