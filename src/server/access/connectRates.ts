import type { Clock } from "../../connection/clock.js";
import { TokenBucket } from "../../connection/rate/tokenBucket.js";
import type { Refusal } from "../../connection/transport.js";
import type { Limits } from "../limits.js";
import { refusal } from "../refusal.js";

const secondMs = 1_000;

/** The rate at which each address connects, against `connectsPerSecondMax`. */
export class ConnectRates {
  readonly #limits: Limits;
  readonly #clock: Clock;
  /** A bucket that was not used for a second is full, and can be forgotten. So there are two generations of buckets. */
  #recent = new Map<string, TokenBucket>();
  #older = new Map<string, TokenBucket>();
  #since: number;

  constructor(limits: Limits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Counts an upgrade request. Returns a refusal if the network has sent too many. */
  count(network: string): Refusal | undefined {
    const { connectsPerSecondMax, connectAddressesMax } = this.#limits;
    if (connectsPerSecondMax === Number.POSITIVE_INFINITY) return undefined;
    const now = this.#clock.now();
    if (now - this.#since >= secondMs || this.#recent.size >= connectAddressesMax / 2) this.#forget(now);
    const known = this.#recent.get(network) ?? this.#older.get(network);
    const bucket = known ?? new TokenBucket(connectsPerSecondMax, secondMs, now);
    this.#recent.set(network, bucket);
    const waitMs = bucket.take(now);
    if (waitMs === 0) return undefined;
    const retryAfter = String(Math.ceil(waitMs / secondMs));
    return refusal(429, "Too many connects from this address", { "retry-after": retryAfter });
  }

  #forget(now: number): void {
    this.#older = this.#recent;
    this.#recent = new Map();
    this.#since = now;
  }
}
