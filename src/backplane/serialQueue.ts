/** Runs callbacks one after another, never nested: a delivery that another delivery causes runs after it. */
export class SerialQueue {
  readonly #waiting: (() => void)[] = [];
  #isRunning = false;

  /** Runs `callback` now, or after the running callback and those that wait. */
  run(callback: () => void): void {
    if (this.#isRunning) {
      this.#waiting.push(callback);
      return;
    }
    this.#isRunning = true;
    try {
      callback();
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next();
    } finally {
      this.#isRunning = false;
    }
  }
}
