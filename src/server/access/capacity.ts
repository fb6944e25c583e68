import type { Refusal } from "../../connection/transport.js";
import type { Limits } from "../limits.js";
import { refusal } from "../refusal.js";

/** Counts connections and handshakes, and refuses clients past `connectionsMax` and `connectionsPerAddressMax`. */
export class Capacity {
  readonly #limits: Limits;
  readonly #perNetwork = new Map<string, number>();
  #count = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * Returns a refusal, or counts the client until {@link release} is called and returns `undefined`.
   *
   * @param network The address of the client as limits count it; see `networkOf`.
   */
  admit(network: string): Refusal | undefined {
    const fromNetwork = this.#perNetwork.get(network) ?? 0;
    const { connectionsMax, connectionsPerAddressMax } = this.#limits;
    if (this.#count >= connectionsMax)
      return refusal("connections", 503, "Too many connections", { "retry-after": "5" });
    if (fromNetwork >= connectionsPerAddressMax)
      return refusal("address", 429, "Too many connections from this address");
    this.#count += 1;
    this.#perNetwork.set(network, fromNetwork + 1);
    return undefined;
  }

  /** Called once when the transport of an admitted client has ended. */
  release(network: string): void {
    this.#count -= 1;
    const left = (this.#perNetwork.get(network) ?? 1) - 1;
    if (left === 0) this.#perNetwork.delete(network);
    else this.#perNetwork.set(network, left);
  }
}
