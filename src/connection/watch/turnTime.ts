import type { Clock } from "../clock.js";

/**
 * The time in whole milliseconds, read once in a turn of the event loop: to read the clock for each message would cost
 * more than to hand the message over.
 */
export class TurnTime {
  readonly #clock: Clock;
  #ms: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whole milliseconds: V8 stores small integers in the object itself, and allocates memory for other numbers. */
  now(): number {
    if (this.#ms === undefined) {
      this.#ms = Math.trunc(this.#clock.now());
      setImmediate(this.#forget);
    }
    return this.#ms;
  }

  readonly #forget = (): void => {
    this.#ms = undefined;
  };
}
