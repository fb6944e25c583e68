/** Tells once that a connection, or the handshake that should become one, is over. */
export class Lifetime {
  #controller: AbortController | undefined;
  #over = false;

  get isOver(): boolean {
    return this.#over;
  }

  /** Made when it is first asked for: most handlers never do, and a controller is not small. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#over) this.#controller.abort();
    return this.#controller.signal;
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller?.abort();
  }
}
