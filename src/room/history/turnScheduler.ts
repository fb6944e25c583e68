/** Parts of work that are let into one turn of the loop. */
const partsOfTurn = 8;

/** Lets much work for some wait for its turn, so that the loop is free for others in between. */
export class TurnScheduler {
  #left = partsOfTurn;
  readonly #waiting: (() => void)[] = [];
  #scheduled = false;

  /** `undefined` when a part may be done now, else a promise that resolves when it may. */
  next(): Promise<void> | undefined {
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#begin());
    }
    if (this.#left === 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#left -= 1;
    return undefined;
  }

  #begin(): void {
    this.#scheduled = false;
    const admitted = this.#waiting.splice(0, partsOfTurn);
    this.#left = partsOfTurn - admitted.length;
    for (const admit of admitted) admit();
    if (this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#begin());
  }
}
