import type { Clock, Timer } from "../../src/connection/clock.js";

interface WaitingTimer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock whose process can be blocked: its timers are then late, as those of Node.js. */
export class StallingClock implements Clock {
  readonly #waiting = new Set<WaitingTimer>();
  #now = 0;

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): Timer {
    const waiting = { at: this.#now + ms, callback };
    this.#waiting.add(waiting);
    return { cancel: () => this.#waiting.delete(waiting) };
  }

  /** Time passes, and the timers fire when they are due. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.at);
      this.#fire(next);
    }
    this.#now = end;
  }

  /** Time passes while the process is blocked. Then the due timers fire, and the sockets are read. */
  async stall(ms: number): Promise<void> {
    this.#now += ms;
    for (let next = this.#next(this.#now); next !== undefined; next = this.#next(this.#now)) this.#fire(next);
    await new Promise((resolve) => setImmediate(resolve));
  }

  #fire(timer: WaitingTimer): void {
    this.#waiting.delete(timer);
    timer.callback();
  }

  #next(end: number): WaitingTimer | undefined {
    const due = [...this.#waiting].filter(({ at }) => at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }
}
