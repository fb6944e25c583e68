/** Rounding of many small refills must not withhold a whole token. */
const tolerance = 1e-9;

/** Allows `max` actions at once and, in the long run, `max` actions in each period: a token bucket. */
export class TokenBucket {
  readonly #max: number;
  readonly #periodMs: number;
  #tokens: number;
  #at: number;

  /**
   * @param max The size of the bucket; `Infinity`: every action is allowed.
   * @param now The time of the app's clock in milliseconds.
   */
  constructor(max: number, periodMs: number, now: number) {
    this.#max = max;
    this.#periodMs = periodMs;
    this.#tokens = max;
    this.#at = now;
  }

  /** Whether the last token was taken, as of the last call. */
  get isEmpty(): boolean {
    return this.#tokens < 1 - tolerance;
  }

  /** Takes a token and returns 0; without a token, returns the milliseconds until there is one. */
  take(now: number): number {
    this.#refill(now);
    if (this.isEmpty) return this.#waitMs;
    this.#tokens = Math.max(0, this.#tokens - 1);
    return 0;
  }

  /** Counts what has happened already, even beyond the last token. Returns the milliseconds until there is a token. */
  spend(now: number, count: number): number {
    this.#refill(now);
    this.#tokens -= count;
    return this.isEmpty ? this.#waitMs : 0;
  }

  get #waitMs(): number {
    return Math.ceil(((1 - this.#tokens) * this.#periodMs) / this.#max);
  }

  #refill(now: number): void {
    if (this.#max === Number.POSITIVE_INFINITY) return;
    this.#tokens = Math.min(this.#max, this.#tokens + ((now - this.#at) * this.#max) / this.#periodMs);
    this.#at = now;
  }
}
