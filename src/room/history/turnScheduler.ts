/** Parts of work per turn of the event loop. */
const partsPerTurn = 8;

/** Spreads large work over turns of the event loop, so that other connections are served in between. */
export class TurnScheduler {
  #remaining = partsPerTurn;
  readonly #waiting: (() => void)[] = [];
  #isScheduled = false;

  /** Returns `undefined` if a part can run now, else a promise that resolves when it can. */
  next(): Promise<void> | undefined {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => this.#begin());
    }
    if (this.#remaining === 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#remaining -= 1;
    return undefined;
  }

  #begin(): void {
    this.#isScheduled = false;
    const admitted = this.#waiting.splice(0, partsPerTurn);
    this.#remaining = partsPerTurn - admitted.length;
    for (const admit of admitted) admit();
    if (this.#waiting.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => this.#begin());
  }
}
