import { type Clock, type Timer, timerMsMax } from "../clock.js";
import type { PeerLimits } from "../limits.js";
import { TokenBucket } from "./tokenBucket.js";

/** The connection whose rate is limited. */
export interface RateOwner {
  /** Bytes received so far, compressed as they came. */
  readonly receivedBytes: number;
  /** Called when more was received than the rate allows. Nothing should be read until {@link onRateKept}. */
  onRateExceeded(): void;
  /** Called when the rate allows reading again. */
  onRateKept(): void;
}

/** The shortest wait: for less, a timer costs more than the frames that it lets through. */
const waitMsMin = 50;
const secondMs = 1_000;
/** JSON and text become about five to twenty times as large by decompression, and zeros up to a thousand times. */
const inflationFree = 16;
/** Bytes that are kept free at most: those of a few reads of the socket. */
const freeBytesMax = 4 * 1024 * 1024;

type RateLimits = Pick<PeerLimits, "messagesPerSecondMax" | "bytesPerSecondMax" | "inflatedBytesPerSecondMax">;

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
  /** Bytes that messages gain by decompression. */
  readonly #inflated: InflatedBytes;
  #timer: Timer | undefined;

  constructor(owner: RateOwner, clock: Clock, limits: RateLimits) {
    this.#owner = owner;
    this.#clock = clock;
    this.#frames = new TokenBucket(limits.messagesPerSecondMax, secondMs, clock.now());
    this.#bytes = new TokenBucket(limits.bytesPerSecondMax, secondMs, clock.now());
    this.#inflated = new InflatedBytes(owner, new TokenBucket(limits.inflatedBytesPerSecondMax, secondMs, clock.now()));
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
    const byInflated = this.#inflated.spend(now, bytes);
    return Math.max(this.#frames.spend(now, frames), this.#bytes.spend(now, bytes), byInflated);
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

/** The bytes of messages beyond {@link inflationFree} times what came over the network. */
class InflatedBytes {
  readonly #owner: RateOwner;
  readonly #bucket: TokenBucket;
  #receivedBytes: number;
  /** What messages may still gain for the bytes that came. */
  #freeBytes = 0;

  constructor(owner: RateOwner, bucket: TokenBucket) {
    this.#owner = owner;
    this.#bucket = bucket;
    this.#receivedBytes = owner.receivedBytes;
  }

  /** Counts the bytes of one message. Returns the milliseconds to wait after it. */
  spend(now: number, bytes: number): number {
    const { receivedBytes } = this.#owner;
    const gained = (receivedBytes - this.#receivedBytes) * inflationFree;
    this.#receivedBytes = receivedBytes;
    const free = Math.min(this.#freeBytes + gained, freeBytesMax);
    this.#freeBytes = Math.max(0, free - bytes);
    return this.#bucket.spend(now, Math.max(0, bytes - free));
  }
}

/**
 * The rate limit of a connection; `undefined` if its rate is not limited.
 *
 * @param isDeflated Whether its messages may be compressed: then few bytes can cost much work.
 */
export function rateLimitOf(
  owner: RateOwner,
  clock: Clock,
  limits: PeerLimits,
  isDeflated: boolean,
): RateLimit | undefined {
  const { messagesPerSecondMax, bytesPerSecondMax, inflatedBytesPerSecondMax } = limits;
  const inflatedMax = isDeflated ? inflatedBytesPerSecondMax : Number.POSITIVE_INFINITY;
  if (Math.min(messagesPerSecondMax, bytesPerSecondMax, inflatedMax) === Number.POSITIVE_INFINITY) return undefined;
  return new RateLimit(owner, clock, {
    messagesPerSecondMax,
    bytesPerSecondMax,
    inflatedBytesPerSecondMax: inflatedMax,
  });
}
