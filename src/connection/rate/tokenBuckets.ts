import type { Clock } from "../clock.js";
import { TokenBucket } from "./tokenBucket.js";

export interface TokenBucketsConfig {
  /** The size of each bucket. */
  readonly max: number;
  readonly periodMs: number;
  /** The keys that are remembered. */
  readonly keysMax: number;
}

/** Token buckets by key. Above `keysMax`, those that were quiet for longest are forgotten. */
export class TokenBuckets {
  readonly #config: TokenBucketsConfig;
  readonly #clock: Clock;
  /** A bucket that was not used for a period is full, and can be forgotten. So there are two generations of buckets. */
  #recent = new Map<string, TokenBucket>();
  #older = new Map<string, TokenBucket>();
  #since: number;

  constructor(config: TokenBucketsConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Takes a token of `key` and returns 0; without a token, returns the milliseconds until there is one. */
  take(key: string): number {
    const { max, periodMs, keysMax } = this.#config;
    const now = this.#clock.now();
    if (now - this.#since >= periodMs || this.#recent.size >= keysMax / 2) this.#forget(now);
    const bucket = this.#find(key) ?? new TokenBucket(max, periodMs, now);
    this.#recent.set(key, bucket);
    return bucket.take(now);
  }

  /** The milliseconds until `key` has a token; 0 if it has one. Takes none. */
  waitMsOf(key: string): number {
    return this.#find(key)?.spend(this.#clock.now(), 0) ?? 0;
  }

  #find(key: string): TokenBucket | undefined {
    return this.#recent.get(key) ?? this.#older.get(key);
  }

  #forget(now: number): void {
    this.#older = this.#recent;
    this.#recent = new Map();
    this.#since = now;
  }
}
