import { type Clock, type Timer, timerMsMax } from "../clock.js";
import type { PeerLimits } from "../limits.js";
import { TokenBucket } from "./tokenBucket.js";

/** The connection whose rate is limited. */
export interface RateOwner {
  /** Called when more was received than the rate allows. Nothing should be read until {@link onRateKept}. */
  onRateExceeded(): void;
  /** Called when the rate allows reading again. */
  onRateKept(): void;
}

/** The shortest wait: for less, a timer costs more than the frames that it lets through. */
const waitMsMin = 50;
const secondMs = 1_000;

/**
 * Limits the frames and the bytes that one connection sends in a second, with a burst of one second.
 *
 * What was received already counts, even beyond the burst: the wait after it is then longer.
 */
export class RateLimit {
  readonly #owner: RateOwner;
  readonly #clock: Clock;
  readonly #frames: TokenBucket;
  readonly #bytes: TokenBucket;
  #timer: Timer | undefined;

  constructor(
    owner: RateOwner,
    clock: Clock,
    { messagesPerSecondMax, bytesPerSecondMax }: Pick<PeerLimits, "messagesPerSecondMax" | "bytesPerSecondMax">,
  ) {
    this.#owner = owner;
    this.#clock = clock;
    this.#frames = new TokenBucket(messagesPerSecondMax, secondMs, clock.now());
    this.#bytes = new TokenBucket(bytesPerSecondMax, secondMs, clock.now());
  }

  /** Whether the connection has to wait. */
  get isExceeded(): boolean {
    return this.#timer !== undefined;
  }

  /** Counts one frame. */
  count(bytes: number): void {
    const waitMs = this.#waitMsAfter(1, bytes);
    if (waitMs === 0 || this.#timer !== undefined) return;
    this.#timer = this.#checkIn(waitMs);
    this.#owner.onRateExceeded();
  }

  /** The owner has ended. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #waitMsAfter(frames: number, bytes: number): number {
    const now = this.#clock.now();
    return Math.max(this.#frames.spend(now, frames), this.#bytes.spend(now, bytes));
  }

  #checkIn(ms: number): Timer {
    return this.#clock.setTimeout(() => this.#check(), Math.min(Math.max(ms, waitMsMin), timerMsMax));
  }

  #check(): void {
    const waitMs = this.#waitMsAfter(0, 0);
    this.#timer = waitMs > 0 ? this.#checkIn(waitMs) : undefined;
    if (this.#timer === undefined) this.#owner.onRateKept();
  }
}

/** The rate limit of a connection; `undefined` if its rate is not limited. */
export function rateLimitOf(owner: RateOwner, clock: Clock, limits: PeerLimits): RateLimit | undefined {
  const { messagesPerSecondMax, bytesPerSecondMax } = limits;
  if (Math.min(messagesPerSecondMax, bytesPerSecondMax) === Number.POSITIVE_INFINITY) return undefined;
  return new RateLimit(owner, clock, limits);
}
