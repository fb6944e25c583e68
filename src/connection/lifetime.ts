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
