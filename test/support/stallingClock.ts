import type { Clock, Timer } from "../../src/connection/clock.js";
import { ManualClock } from "../../src/testing/index.js";

/** A clock whose process can be blocked: its timers are then late, as those of Node.js. */
export class StallingClock implements Clock {
  readonly #clock = new ManualClock();
  /** The time after a stall, while the timers fire that were due during it. */
  #stallEnd: number | undefined;

  now(): number {
    return this.#stallEnd ?? this.#clock.now();
  }

  setTimeout(callback: () => void, ms: number): Timer {
    return this.#clock.setTimeout(callback, this.now() - this.#clock.now() + ms);
  }

  /** Time passes, and the timers fire when they are due. */
  advance(ms: number): void {
    this.#clock.advance(ms);
  }

  /** Time passes while the process is blocked. Then the due timers fire, and the sockets are read. */
  async stall(ms: number): Promise<void> {
    this.#stallEnd = this.#clock.now() + ms;
    this.#clock.advance(ms);
    this.#stallEnd = undefined;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
