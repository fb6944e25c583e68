import { connectionOf } from "../../connection/connection.js";
import type { Peer } from "../../connection/peer.js";
import type { ConnectionRequest } from "../../connection/request.js";
import { trace, traces } from "../../diagnostics.js";
import { HttpError } from "../../errors.js";
import type { Application } from "../../handler/application.js";
import { Refused } from "../access/authorization.js";
import type { Route } from "../router.js";
import type { TraceSpans } from "./messages.js";

/** One handshake as a span; made only where somebody traces. */
export class HandshakeTrace {
  readonly #span: TraceSpans["enfilade:handshake"];

  constructor(app: Application, request: ConnectionRequest, { pattern }: Route) {
    this.#span = { app, request, route: pattern, status: undefined, connection: undefined };
  }

  /** @param begin Returns what takes time of the handshake, which never rejects. */
  run(begin: () => Promise<void> | undefined): void {
    const handshake = async () => {
      await begin();
      if (this.#span.error !== undefined) throw this.#span.error;
    };
    // Its errors are reported where they happen.
    trace(traces.handshake, this.#span, handshake).catch(() => undefined);
  }

  opened(peer: Peer): void {
    this.#span.status = 101;
    this.#span.connection = connectionOf(peer);
  }

  /** @param thrown What it came of: a refusal is an answer, anything else is an error. */
  refused(status: number, thrown?: unknown): void {
    this.#span.status = status;
    if (!(thrown instanceof Refused || thrown instanceof HttpError)) this.#span.error = thrown;
  }
}
