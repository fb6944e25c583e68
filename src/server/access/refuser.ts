import type { IncomingHttpHeaders } from "node:http";
import { type Clock, deferred } from "../../connection/clock.js";
import type { Refusal, Transport, TransportEvents, TransportOptions } from "../../connection/transport.js";
import { asError, asErrorOf } from "../../errors.js";
import { noErrorWarning } from "../../handler/session.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { v1 } from "../../wire/frames.js";
import type { RefusedRequest } from "../diagnostics/messages.js";
import type { Limits } from "../limits.js";
import { refusal, refusalOfError } from "../refusal.js";
import { describeRoute, type Route } from "../router.js";
import { quoted, type Warnings } from "../warnings.js";
import { AuthorizeTimeout, ForeignOrigin, Refused } from "./authorization.js";

export interface RefuserDeps {
  readonly clock: Clock;
  readonly limits: Limits;
  /** Called once for each client that is refused, with the status of its answer. */
  readonly onRefused: (request: RefusedRequest, status: number) => void;
  readonly report: (error: Error) => void;
  readonly warnings: Warnings;
}

type Close = readonly [code: number, reason: string];

const unauthorized: Close = [CloseCode.unauthorized, "unauthorized"];
/** The close codes that stand for a status. */
const closes: ReadonlyMap<number, Close> = new Map([
  [401, unauthorized],
  [403, unauthorized],
  [404, [CloseCode.notFound, "not found"]],
]);

/**
 * Answers clients that are refused: by HTTP, or by a close code.
 *
 * A page cannot read the status of a refused handshake, and would try again for ever. So a client that offers `enfilade.v1` is
 * upgraded, and closed with a code that it can read.
 */
export class Refuser {
  readonly #deps: RefuserDeps;
  readonly #options: TransportOptions;

  constructor(deps: RefuserDeps) {
    const { messageBytesMax, fragmentsMax, closeMs } = deps.limits;
    this.#deps = deps;
    this.#options = { messageBytesMax, fragmentsMax, closeMs, compression: false, subprotocols: [v1] };
  }

  /** How a client is answered for what was thrown. What is no refusal is reported, and answered with 500. */
  refusalOf(thrown: unknown, route: Route, headers: IncomingHttpHeaders): Refusal {
    if (thrown instanceof ForeignOrigin) this.#warnOfOrigin(thrown.origin, headers.host, route);
    if (thrown instanceof AuthorizeTimeout) this.warnOfTimeout(route, "the client was refused with 503");
    if (thrown instanceof Refused) return thrown.refusal;
    const known = refusalOfError(thrown);
    if (known !== undefined) return known;
    const error = asErrorOf(`authorize of ${describeRoute(route)}`, thrown);
    if (error !== thrown) this.#deps.warnings.once("no Error", route.pattern, () => noErrorWarning(error));
    this.#deps.report(error);
    return refusal(500);
  }

  /** An upgrade request that no route matches; its query may hold credentials. */
  warnOfPath(target: string, routes: () => string): void {
    const path = quoted(target.replace(/\?.*$/s, ""));
    this.#deps.warnings.once("no route", path, () => {
      return `refused a client with 404: no route matches ${path}; ${routes()}`;
    });
  }

  warnOfTimeout(route: Route, consequence: string): void {
    const { authorizeMs } = route.limits;
    this.#deps.warnings.once("authorize", route.pattern, () => {
      return `authorize of ${describeRoute(route)} took longer than authorizeMs, ${authorizeMs} ms; ${consequence}`;
    });
  }

  /** A page learns nothing of why it was refused, so its developer has to find it in the log. */
  #warnOfOrigin(origin: string, host: string | undefined, { origins, pattern }: Route): void {
    const page = quoted(origin);
    this.#deps.warnings.once("origin", page, () => {
      if (origins !== "same-host") {
        return `refused a page of ${page}, which the option origins of "${pattern}" does not allow; to allow it, add ${page}`;
      }
      const allow =
        origin === "null" ? `allow pages without an origin, set origins: "*"` : `allow it, set origins: [${page}]`;
      return (
        `refused a page of ${page}: that is not the Host of its request, ${quoted(host ?? "")}; to ${allow}; ` +
        "behind a proxy, have it pass the Host on, in nginx by: proxy_set_header Host $http_host"
      );
    });
  }

  /**
   * Answers one client.
   *
   * @param hasPlace Whether the client may be upgraded; asked only where it would be.
   * @returns a promise that resolves when an upgraded client has ended, after `closeMs` at the latest; `undefined` for others.
   */
  refuse(
    transport: Transport,
    why: Refusal,
    request: RefusedRequest,
    hasPlace: () => boolean,
  ): Promise<void> | undefined {
    const close = offersV1(request.headers) ? closes.get(why.status) : undefined;
    if (close === undefined || !hasPlace()) return this.#answer(transport, why, request);
    this.#deps.onRefused(request, why.status);
    // When it does not open, the transport has answered by itself.
    return transport.open(this.#options) ? this.#close(transport, close) : undefined;
  }

  #answer(transport: Transport, why: Refusal, request: RefusedRequest): undefined {
    try {
      transport.refuse(why);
      this.#deps.onRefused(request, why.status);
    } catch (error) {
      // The application gave a header that HTTP does not allow.
      this.#deps.report(asError(error));
      transport.refuse(refusal(500));
      this.#deps.onRefused(request, 500);
    }
  }

  #close(transport: Transport, [code, reason]: Close): Promise<void> {
    const { promise, resolve } = deferred<void>();
    const timer = this.#deps.clock.setTimeout(() => transport.destroy(), this.#options.closeMs);
    const onGone = () => {
      timer.cancel();
      resolve();
    };
    transport.listen({ ...ignored, onGone });
    transport.close(code, reason);
    return promise;
  }
}

function offersV1({ "sec-websocket-protocol": offered = "" }: IncomingHttpHeaders): boolean {
  return offered.split(",").some((name) => name.trim() === v1);
}

function ignore(): void {
  // What a refused client sends is read only to find its close frame.
}

const ignored = {
  onMessage: ignore,
  onHeard: ignore,
  onClosing: ignore,
  onFailed: ignore,
} satisfies Partial<TransportEvents>;
