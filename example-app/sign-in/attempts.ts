import { isIPv6 } from "node:net";

const windowMs = 60_000;
const addressesMax = 10_000;

/** Limits how often one address may try to sign in. It counts in this process only. */
export class Attempts {
  readonly #perMinuteMax: number;
  readonly #now: () => number;
  /** In the order of their ends, because each entry has the same length. */
  readonly #windows = new Map<string, { count: number; readonly endsAtMs: number }>();

  constructor(perMinuteMax: number, now: () => number = Date.now) {
    this.#perMinuteMax = perMinuteMax;
    this.#now = now;
  }

  /** Counts an attempt. Returns 0 if it is allowed, else the seconds until the next one is. */
  take(address: string): number {
    const now = this.#now();
    for (const [key, { endsAtMs }] of this.#windows) {
      if (endsAtMs > now && this.#windows.size < addressesMax) break;
      this.#windows.delete(key);
    }
    const network = networkOf(address);
    const window = this.#windows.get(network) ?? { count: 0, endsAtMs: now + windowMs };
    this.#windows.set(network, window);
    window.count += 1;
    return window.count <= this.#perMinuteMax ? 0 : Math.ceil((window.endsAtMs - now) / 1000);
  }
}

/** One client can use all addresses of its IPv6 network, so these count as one. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes(".")) return address;
  const [head = "", tail = ""] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(8 - before.length - after.length, 0) }, () => "0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
