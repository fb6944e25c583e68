import type { Clock, Timer } from "../connection/clock.js";

interface WaitingTimer {
  readonly at: number;
  readonly callback: () => void;
}

/**
 * A clock for tests. Its time changes only in {@link advance}.
 *
 * ```ts
 * const clock = new ManualClock();
 * const app = new App({ handlers: [Chat], clock });
 * clock.advance(25_000); // timers of up to 25 s fire now
 * ```
 */
export class ManualClock implements Clock {
  readonly #waiting = new Set<WaitingTimer>();
  #now = 0;

  /** The milliseconds that the clock was advanced by so far. */
  now(): number {
    return this.#now;
  }

  /** Calls `callback` when the clock has been advanced by `ms`. */
  setTimeout(callback: () => void, ms: number): Timer {
    const waiting = { at: this.#now + ms, callback };
    this.#waiting.add(waiting);
    return { cancel: () => this.#waiting.delete(waiting) };
  }

  /** Advances the time by `ms` and calls the timers that become due, in the order of their times. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#waiting.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }

  #next(end: number): WaitingTimer | undefined {
    const due = [...this.#waiting].filter(({ at }) => at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }
}
