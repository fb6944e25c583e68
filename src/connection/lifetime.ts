import { type CloseInfo, ConnectionError } from "../errors.js";
import { ABNORMAL } from "../wire/closeCodes.js";

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
  #isDetached = false;
  #detached: Promise<void> | undefined;
  #resolveDetached: (() => void) | undefined;
  #onLateError: ((error: unknown) => void) | undefined;

  /** Called once, when the handler is detached. */
  protected abstract onHandlerDetached(): void;

  /** The handler has ended, or is not awaited any more: stops reading for it. Later errors go to `onLateError`. */
  detachHandler(onLateError?: (error: unknown) => void): void {
    this.#onLateError = onLateError ?? this.#onLateError;
    if (this.#isDetached) return;
    this.#isDetached = true;
    this.onHandlerDetached();
    this.#resolveDetached?.();
  }

  get isDetached(): boolean {
    return this.#isDetached;
  }

  /** Resolves when the handler is detached. */
  get untilDetached(): Promise<void> {
    this.#detached ??= new Promise((resolve) => {
      if (this.#isDetached) resolve();
      else this.#resolveDetached = resolve;
    });
    return this.#detached;
  }

  /** Receives errors of the handler. Reports them only if the handler is detached; else its caller does. */
  onLateError(error: unknown): void {
    if (this.#isDetached) this.#onLateError?.(error);
  }
}

/** As {@link HandlerLink}, and how the connection ends. */
export abstract class EndingLink extends HandlerLink {
  /** How the connection ends or ended, as far as is known; `undefined` while it is open. */
  closeInfo: CloseInfo | undefined;
  #ended: Promise<CloseInfo> | undefined;
  /** The connection has ended if it is `true`. */
  #resolveEnded: ((info: CloseInfo) => void) | true | undefined;

  /** The error of reads after the end. */
  get error(): ConnectionError {
    return new ConnectionError(this.#lastInfo);
  }

  /** Resolves when the connection has ended. Never rejects. */
  get ended(): Promise<CloseInfo> {
    // Made on first use, to save memory: most open connections need none.
    this.#ended ??= new Promise((resolve) => {
      if (this.#resolveEnded === true) resolve(this.#lastInfo);
      else this.#resolveEnded = resolve;
    });
    return this.#ended;
  }

  protected resolveEnded(): void {
    if (typeof this.#resolveEnded === "function") this.#resolveEnded(this.#lastInfo);
    this.#resolveEnded = true;
  }

  /** `closeInfo` is set before the end; the default is for the type only. */
  get #lastInfo(): CloseInfo {
    return this.closeInfo ?? { code: ABNORMAL, reason: "", isClean: false, by: "network" };
  }
}
