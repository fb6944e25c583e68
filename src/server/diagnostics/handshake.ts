import { connectionOf } from "../../connection/connection.js";
import type { Peer } from "../../connection/peer.js";
import type { ConnectionRequest } from "../../connection/request.js";
import { trace, traces } from "../../diagnostics.js";
import { HttpError, isInstance } from "../../errors.js";
import type { Application } from "../../handler/application.js";
import { RefusedError } from "../access/authorization.js";
import type { Route } from "../router.js";
import type { TraceSpans } from "./messages.js";

/** One handshake as a span. Made only when the tracing channel has subscribers. */
export class HandshakeTrace {
  readonly #span: TraceSpans["enfilade:handshake"];

  constructor(app: Application, request: ConnectionRequest, { pattern }: Route) {
    const begunAt = app.registry.clock.now();
    this.#span = { app, request, route: pattern, begunAt, status: undefined, connection: undefined };
  }

  /** @param startHandshake Returns a promise for the asynchronous part of the handshake. The promise never rejects. */
  run(startHandshake: () => Promise<void> | undefined): void {
    const handshake = async () => {
      await startHandshake();
      if (this.#span.error !== undefined) throw this.#span.error;
    };
    // The acceptor has reported the error already.
    trace(traces.handshake, this.#span, handshake, undefined, []).catch(() => undefined);
  }

  /** @param status 101, or the HTTP status of a client that is no WebSocket. */
  onOpened(status: number, peer: Peer): void {
    this.#span.status = status;
    this.#span.connection = connectionOf(peer);
  }

  /** @param thrown The cause. It becomes the error of the span, unless it is a refusal. */
  onRefused(status: number, thrown?: unknown): void {
    this.#span.status = status;
    if (!(isInstance(thrown, RefusedError) || isInstance(thrown, HttpError))) this.#span.error = thrown;
  }
}
