/** Runs one after another what would otherwise run inside one another: what a delivery causes comes after it, to all. */
export class SerialQueue {
  readonly #waiting: (() => void)[] = [];
  #running = false;

  run(work: () => void): void {
    if (this.#running) {
      this.#waiting.push(work);
      return;
    }
    this.#running = true;
    try {
      work();
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next();
    } finally {
      this.#running = false;
    }
  }
}
