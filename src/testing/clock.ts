import type { Clock, Timer } from "../connection/clock.js";

interface Waiting {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands until it is told to go on: for tests of what happens after some time. */
export class ManualClock implements Clock {
  readonly #waiting = new Set<Waiting>();
  #now = 0;

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): Timer {
    const waiting = { at: this.#now + ms, callback };
    this.#waiting.add(waiting);
    return { cancel: () => this.#waiting.delete(waiting) };
  }

  /** Goes on by `ms`; timers that are due on the way fire in their order, each at its time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#waiting.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }

  #next(end: number): Waiting | undefined {
    const due = [...this.#waiting].filter(({ at }) => at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }
}
