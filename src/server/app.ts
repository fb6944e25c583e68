import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Transport, TransportRequest } from "../connection/transport.js";
import { EnfiladeError } from "../errors.js";
import type { AppContext, Application, Status } from "../handler/application.js";
import type { Fitting } from "../handler/decorators.js";
import type { Interceptor } from "../handler/reader.js";
import type { HandlerClass, RouteOptions } from "../handler/route.js";
import type { Channel } from "../room/address.js";
import type { Registry } from "../room/registry.js";
import type { ListenOptions } from "../wire/notifier.js";
import { checkNames } from "../wire/options.js";
import { type Revocation, revokedTopicOf } from "./access/revocation.js";
import type { AppEvents } from "./appEvents.js";
import { type AsyncAPIDocument, type AsyncAPIOptions, asyncAPIOf } from "./asyncapi/document.js";
import { attach } from "./attachment.js";
import type { HealthReport } from "./diagnostics/health.js";
import { statusOf } from "./diagnostics/status.js";
import type { TapListener } from "./diagnostics/tap.js";
import type { TapFilter } from "./diagnostics/tapFilter.js";
import type { TapOptions } from "./diagnostics/taps.js";
import type { DrainOptions, DrainResult } from "./end/drain.js";
import type { SignalOptions } from "./end/signals.js";
import type { Extension, ExtensionHost } from "./extensions/extension.js";
import type { PlainRequest, PlainResponse } from "./http/messages.js";
import type { Listening } from "./listening.js";
import type { AppOptions, Logger, ScopeOptions } from "./options.js";
import { makeParts, type Parts } from "./parts.js";
import { infoOf, type RouteInfo, unknownRoute } from "./router.js";
import type { Scope } from "./scope.js";

/**
 * An application: routes with their handler classes, the rooms of their clients, and the server that accepts clients.
 *
 * @throws EnfiladeError `ERR_OPTION`; `ERR_NO_ROUTE` for a handler without a route; the errors of {@link App.route}.
 * @example
 * ```ts
 * import { App, WebSocketHandler } from "enfilade";
 *
 * class Chat extends WebSocketHandler {
 *   static route = "/chat/:channel";
 *   onJSON(message: unknown) {
 *     this.sendJSONToThisRoom(message);
 *   }
 * }
 *
 * const app = new App({ handlers: [Chat] });
 * const { url } = await app.listen(8000); // "ws://localhost:8000"
 * ```
 */
export class App implements Application, ExtensionHost {
  /** All rooms, users and connections of this node; sends to them from any code. */
  readonly registry: Registry;
  readonly #context: AppContext | undefined;
  readonly #parts: Parts;

  constructor(options: AppOptions = {}) {
    this.#parts = makeParts(this, options);
    this.#context = options.context;
    this.registry = this.#parts.registry;
  }

  get context(): AppContext {
    if (this.#context !== undefined) return this.#context;
    throw new EnfiladeError("ERR_OPTION", "app.context is not set; pass new App({ context })");
  }

  /** The option `logger`, for extensions. Its methods never throw. */
  get logger(): Logger {
    return this.#parts.logger;
  }

  /** The routes, in the order of their registration. */
  get routes(): RouteInfo[] {
    return this.#parts.router.routes.map(infoOf);
  }

  /** Registers `handlerClass` for every path that matches `pattern`; see {@link Scope.route}. */
  route<const Pattern extends string, Declared extends object, Parsed extends object = object>(
    pattern: Pattern,
    handlerClass: HandlerClass<Declared> & NoInfer<Fitting<Pattern, Declared, Parsed>>,
    options: RouteOptions<Parsed> = {},
  ): this {
    this.#parts.scope.declare(pattern, handlerClass, options);
    return this;
  }

  /** Adds routes under a common prefix and with common options; see {@link Scope.scope}. */
  scope<const Prefix extends string>(
    prefix: Prefix,
    build: (scope: Scope<Prefix>) => unknown,
    options: ScopeOptions = {},
  ): this {
    this.#parts.scope.scope<Prefix>(prefix, build, options);
    return this;
  }

  channel(name: string): Channel {
    if (!this.#parts.router.has(name)) throw unknownRoute(name, this.#parts.router.routes);
    return this.registry.channel(name);
  }

  url(name: string, params: Readonly<Record<string, string | number | undefined>> = {}): string {
    return this.#parts.router.url(name, params);
  }

  /**
   * Describes the routes of this app as a document of AsyncAPI 3.0: a channel for each route, and the messages and
   * operations of the contract of its class. A schema whose library writes no JSON Schema is described as any value.
   *
   * ```ts
   * const document = app.asyncapi({ info: { title: "Chat", version: "1.0.0" } });
   * ```
   *
   * @throws EnfiladeError `ERR_OPTION` when an option is unknown or has the wrong type.
   */
  asyncapi(options: AsyncAPIOptions = {}): AsyncAPIDocument {
    return asyncAPIOf(this.#parts.router.routes, options);
  }

  status(): Status {
    return statusOf(this.#parts);
  }

  /**
   * Checks whether this node can serve clients now: asks the engine of the backplane, and measures the event loop.
   * Resolves within the limit `healthMs`; never rejects. For a readiness check that notices an engine that hangs, which
   * `status().ready` does only after some time.
   */
  health(): Promise<HealthReport> {
    return this.#parts.health.check();
  }

  /**
   * Adds an extension: a part that answers plain HTTP requests, adds routes, and runs at start and close. It is an
   * object; see {@link Extension}.
   *
   * @throws EnfiladeError `ERR_OPTION` when it is no extension, or another one has its path; `ERR_APP_STATE` on a
   *   closed app; what its `install` throws.
   */
  use(extension: Extension): this {
    this.#parts.shutdown.assertOpen("be extended");
    this.#parts.extensions.add(extension);
    return this;
  }

  /**
   * Calls `interceptor` with each message of a client before its handler reads it, such as to log or to limit messages.
   * `next()` passes the message on; without it the message is dropped. An error counts as an error of the handler. The
   * order is that of registration. Applies to connections that open after the call, but not to those with `serve`.
   *
   * @throws EnfiladeError `ERR_OPTION` when `interceptor` is not a function.
   */
  intercept(interceptor: Interceptor): this {
    if (typeof interceptor !== "function") {
      throw new EnfiladeError("ERR_OPTION", `intercept takes a function, got ${typeof interceptor}`);
    }
    this.#parts.acceptor.intercept(interceptor);
    return this;
  }

  /**
   * Closes all connections of a user, one connection, or all connections in a room, on every node, with 4501
   * `revoked`: clients of `enfilade.v1` do not reconnect. Forgets the replies that are kept for the user. Make
   * `authorize` refuse first; a client of the user that waits for `authorize` is refused.
   *
   * @throws EnfiladeError (as a rejection) `ERR_OPTION`, `ERR_USER` or `ERR_PATH` for an invalid argument;
   *   `ERR_APP_STATE` on a closed app; `ERR_BACKPLANE` when connections on other nodes may still be open.
   */
  async revoke(whose: Revocation): Promise<void> {
    await this.#parts.shutdown.revoke(revokedTopicOf(whose, (path) => this.registry.topicOf(path)));
  }

  /**
   * Calls `listener` for each event of this name; see {@link AppEvents}. Returns a function that removes the listener.
   */
  on<Name extends keyof AppEvents>(
    event: Name,
    listener: (...args: AppEvents[Name]) => unknown,
    options?: ListenOptions,
  ): () => void {
    return this.#parts.events.on(event, listener, options);
  }

  /**
   * Calls `listener` with the messages and events of this app that match `filter`, such as for an admin page.
   * The listener is called later, with batches; messages do not wait for it. Past `tapEntriesMax` and `tapBytesMax` the
   * oldest entries are dropped and counted in `missed`. Returns a function that removes the tap.
   *
   * @throws EnfiladeError `ERR_OPTION`, `ERR_PATH`, `ERR_USER` for an invalid filter; `ERR_APP_STATE` on a closed app.
   */
  tap(filter: TapFilter, listener: TapListener, options: TapOptions = {}): () => void {
    this.#parts.shutdown.assertOpen("be tapped");
    return this.#parts.taps.add(filter, listener, options);
  }

  /**
   * Starts an HTTP server for this app. Resolves with its host, port and URL.
   *
   * @param port Default: 0, any free port.
   * @param host Default: all addresses of this machine.
   * @throws EnfiladeError (as a rejection) `ERR_APP_STATE` when the app listens already or is closed.
   * @throws Error (as a rejection) of Node, such as `EADDRINUSE`.
   */
  async listen(port = 0, host?: string): Promise<Listening> {
    this.#parts.shutdown.assertOpen("listen");
    await this.#parts.extensions.start();
    return this.#parts.ownServer.listen(port, host, (server) => {
      this.#parts.shutdown.assertOpen("listen");
      this.attach(server);
    });
  }

  /**
   * Accepts the WebSocket clients of an existing HTTP server, such as one with Express or Fastify.
   * An upgrade that matches no route is left to the other listeners of the server; without any it gets a 404. `close()`
   * detaches the app and does not close the server.
   *
   * @throws EnfiladeError `ERR_OPTION` when `server` is not an HTTP server, `ERR_APP_STATE` when the app is closed.
   */
  attach(server: HttpServer | HttpsServer): this {
    this.#parts.shutdown.assertOpen("be attached");
    const { acceptor, plainRequests, refusalTime, detachments, extensions } = this.#parts;
    detachments.push(attach(server, acceptor, plainRequests, refusalTime));
    extensions.startSoon();
    return this;
  }

  /**
   * Accepts a client of any transport, with the same limits, routing, `authorize`, handlers and rooms as a WebSocket.
   * Refuses a client with `transport.refuse` and an HTTP status.
   *
   * @param transport A transport that is not open yet.
   * @param request The path, the headers and the address of the client.
   */
  accept(transport: Transport, request: TransportRequest): void {
    const { acceptor, extensions } = this.#parts;
    extensions.startSoon();
    acceptor.receive(transport, request, acceptor.findFor(request));
  }

  /**
   * Answers plain HTTP: by the extension that has the path, else by the room if its route has the option `http`, else
   * with 426 on a path with a route. For other paths it calls `next`; without `next` it answers 404. The server of
   * `listen` uses it. Another server can mount it as middleware: `expressApp.use(app.requestListener)`, before
   * middleware that reads bodies, such as `express.json()`. For HTTP/2, pass it to `http2.createSecureServer()`.
   */
  readonly requestListener = (request: PlainRequest, response: PlainResponse, next?: () => void): void => {
    this.#parts.plainRequests.answer(request, response, next);
  };

  /**
   * Closes the app: refuses new clients with 503, closes all clients with 1001, and stops the server of `listen`.
   * Resolves when the last hook has finished. After `timeoutMs` the remaining connections are destroyed. Further calls
   * have the same result. Afterwards `publish` rejects with `ERR_APP_STATE`.
   *
   * @param options.timeoutMs Milliseconds for clients to answer and hooks to finish. Default: the limit `closeMs`.
   * @throws EnfiladeError `ERR_OPTION` when an option is unknown.
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    checkNames("close()", options, ["timeoutMs"]);
    await this.#parts.shutdown.close(options.timeoutMs);
  }

  /**
   * Moves the clients of this node to other nodes, spread evenly over `withinMs`. Call `close()` afterwards.
   *
   * From now on, `status().ready` is `false` and new clients are refused with 503. After `settleMs` the clients leave
   * one after another: a client of `enfilade.v1` opens a new connection and resumes there before it closes the old one,
   * so with history nothing is lost. A plain client is closed with 1012. Resolves when all clients have left, after
   * `withinMs`, or at `close()`. If `withinMs` is over and clients remain, a warning is logged. Further calls without
   * options, or with the same ones, have the same result.
   *
   * @throws EnfiladeError (as a rejection) `ERR_OPTION` when an option is unknown or its value is invalid;
   *   `ERR_APP_STATE` when the app is closed, or drains already with other options.
   */
  async drain(options: DrainOptions = {}): Promise<DrainResult> {
    return this.#parts.shutdown.drain(options);
  }

  /**
   * Ends the process in an orderly way on `SIGINT` and `SIGTERM`: `drain()`, `close()`, `onClosed`, and then the exit
   * code 0. Until the process ends, `status().ready` is `false`.
   *
   * The exit code is 1 if connections had to be destroyed after `timeoutMs`, if `onClosed` failed, or if the app had
   * not closed 5 seconds after that. A second signal ends the process at once, with 128 and its number. Returns a
   * function that removes the listeners.
   *
   * @throws EnfiladeError `ERR_OPTION` when an option is unknown or its value is invalid; `ERR_APP_STATE` when the app
   *   handles signals already, or is closed.
   */
  handleSignals(options: SignalOptions = {}): () => void {
    return this.#parts.shutdown.handleSignals(options);
  }

  /** Calls {@link close}, at the end of the block of `await using app = new App()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
