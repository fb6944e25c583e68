import type { Delivery } from "../../backplane/delivery.js";
import type { Clock } from "../../connection/clock.js";

/** Milliseconds that encoded history is kept for the next reader. */
const encodedMs = 1_000;
/** The maximum bytes of publications whose encoded bytes are kept. */
const encodedBytesMax = 8 * 1024 * 1024;

/** Keeps encoded history for a moment, so that clients that read the same history at the same time share the bytes. */
export class EncodedHistory {
  readonly #clock: Clock;
  /** Freed together; `undefined` if there are none. */
  #deliveries: Set<Delivery> | undefined;
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Frees the encoded bytes of `delivery` soon. */
  add(delivery: Delivery): void {
    if (this.#bytes > encodedBytesMax) this.#free();
    if (this.#deliveries === undefined) {
      this.#deliveries = new Set();
      this.#clock.setTimeout(() => this.#free(), encodedMs);
    }
    const before = this.#deliveries.size;
    this.#deliveries.add(delivery);
    if (this.#deliveries.size > before) this.#bytes += delivery.payload.data.length;
  }

  #free(): void {
    for (const delivery of this.#deliveries ?? []) delivery.dropEncoded();
    this.#deliveries = undefined;
    this.#bytes = 0;
  }
}
