import type { IncomingHttpHeaders } from "node:http";
import { type Clock, deferred } from "../../connection/clock.js";
import type { Refusal, Transport, TransportEvents, TransportOptions } from "../../connection/transport.js";
import { asError } from "../../errors.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { v1 } from "../../wire/frames.js";
import type { RefusedRequest } from "../diagnostics/messages.js";
import type { Limits } from "../limits.js";
import { refusal, refusalOfError } from "../refusal.js";
import { Refused } from "./authorization.js";

export interface RefuserDeps {
  readonly clock: Clock;
  readonly limits: Limits;
  /** Called once for each client that is refused, with the status of its answer. */
  readonly onRefused: (request: RefusedRequest, status: number) => void;
  readonly report: (error: Error) => void;
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

  /** How a client is answered for what was thrown; what is no refusal is reported, and answered with 500. */
  refusalOf(error: unknown): Refusal {
    if (error instanceof Refused) return error.refusal;
    const known = refusalOfError(error);
    if (known !== undefined) return known;
    this.#deps.report(asError(error));
    return refusal(500);
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
