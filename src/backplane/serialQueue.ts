/** Runs callbacks one after another, never inside one another: what a delivery causes is delivered after it. */
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
