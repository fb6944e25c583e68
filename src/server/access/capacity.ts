import type { Refusal } from "../../connection/transport.js";
import type { Limits } from "../limits.js";
import { refusal } from "../refusal.js";

/** Counts connections and handshakes, and refuses clients past `connectionsMax` and `connectionsPerAddressMax`. */
export class Capacity {
  readonly #limits: Limits;
  readonly #perAddress = new Map<string, number>();
  #count = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Returns a refusal, or counts the client until {@link release} is called and returns `undefined`. */
  admit(address: string): Refusal | undefined {
    const fromAddress = this.#perAddress.get(address) ?? 0;
    const { connectionsMax, connectionsPerAddressMax } = this.#limits;
    if (this.#count >= connectionsMax) return refusal(503, "Too many connections", { "retry-after": "5" });
    if (fromAddress >= connectionsPerAddressMax) return refusal(429, "Too many connections from this address");
    this.#count += 1;
    this.#perAddress.set(address, fromAddress + 1);
    return undefined;
  }

  /** Called once when the transport of an admitted client has ended. */
  release(address: string): void {
    this.#count -= 1;
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }
}
