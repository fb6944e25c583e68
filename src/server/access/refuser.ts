import type { IncomingHttpHeaders } from "node:http";
import { type Clock, deferred } from "../../connection/clock.js";
import type {
  FrameReceiver,
  Refusal,
  Transport,
  TransportEvents,
  TransportOptions,
} from "../../connection/transport.js";
import { asError, asErrorOf, isInstance } from "../../errors.js";
import { noErrorWarning } from "../../handler/session/config.js";
import { CloseCode, checkedReason } from "../../wire/closeCodes.js";
import { v1 } from "../../wire/frames.js";
import type { RefusedRequest } from "../diagnostics/messages.js";
import type { Limits } from "../limits.js";
import { refusal, refusalOfError } from "../refusal.js";
import { describeRoute, type Route } from "../router.js";
import { quoted, type Warnings } from "../warnings.js";
import { AuthorizeTimeoutError, ForeignOriginError, InvalidParamsError, RefusedError } from "./authorization.js";
import { isSerialized } from "./origin.js";

/** Called once for each refused client. */
export type RefusalListener = (request: RefusedRequest, refusal: Refusal) => void;

export interface RefuserDeps {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly onRefused: RefusalListener;
  /** Receives errors. `thrower` names the code that threw it, for the log. */
  readonly report: (error: Error, member?: undefined, thrower?: string) => void;
  readonly warnings: Warnings;
  readonly receiver: FrameReceiver;
}

type Close = readonly [code: number, reason: string];

/** The answer if the application failed. */
const failed = refusal("error", 500);

const unauthorized: Close = [CloseCode.unauthorized, "unauthorized"];
/** The close codes that replace an HTTP status for clients of `enfilade.v1`. */
const closeByStatus: ReadonlyMap<number, Close> = new Map([
  [401, unauthorized],
  [403, unauthorized],
  [404, [CloseCode.notFound, "not found"]],
]);

/**
 * Answers refused clients, with an HTTP status or with a close code.
 *
 * A page cannot read the status of a refused handshake, and would retry forever. So for 401, 403 and 404 a client that
 * offers `enfilade.v1` is upgraded, and then closed with a code that it can read.
 */
export class Refuser {
  readonly #deps: RefuserDeps;
  readonly #transportOptions: TransportOptions;

  constructor(deps: RefuserDeps) {
    this.#deps = deps;
    const { limits, clock, receiver } = deps;
    this.#transportOptions = { ...limits, clock, receiver, compression: false, subprotocols: [v1] };
  }

  /** Returns the refusal for a thrown value. An error that is not a refusal is reported, and refused with 500. */
  refusalOf(thrown: unknown, route: Route, host: string | undefined): Refusal {
    if (isInstance(thrown, ForeignOriginError)) this.#warnOfOrigin(thrown.origin, host, route);
    if (isInstance(thrown, InvalidParamsError)) this.#warnOfParams(thrown.issues, route);
    if (isInstance(thrown, AuthorizeTimeoutError)) this.warnOfTimeout(route, "the client was refused with 503");
    if (isInstance(thrown, RefusedError)) return thrown.refusal;
    const ofError = refusalOfError(thrown);
    if (ofError !== undefined) return ofError;
    const error = asErrorOf(`authorize of ${describeRoute(route)}`, thrown);
    if (error !== thrown) this.#deps.warnings.once("no Error", route.pattern, () => noErrorWarning(error));
    // A wrapped value names its thrower itself.
    this.#deps.report(error, undefined, error === thrown ? `the handshake of ${describeRoute(route)}` : undefined);
    return failed;
  }

  /** Warns of an upgrade request that no route matches. Its query is not logged, since it may hold credentials. */
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

  /** Logs the first path that does not fit: the schema may be wrong, and a page cannot see the status. */
  #warnOfParams(issues: string, route: Route): void {
    this.#deps.warnings.once("params", route.pattern, () => {
      return `refused a client with 400: its path does not fit params of ${describeRoute(route)}: ${quoted(issues)}`;
    });
  }

  /** Logs a refused origin: browsers do not show the reason of a refusal, so a developer must find it in the log. */
  #warnOfOrigin(origin: string, host: string | undefined, { origins, pattern }: Route): void {
    const page = quoted(origin);
    this.#deps.warnings.once("origin", page, () => {
      if (!isSerialized(origin)) return `refused a client whose Origin is ${page}: no browser sends it in this form`;
      if (origins !== "same-host") {
        const rule = `the option origins of "${pattern}" does not allow it`;
        return `refused a page from ${page}: ${rule}; to allow it, add ${page}`;
      }
      const allow =
        origin === "null" ? `allow pages without an origin, set origins: "*"` : `allow it, set origins: [${page}]`;
      return (
        `refused a page from ${page}: its request has another Host, ${quoted(host ?? "")}; to ${allow}; ` +
        "behind a proxy, forward the original Host, in nginx with: proxy_set_header Host $http_host"
      );
    });
  }

  /**
   * Refuses one client.
   *
   * @param canUpgrade Called only if the client would get a close code; returns true if it may be upgraded.
   * @returns for an upgraded client a promise that resolves when it has ended, after `closeMs` at the latest.
   */
  refuse(
    transport: Transport,
    refusal: Refusal,
    request: RefusedRequest,
    canUpgrade: () => boolean,
  ): Promise<void> | undefined {
    const needsCode = transport.showsStatus !== true && offersV1(request.headers);
    const close = needsCode ? closeOf(refusal) : undefined;
    if (close === undefined || !canUpgrade()) return this.#answer(transport, refusal, request);
    this.#deps.onRefused(request, refusal);
    // If the transport does not open, it has answered the client itself.
    if (!transport.open(this.#transportOptions)) return undefined;
    const [code, phrase] = close;
    return this.#close(transport, code, refusal.phrase ?? phrase);
  }

  #answer(transport: Transport, answer: Refusal, request: RefusedRequest): undefined {
    try {
      transport.refuse(answer);
      this.#deps.onRefused(request, answer);
    } catch (error) {
      // The application returned a header that HTTP does not allow.
      this.#deps.report(asError(error));
      transport.refuse(failed);
      this.#deps.onRefused(request, failed);
    }
  }

  #close(transport: Transport, code: number, reason: string): Promise<void> {
    const { promise, resolve } = deferred<void>();
    const timer = this.#deps.clock.setTimeout(() => transport.destroy(), this.#transportOptions.closeMs);
    const onGone = () => {
      timer.cancel();
      resolve();
    };
    transport.listen({ ...ignoredEvents, onGone });
    transport.close(code, checkedReason(code, reason));
    return promise;
  }
}

function closeOf({ status, closeCode }: Refusal): Close | undefined {
  return closeCode === undefined ? closeByStatus.get(status) : [closeCode, ""];
}

function offersV1({ "sec-websocket-protocol": offered = "" }: IncomingHttpHeaders): boolean {
  return offered.split(",").some((name) => name.trim() === v1);
}

function ignore(): void {
  // The messages of a refused client are read only to reach its close frame.
}

const ignoredEvents = {
  onMessage: ignore,
  onHeard: ignore,
  onPing: ignore,
  onClosing: ignore,
  onFailed: ignore,
} satisfies Partial<TransportEvents>;
