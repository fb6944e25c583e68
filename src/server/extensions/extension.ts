import type { ServerResponse } from "node:http";
import type { ConnectionRequest } from "../../connection/request.js";
import type { Application } from "../../handler/application.js";
import type { Interceptor } from "../../handler/reader.js";
import type { HandlerClass, RouteOptions } from "../../handler/route.js";
import type { ListenOptions } from "../../wire/notifier.js";
import type { Revocation } from "../access/revocation.js";
import type { AppEvents } from "../appEvents.js";
import type { HealthReport } from "../diagnostics/health.js";
import type { TapListener } from "../diagnostics/tap.js";
import type { TapFilter } from "../diagnostics/tapFilter.js";
import type { TapOptions } from "../diagnostics/taps.js";
import type { Logger } from "../options.js";
import type { RouteInfo } from "../router.js";

/** The app as its extensions see it; its members are those of {@link App}. */
export interface ExtensionHost extends Application {
  /** The option `logger` of the app. Its methods never throw. */
  readonly logger: Logger;
  /** The routes, in the order of their registration. */
  readonly routes: readonly RouteInfo[];
  /** Adds a route, without the check of its types. */
  route(pattern: string, handlerClass: HandlerClass, options?: RouteOptions): unknown;
  /** Calls `listener` for each event of this name; returns a function that removes it. */
  on<Name extends keyof AppEvents>(
    event: Name,
    listener: (...args: AppEvents[Name]) => unknown,
    options?: ListenOptions,
  ): () => void;
  /** Calls `listener` with the messages and events that match `filter`; returns a function that removes it. */
  tap(filter: TapFilter, listener: TapListener, options?: TapOptions): () => void;
  /** Calls `interceptor` with each message of a client before its handler reads it. */
  intercept(interceptor: Interceptor): unknown;
  /** Closes the connections of a user, in a room, or one, on every node, so that the clients do not come back. */
  revoke(whose: Revocation): Promise<void>;
  /** Checks whether this node can serve clients now. */
  health(): Promise<HealthReport>;
}

/**
 * A part that `app.use()` adds to an app: it may answer plain HTTP requests, add routes, and run at start and close.
 *
 * ```ts
 * import { App, type Extension, type ExtensionHost } from "enfilade";
 *
 * function ready(): Extension {
 *   let host: ExtensionHost | undefined;
 *   return {
 *     name: "ready",
 *     path: "/ready",
 *     install(app) {
 *       host = app;
 *     },
 *     onRequest: () => new Response(null, { status: host?.status().ready ? 204 : 503 }),
 *   };
 * }
 *
 * const app = new App().use(ready());
 * ```
 */
export interface Extension {
  /** Names the extension in errors, such as `metrics`. */
  readonly name: string;
  /** The path of the plain requests that it answers, such as `/metrics`: this path, and all paths below it. */
  readonly path?: string | undefined;
  /** Called once, by `app.use()`: adds routes and listeners. What it throws, `app.use()` throws. */
  install?(app: ExtensionHost): void;
  /**
   * Answers a plain request to `path` or below: any method, but no upgrade. `request` has the address, the headers and
   * the canonical path; `request.raw` is the request of Node, with the method and the body. Return a `Response`, or
   * write to `response`. A thrown `HttpError` is the answer; any other error is reported, and answered with 500.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a method that writes to `response` returns nothing.
  onRequest?(request: ConnectionRequest, response: ServerResponse): Response | void | Promise<Response | void>;
  /**
   * Called once, when the app starts: `listen()` waits for it, and rejects with its error. With `attach()` its error is
   * reported. Called at once if the app has started.
   */
  onStart?(): unknown;
  /** Called once, when the app begins to close. `close()` waits for it until its time is over. An error is reported. */
  onClose?(): unknown;
}
