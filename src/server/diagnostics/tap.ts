import type { TapEntry } from "./tapEntry.js";

/** What a tap holds for a listener that is busy. */
export interface TapLimits {
  /** Entries that wait for a tap's listener. Past it the oldest go, and the next batch says how many. Default: 1,000. */
  readonly tapEntriesMax: number;
  /** Bytes of their content, a character of a text as one. Past it the same. Default: 1 MiB. */
  readonly tapBytesMax: number;
}

export const defaultTapLimits: TapLimits = {
  tapEntriesMax: 1_000,
  tapBytesMax: 1024 * 1024,
};

/** What a tap's listener gets at once. */
export interface TapBatch {
  /** In the order in which it happened. */
  readonly entries: readonly TapEntry[];
  /** How many before these did not fit. */
  readonly missed: number;
}

/** Takes what a tap finds; as long as its promise is pending, what follows waits. */
export type TapListener = (batch: TapBatch) => unknown;

interface Waiting {
  readonly entry: TapEntry;
  readonly bytes: number;
}

type TapState = "idle" | "scheduled" | "delivering" | "ended";

/** Entries on their way to one listener: bounded, in a later turn of the loop, a batch at a time. */
export class Tap {
  readonly #listener: TapListener;
  readonly #limits: TapLimits;
  readonly #onError: (error: unknown) => void;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #missed = 0;
  #hasFailed = false;
  #state: TapState = "idle";

  /** @param onError Takes the first error of the listener; the tap goes on. */
  constructor(listener: TapListener, limits: TapLimits, onError: (error: unknown) => void) {
    this.#listener = listener;
    this.#limits = limits;
    this.#onError = onError;
  }

  put(entry: TapEntry): void {
    if (this.#state === "ended") return;
    const bytes = "data" in entry ? entry.data.length : 0;
    this.#waiting.push({ entry, bytes });
    this.#bytes += bytes;
    while (this.#isFull()) this.#dropOldest();
    if (this.#state === "idle") this.#schedule();
  }

  /** Nothing is delivered any more. */
  end(): void {
    this.#state = "ended";
    this.#waiting = [];
  }

  #isFull(): boolean {
    const { tapEntriesMax, tapBytesMax } = this.#limits;
    return this.#waiting.length > tapEntriesMax || this.#bytes > tapBytesMax;
  }

  #dropOldest(): void {
    this.#bytes -= this.#waiting.shift()?.bytes ?? 0;
    this.#missed += 1;
  }

  #schedule(): void {
    this.#state = "scheduled";
    setImmediate(() => void this.#deliver());
  }

  /** Never rejects. */
  async #deliver(): Promise<void> {
    if (this.#isEnded()) return;
    this.#state = "delivering";
    const batch = { entries: this.#waiting.map(({ entry }) => entry), missed: this.#missed };
    this.#waiting = [];
    this.#bytes = 0;
    this.#missed = 0;
    try {
      await this.#listener(batch);
    } catch (error) {
      if (!this.#hasFailed) this.#onError(error);
      this.#hasFailed = true;
    }
    if (this.#isEnded()) return;
    this.#state = "idle";
    if (this.#waiting.length > 0 || this.#missed > 0) this.#schedule();
  }

  /** As a method, since the listener may change what was looked at before. */
  #isEnded(): boolean {
    return this.#state === "ended";
  }
}
