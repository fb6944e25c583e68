import type { Clock } from "../../connection/clock.js";
import { TokenBuckets } from "../../connection/rate/tokenBuckets.js";
import type { Refusal } from "../../connection/transport.js";
import type { Limits } from "../limits.js";
import { refusal } from "../refusal.js";

const secondMs = 1_000;

/** The rate at which each address connects, against `connectsPerSecondMax`. */
export class ConnectRates {
  readonly #buckets: TokenBuckets | undefined;

  constructor({ connectsPerSecondMax: max, connectAddressesMax: keysMax }: Limits, clock: Clock) {
    const hasLimit = max !== Number.POSITIVE_INFINITY;
    this.#buckets = hasLimit ? new TokenBuckets({ max, periodMs: secondMs, keysMax }, clock) : undefined;
  }

  /** Counts an upgrade request. Returns a refusal if the network has sent too many. */
  count(network: string): Refusal | undefined {
    const waitMs = this.#buckets?.take(network) ?? 0;
    if (waitMs === 0) return undefined;
    const retryAfter = String(Math.ceil(waitMs / secondMs));
    return refusal("rate", 429, "Too many connects from this address", { "retry-after": retryAfter });
  }
}
