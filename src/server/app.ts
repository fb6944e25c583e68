import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Backplane } from "../backplane/backplane.js";
import { MemoryBackplane } from "../backplane/memory.js";
import { type Clock, systemClock, timeIsUp, within } from "../connection/clock.js";
import { type Connection, connectionOf } from "../connection/connection.js";
import { ConnectionRequest } from "../connection/request.js";
import type { Transport, TransportRequest } from "../connection/transport.js";
import { channels } from "../diagnostics.js";
import { asError, EnfiladeError } from "../errors.js";
import type { AppContext, Application, Status } from "../handler/application.js";
import type { Fitting } from "../handler/decorators.js";
import { unusedMethods } from "../handler/hooks.js";
import type { Interceptor } from "../handler/reader.js";
import type { HandlerClass, RouteOptions } from "../handler/route.js";
import { Metrics } from "../metrics.js";
import type { Member } from "../protocol/dialect.js";
import type { Channel } from "../room/address.js";
import { Registry } from "../room/registry.js";
import { CloseCode } from "../wire/closeCodes.js";
import { type ListenOptions, Notifier } from "../wire/notifier.js";
import { checkNames } from "../wire/options.js";
import { Acceptor } from "./acceptor.js";
import { type AppEvents, appEvents } from "./appEvents.js";
import { attach } from "./attachment.js";
import { HandlerFactory } from "./creation.js";
import { Reporter } from "./diagnostics/reporter.js";
import type { TapListener } from "./diagnostics/tap.js";
import type { TapFilter } from "./diagnostics/tapFilter.js";
import { type TapOptions, Taps } from "./diagnostics/taps.js";
import { defaultLimits, type Limits, mergeLimits } from "./limits.js";
import { type Listening, listen, listeningAt, serverFor, stop } from "./listening.js";
import { type AppOptions, checkAppOptions, checkOptions, type Logger, type ScopeOptions } from "./options.js";
import { refusal, upgradeHeaders } from "./refusal.js";
import { emptyHistoryWarning } from "./roomConfig.js";
import { infoOf, type Route, type RouteInfo, Router, unknownRoute } from "./router.js";
import { rootConfig, Scope } from "./scope.js";

/**
 * Handlers, the rooms they fill, and the server that lets clients in.
 *
 * ```ts
 * const app = new App({ handlers: [Chat] });
 * const { url } = await app.listen(8000);
 * ```
 *
 * @throws EnfiladeError `ERR_OPTION`, and for its handlers what {@link App.route} throws, or `ERR_NO_ROUTE`.
 */
export class App implements Application {
  readonly registry: Registry;
  readonly #context: AppContext | undefined;
  readonly #limits: Limits;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #backplane: Backplane;
  /** In use unless there is another; what it keeps ends with the app. */
  readonly #memory: MemoryBackplane;
  readonly #events = new Notifier<AppEvents>("the app", appEvents, (error) =>
    this.#logger.error("enfilade: a listener threw", error),
  );
  readonly #metrics = new Metrics();
  readonly #reporter = new Reporter(this);
  readonly #taps: Taps;
  readonly #router = new Router();
  readonly #handlers: HandlerFactory;
  readonly #scope: Scope;
  readonly #acceptor: Acceptor;
  readonly #detach: (() => void)[] = [];
  readonly #warned = new WeakSet<HandlerClass>();
  #server: HttpServer | undefined;
  #closed: Promise<void> | undefined;
  #state: Status["state"] = "open";
  #draining = false;

  constructor(options: AppOptions = {}) {
    const { limits: changes, ...shared } = options;
    checkOptions("the app", shared);
    checkAppOptions(options);
    this.#context = options.context;
    this.#limits = mergeLimits(defaultLimits, changes);
    this.#logger = options.logger ?? console;
    this.#clock = options.clock ?? systemClock;
    const report = (error: unknown, member?: Member, by?: string) =>
      this.#report(asError(error), member && connectionOf(member), by);
    const [clock, limits, reporter] = [this.#clock, this.#limits, this.#reporter];
    this.#taps = new Taps({ app: this, limits, report });
    this.#memory = new MemoryBackplane({ clock, limits });
    this.#backplane = options.backplane ?? this.#memory;
    this.#handlers = new HandlerFactory(options.create);
    this.#acceptor = new Acceptor({
      ...{ app: this, router: this.#router, handlers: this.#handlers, metrics: this.#metrics },
      ...{ limits, clock, reporter, report },
      warn: (message) => this.#logger.warn(message),
      onOpened: (member) => this.#events.has("open") && this.#events.tell("open", connectionOf(member)),
      onClosed: (member, { code, reason }) =>
        this.#events.has("close") && this.#events.tell("close", connectionOf(member), code, reason),
    });
    this.#scope = new Scope(rootConfig(options, limits), (route) => this.#add(route));
    for (const handlerClass of options.handlers ?? []) this.#scope.declareOwn(handlerClass);
    // Last, since it begins to connect: an app that is refused must leave nothing behind.
    const { random = Math.random, backplaneOutage: outage = "reject" } = options;
    this.registry = new Registry({
      ...{ limits, clock, random, outage, report, backplane: this.#backplane, observer: reporter },
      configOf: (path) => this.#router.configOf(path),
    });
  }

  get context(): AppContext {
    if (this.#context !== undefined) return this.#context;
    throw new EnfiladeError("ERR_OPTION", "the app has no context: pass new App({ context }) to read app.context");
  }

  /** The routes in the order of their registration. */
  get routes(): RouteInfo[] {
    return this.#router.routes.map(infoOf);
  }

  /** Lets `handlerClass` handle every path that fits `pattern`; see {@link Scope.route}. */
  route<const Pattern extends string, Declared extends object, Parsed extends object = object>(
    pattern: Pattern,
    handlerClass: HandlerClass<Declared> & NoInfer<Fitting<Pattern, Declared, Parsed>>,
    options: RouteOptions<Parsed> = {},
  ): this {
    this.#scope.declare(pattern, handlerClass, options);
    return this;
  }

  /** Groups routes under a prefix; see {@link Scope.scope}. */
  scope<const Prefix extends string>(
    prefix: Prefix,
    build: (scope: Scope<Prefix>) => unknown,
    options: ScopeOptions = {},
  ): this {
    this.#scope.scope<Prefix>(prefix, build, options);
    return this;
  }

  channel(name: string): Channel {
    if (!this.#router.has(name)) throw unknownRoute(name, this.#router.routes);
    return this.registry.channel(name);
  }

  url(name: string, params: Readonly<Record<string, string | number | undefined>> = {}): string {
    return this.#router.url(name, params);
  }

  status(): Status {
    const { local, cluster } = this.registry.counts;
    const link = this.#backplane.status();
    return {
      state: this.#state,
      ready: this.#state === "open" && !this.#draining && link.backplane.state === "up",
      ...local,
      cluster,
      handshakes: this.#acceptor.handshakes,
      totals: { ...this.#metrics.totals },
      flush: { ...this.#metrics.flush },
      ...link,
    };
  }

  /**
   * Calls `interceptor` with each message of a client before its handler reads it; several in the order of registration.
   *
   * It may await, call `next()` or drop the message by not doing so, and throw, which is as if the handler threw. It holds for
   * connections that open from then on, and not for a handler that reads for itself, in `serve`.
   *
   * ```ts
   * app.intercept(async (handler, message, next) => {
   *   if (await budget.allows(handler.id, message.bytes.length)) await next();
   * });
   * ```
   *
   * @throws EnfiladeError `ERR_OPTION` when it is no function.
   */
  intercept(interceptor: Interceptor): this {
    if (typeof interceptor !== "function") {
      throw new EnfiladeError("ERR_OPTION", `intercept takes a function, got ${typeof interceptor}`);
    }
    this.#acceptor.intercept(interceptor);
    return this;
  }

  /** Calls `listener` at each event of this name. Returns a function that removes it. */
  on<Name extends keyof AppEvents>(
    event: Name,
    listener: (...args: AppEvents[Name]) => unknown,
    options?: ListenOptions,
  ): () => void {
    return this.#events.on(event, listener, options);
  }

  /**
   * Calls `listener` with what passes through this app and fits `filter`, later and in batches, so that no message waits for it.
   * What a listener is too slow for is dropped, and counted. Returns a function that removes the tap.
   *
   * @throws EnfiladeError `ERR_OPTION`, `ERR_PATH`, `ERR_USER`; `ERR_APP_STATE` when the app is closed.
   */
  tap(filter: TapFilter, listener: TapListener, options: TapOptions = {}): () => void {
    this.#assertOpen("be tapped");
    return this.#taps.add(filter, listener, options);
  }

  /**
   * Starts a server of the app's own.
   *
   * @param port Default: 0, any free one.
   * @param host Default: every address of this machine.
   * @throws EnfiladeError `ERR_APP_STATE` when the app listens already or is closed; what Node says of a port in use.
   */
  async listen(port = 0, host?: string): Promise<Listening> {
    this.#assertOpen("listen");
    if (this.#server !== undefined) throw new EnfiladeError("ERR_APP_STATE", "the app listens already");
    const server = serverFor(this.#limits.handshakeMs);
    this.#server = server;
    try {
      await listen(server, port, host);
      this.#assertOpen("listen");
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
    this.attach(server);
    return listeningAt(server);
  }

  /**
   * Receives the upgrade requests of a server that is there already, such as one for Express or Fastify.
   *
   * One that fits no route is left to other listeners if there are any, else it is a 404. The server stays its owner's
   * to close.
   *
   * @throws EnfiladeError `ERR_OPTION` when it is no HTTP server, `ERR_APP_STATE` when the app is closed.
   */
  attach(server: HttpServer | HttpsServer): this {
    this.#assertOpen("be attached");
    const refusalTime = { clock: this.#clock, closeMs: this.#limits.closeMs };
    this.#detach.push(
      attach(server, this.#acceptor, (request, response) => this.requestListener(request, response), refusalTime),
    );
    return this;
  }

  /**
   * Accepts a client of any transport: the same admission, routing, `authorize`, session and hooks as for a WebSocket.
   *
   * A client that is refused gets `transport.refuse`, with an HTTP status.
   *
   * @param transport A transport that is not open yet.
   * @param request What the client asks for.
   */
  accept(transport: Transport, { url, headers = {}, remoteAddress = "", secure = false }: TransportRequest): void {
    const found = this.#acceptor.find(url);
    if ("status" in found) {
      this.#acceptor.refuse(transport, found, { url, headers, remoteAddress });
      return;
    }
    const { path, match } = found;
    this.#acceptor.accept(transport, new ConnectionRequest({ url, path, headers, remoteAddress, secure }), match);
  }

  /**
   * Answers plain HTTP: 426 on a route; elsewhere it calls `next` if there is one, or else answers 404.
   *
   * The app's own server uses it; in another it is mounted as middleware.
   */
  readonly requestListener = (request: IncomingMessage, response: ServerResponse, next?: () => void): void => {
    const found = this.#acceptor.find(request.url ?? "/");
    if ("status" in found && next !== undefined) {
      next();
    } else {
      const { status, headers, body } = "status" in found ? found : refusal(426, "This is a WebSocket", upgradeHeaders);
      response.writeHead(status, { ...headers });
      response.end(body);
    }
  };

  /**
   * Ends it all: new upgrades are refused with 503, every client is closed with 1001, and the app's own server stops.
   *
   * Resolves when the last hook is done, or `timeoutMs` are over: then connections that are still there are destroyed.
   *
   * @param options.timeoutMs Milliseconds for clients to answer and hooks to finish. Default: the limit `closeMs`.
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    checkNames("close()", options, ["timeoutMs"]);
    this.#closed ??= this.#close(options.timeoutMs ?? this.#limits.closeMs);
    await this.#closed;
  }

  /**
   * Asks the clients of `enfilade.v1` to go elsewhere, and waits for those who are here now to do so.
   *
   * They connect anew first, resume there, and then leave: with nothing lost, where history is kept. See to it that new
   * connections are led to another node: from now on `status().ready` is `false`. Resolves when they are gone, or the time is over; then `close()`.
   *
   * @param options.withinMs Milliseconds that they have. Default: 10,000.
   */
  async drain(options: { readonly withinMs?: number } = {}): Promise<void> {
    checkNames("drain()", options, ["withinMs"]);
    const { withinMs = 10_000 } = options;
    this.#draining = true;
    const leaving = this.registry.drain(withinMs);
    await within(this.#clock, withinMs, Promise.all(leaving.map(({ ended }) => ended)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#state = "closing";
    this.#acceptor.stopAccepting();
    const stopped = this.#server && stop(this.#server);
    this.registry.endSubscriptions();
    for (const member of [...this.registry.members]) member.close(CloseCode.goingAway, "server shutting down");
    const left = await within(this.#clock, timeoutMs, this.#acceptor.whenIdle());
    if (left === timeIsUp) this.#logger.warn(`enfilade: not all connections were over after ${timeoutMs} ms; cut off`);
    this.#acceptor.destroyAll();
    this.#server?.closeAllConnections();
    await stopped;
    for (const detach of this.#detach) detach();
    this.registry.closeRooms();
    await this.#backplane.stop();
    this.#memory.clear();
    this.#taps.unsubscribe();
    this.#state = "closed";
  }

  #add(route: Route): void {
    const { handlerClass, reader } = route;
    this.#handlers.check(handlerClass);
    this.#router.add(route);
    const warning = emptyHistoryWarning(route);
    if (warning !== undefined) this.#logger.warn(warning);
    if (this.#warned.has(handlerClass)) return;
    this.#warned.add(handlerClass);
    for (const what of unusedMethods(handlerClass, reader)) this.#logger.warn(`enfilade: ${handlerClass.name} ${what}`);
  }

  #assertOpen(what: string): void {
    if (this.#state !== "open") throw new EnfiladeError("ERR_APP_STATE", `the app is closed and cannot ${what}`);
  }

  #report(error: Error, connection: Connection | undefined, thrower: string | undefined): void {
    if (channels.failed.hasSubscribers) this.#reporter.onError(error, connection);
    if (this.#events.has("error")) this.#events.tell("error", error, connection);
    else this.#logger.error(thrower === undefined ? "enfilade:" : `enfilade: ${thrower} threw`, error);
  }
}
