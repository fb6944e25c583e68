import type { DeliveryPolicy } from "../connection/policy.js";
import { EnfiladeError } from "../errors.js";
import { declaredRoutes, decoratedEvents, type Fitting } from "../handler/decorators.js";
import { eventReaderOf } from "../handler/eventReader.js";
import { EventHandler } from "../handler/events.js";
import { type AnyHandler, WebSocketHandler } from "../handler/handler.js";
import type { ConnectionLimits } from "../handler/limits.js";
import { type BadMessage, type Reader, readerOf } from "../handler/reader.js";
import type { HandlerClass, Origins, RouteOptions, SharedOptions } from "../handler/route.js";
import { jsonEvents } from "../wire/events/jsonEvents.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import { checkSchema } from "../wire/schema.js";
import { originCheck } from "./access/origin.js";
import { routeHttp } from "./http/routeHttp.js";
import { connectionLimitsOf, type Limits, mergeLimits } from "./limits.js";
import { type AppOptions, checkOptions, type ScopeOptions } from "./options.js";
import { checkRoomOptions, roomConfigOf } from "./roomConfig.js";
import type { AuthorizeCheck, OwnedCheck, Route } from "./router.js";

/** The configuration of a scope, with all defaults filled in. */
export interface ScopeConfig {
  readonly prefix: string;
  readonly checks: readonly OwnedCheck[];
  readonly limits: ConnectionLimits;
  readonly origins: Origins;
  readonly subprotocols: readonly string[];
  readonly compression: boolean;
  readonly badMessage: BadMessage;
  readonly eventProtocol: EventProtocol;
  readonly policy: DeliveryPolicy | undefined;
}

/** Routes with a common prefix and common options. The app is the outermost scope. */
export class Scope<Prefix extends string = ""> {
  readonly #config: ScopeConfig;
  readonly #register: (route: Route) => void;

  constructor(config: ScopeConfig, register: (route: Route) => void) {
    this.#config = config;
    this.#register = register;
  }

  /**
   * Registers `handlerClass` for every path that matches `pattern`, below the prefix of this scope.
   *
   * `this.params` has the parameters of the pattern and of the prefix.
   *
   * ```ts
   * app.route("/chat/:channel", Chat, { history: { size: 100 } });
   * ```
   *
   * @throws EnfiladeError `ERR_ROUTE_PATTERN` when the pattern is invalid; `ERR_ROUTE_CONFLICT` when another route
   * matches the same paths; `ERR_NO_READER` when the class has no method that reads; `ERR_EVENTS` when its events are
   * invalid; `ERR_NO_ROUTE` when `handlerClass` is not a handler class; `ERR_OPTION` when an option is invalid.
   */
  route<const Pattern extends string, Declared extends object, Parsed extends object = object>(
    pattern: Pattern,
    handlerClass: HandlerClass<Declared> & NoInfer<Fitting<`${Prefix}${Pattern}`, Declared, Parsed>>,
    options: RouteOptions<Parsed> = {},
  ): this {
    this.declare(pattern, handlerClass, options);
    return this;
  }

  /**
   * Groups routes: `build` adds routes to a scope below `prefix`. The prefix may have parameters.
   *
   * ```ts
   * app.scope("/api/:tenant", (api) => api.route("/chat/:room", Chat), { authorize: (request) => signIn(request) });
   * ```
   *
   * @throws EnfiladeError `ERR_ROUTE_PATTERN` when the prefix does not begin with a slash, `ERR_OPTION` when an option
   * is invalid.
   */
  scope<const Inner extends string>(
    prefix: Inner,
    build: (scope: Scope<`${Prefix}${Inner}`>) => unknown,
    options: ScopeOptions = {},
  ): this {
    checkOptions("a scope", options);
    const below = this.#below(prefix);
    const checks = [...this.#config.checks, ...checksOf(`the scope "${below}"`, options.authorize)];
    const config = { ...inherit(this.#config, options), prefix: below, checks };
    if (typeof build !== "function") {
      throw new EnfiladeError("ERR_OPTION", `a scope takes a function that adds its routes, got ${typeof build}`);
    }
    build(new Scope(config, this.#register));
    return this;
  }

  /** @internal Adds the routes that a class declares with `@Route` or `static route`. */
  declareOwn(handlerClass: HandlerClass): void {
    checkNoInstance("handlers takes classes", handlerClass);
    const declared = declaredRoutes(handlerClass);
    for (const { pattern, ...options } of declared) this.declare(pattern, handlerClass, options);
    if (declared.length > 0) return;
    if (handlerClass === undefined) {
      const cause = "in a circular import, a class is undefined until its module has run";
      throw new EnfiladeError("ERR_OPTION", `handlers takes classes, got undefined; ${cause}`);
    }
    const name = typeof handlerClass === "function" ? handlerClass.name || "a handler" : String(handlerClass);
    throw new EnfiladeError(
      "ERR_NO_ROUTE",
      `${name} has no route: decorate it with @Route("/path"), give it a static route = "/path", or call app.route`,
    );
  }

  /** @internal {@link route} without the check of its types. */
  declare(pattern: string, handlerClass: HandlerClass, options: RouteOptions): void {
    checkClass(handlerClass);
    try {
      this.#declare(pattern, handlerClass, options);
    } catch (error) {
      if (!(error instanceof EnfiladeError)) throw error;
      const route = `the route "${this.#config.prefix}${String(pattern)}" of ${handlerClass.name || "a handler"}`;
      throw new EnfiladeError(error.code, `${route}: ${error.message}`, { cause: error.cause });
    }
  }

  #declare(pattern: string, handlerClass: HandlerClass, options: RouteOptions): void {
    checkOptions("a route", options);
    checkRoomOptions(options);
    if (options.params !== undefined) checkSchema(options.params, `params of "${pattern}"`);
    const { limits, origins, subprotocols, compression, badMessage, checks, eventProtocol, policy } = inherit(
      this.#config,
      options,
    );
    this.#register({
      handlerClass,
      checks,
      limits,
      subprotocols,
      compression,
      policy,
      pattern: this.#below(pattern),
      reader: readerFor(handlerClass, badMessage, eventProtocol),
      origins,
      allowsOrigin: originCheck(origins),
      room: roomConfigOf(options, { policy, eventProtocol }),
      http: routeHttp(options),
      replay: options.replay ?? 0,
      name: options.name,
      params: options.params,
      closeOnLastRoomLeft: options.closeOnLastRoomLeft ?? false,
    });
  }

  #below(pattern: string): string {
    if (typeof pattern !== "string" || !pattern.startsWith("/")) {
      throw new EnfiladeError("ERR_ROUTE_PATTERN", `a route begins with "/", got ${JSON.stringify(pattern)}`);
    }
    if (pattern.includes("//")) {
      throw new EnfiladeError(
        "ERR_ROUTE_PATTERN",
        `the pattern "${pattern}" has an empty segment; room paths have none, so remove the second slash`,
      );
    }
    const { prefix } = this.#config;
    return pattern === "/" && prefix !== "" ? prefix : prefix + pattern.replace(/(?<=.)\/$/, "");
  }
}

/** The reader of a handler class. That of an `EventHandler` depends on the event protocol. */
function readerFor(handlerClass: HandlerClass, badMessage: BadMessage, protocol: EventProtocol): Reader {
  const readingClass = handlerClass as HandlerClass & { readonly prototype: AnyHandler };
  if (!(handlerClass.prototype instanceof EventHandler)) {
    checkNoEvents(readingClass);
    return readerOf(readingClass, badMessage);
  }
  return eventReaderOf(readingClass, protocol, badMessage);
}

/** @throws EnfiladeError `ERR_EVENTS` for `@On` in a class that does not extend `EventHandler`. */
function checkNoEvents({ prototype }: { readonly prototype: AnyHandler }): void {
  const [first] = decoratedEvents(prototype);
  if (first === undefined) return;
  const marked = `@On marks ${first.method} for the event "${first.event}"`;
  throw new EnfiladeError(
    "ERR_EVENTS",
    `${marked}, but the class does not extend EventHandler; write: extends EventHandler`,
  );
}

/** The configuration of the outermost scope. */
export function rootConfig(options: AppOptions, limits: Limits): ScopeConfig {
  return {
    prefix: "",
    checks: checksOf("the app", options.authorize),
    limits: connectionLimitsOf(limits),
    origins: options.origins ?? "same-host",
    subprotocols: options.subprotocols ?? [],
    compression: options.compression ?? false,
    badMessage: options.badMessage ?? "error",
    eventProtocol: options.eventProtocol ?? jsonEvents,
    policy: options.policy,
  };
}

/**
 * The `authorize` of an app or a scope, as a list of none or one.
 *
 * @throws EnfiladeError `ERR_OPTION` when it is not a function.
 */
function checksOf(owner: string, authorize: AuthorizeCheck | undefined): readonly OwnedCheck[] {
  if (authorize === undefined) return [];
  if (typeof authorize === "function") return [{ owner, authorize }];
  throw new EnfiladeError("ERR_OPTION", `authorize of ${owner} takes a function, got ${typeof authorize}`);
}

/** The configuration of a scope with `options` applied. */
function inherit(config: ScopeConfig, options: SharedOptions): ScopeConfig {
  return {
    ...config,
    limits: mergeLimits(config.limits, options.limits),
    origins: options.origins ?? config.origins,
    subprotocols: options.subprotocols ?? config.subprotocols,
    compression: options.compression ?? config.compression,
    badMessage: options.badMessage ?? config.badMessage,
    eventProtocol: options.eventProtocol ?? config.eventProtocol,
    policy: options.policy ?? config.policy,
  };
}

/**
 * @throws EnfiladeError `ERR_OPTION` when `given` is a handler: an app takes classes, and makes an instance for each
 * connection.
 */
function checkNoInstance(expected: string, given: unknown): void {
  if (!(given instanceof WebSocketHandler)) return;
  const { name } = given.constructor;
  throw new EnfiladeError("ERR_OPTION", `${expected}: pass ${name || "the class"}, not an instance of it`);
}

function checkClass(handlerClass: HandlerClass): void {
  if (typeof handlerClass === "function" && handlerClass.prototype instanceof WebSocketHandler) return;
  checkNoInstance("a route takes a class", handlerClass);
  const expected = "a route takes a class that extends WebSocketHandler";
  // In JavaScript it may be anything.
  const given: unknown = handlerClass;
  const came = typeof given === "function" ? `the class ${given.name}, which does not` : typeof given;
  throw new EnfiladeError("ERR_NO_ROUTE", `${expected}, got ${came}`);
}
