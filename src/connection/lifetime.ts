import { type CloseInfo, ConnectionError } from "../errors.js";
import { ABNORMAL } from "../wire/closeCodes.js";
import { type Deferred, deferred } from "./clock.js";

/** The lifetime of a connection, from its handshake on. Ends once. */
export class Lifetime {
  #controller: AbortController | undefined;
  #isOver = false;

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Aborted at the end. Made on first use: most handlers need none, and an AbortController takes much memory. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isOver) this.#controller.abort();
    return this.#controller.signal;
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#controller?.abort();
  }
}

/** The handler of a connection, as long as the connection waits for it. */
export abstract class HandlerLink {
  /** `true` when the handler is detached; before, made on first use. */
  #detached: Deferred<void> | true | undefined;
  #onLateError: ((error: unknown) => void) | undefined;

  /** Called once, when the handler is detached. */
  protected abstract onHandlerDetached(): void;

  /** The handler has ended, or is not awaited any more: stops reading for it. Later errors go to `onLateError`. */
  detachHandler(onLateError?: (error: unknown) => void): void {
    this.#onLateError = onLateError ?? this.#onLateError;
    const waiting = this.#detached;
    if (waiting === true) return;
    this.#detached = true;
    this.onHandlerDetached();
    waiting?.resolve();
  }

  get isDetached(): boolean {
    return this.#detached === true;
  }

  /** Resolves when the handler is detached. */
  get untilDetached(): Promise<void> {
    if (this.#detached === true) return Promise.resolve();
    this.#detached ??= deferred();
    return this.#detached.promise;
  }

  /** Receives errors of the handler. Reports them only if the handler is detached; else its caller does. */
  onLateError(error: unknown): void {
    if (this.isDetached) this.#onLateError?.(error);
  }
}

/** As {@link HandlerLink}, and how the connection ends. */
export abstract class EndingLink extends HandlerLink {
  /** How the connection ends or ended, as far as is known; `undefined` while it is open. */
  closeInfo: CloseInfo | undefined;
  /** `true` when the connection has ended; before, made on first use: most open connections need none. */
  #ended: Deferred<CloseInfo> | true | undefined;

  /** The error of reads after the end. */
  get error(): ConnectionError {
    return new ConnectionError(this.#lastInfo);
  }

  /** Resolves when the connection has ended. Never rejects. */
  get ended(): Promise<CloseInfo> {
    if (this.#ended === true) return Promise.resolve(this.#lastInfo);
    this.#ended ??= deferred();
    return this.#ended.promise;
  }

  protected resolveEnded(): void {
    const waiting = this.#ended;
    this.#ended = true;
    if (waiting !== true) waiting?.resolve(this.#lastInfo);
  }

  /** `closeInfo` is set before the end; the default is for the type only. */
  get #lastInfo(): CloseInfo {
    return this.closeInfo ?? { code: ABNORMAL, reason: "", isClean: false, by: "network" };
  }
}
