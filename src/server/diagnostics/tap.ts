import type { TapEntry } from "./tapEntry.js";

/** Limits of a tap whose listener is busy. */
export interface TapLimits {
  /**
   * Entries waiting for the listener of a tap. Above: the oldest are dropped, and counted in `missed`. Default: 1,000.
   */
  readonly tapEntriesMax: number;
  /** Bytes of their content; a character of text counts as one. Above: the oldest are dropped too. Default: 1 MiB. */
  readonly tapBytesMax: number;
}

export const defaultTapLimits: TapLimits = {
  tapEntriesMax: 1_000,
  tapBytesMax: 1024 * 1024,
};

/** The entries that a tap passes to its listener in one call. */
export interface TapBatch {
  /** The entries in the order in which they happened. */
  readonly entries: readonly TapEntry[];
  /** The number of entries that were dropped before these, past a limit. */
  readonly missed: number;
}

/** Receives the batches of a tap. While the promise it returned is pending, further entries wait for the next batch. */
export type TapListener = (batch: TapBatch) => unknown;

interface QueuedEntry {
  readonly entry: TapEntry;
  readonly bytes: number;
}

type TapState = "idle" | "scheduled" | "delivering" | "ended";

/** A bounded queue of entries for one listener. Delivers one batch at a time, in a later turn of the event loop. */
export class Tap {
  readonly #listener: TapListener;
  readonly #limits: TapLimits;
  readonly #onError: (error: unknown) => void;
  #waiting: QueuedEntry[] = [];
  #bytes = 0;
  #missed = 0;
  #hasFailed = false;
  #state: TapState = "idle";

  /** @param onError Receives the first error of the listener. The tap continues. */
  constructor(listener: TapListener, limits: TapLimits, onError: (error: unknown) => void) {
    this.#listener = listener;
    this.#limits = limits;
    this.#onError = onError;
  }

  add(entry: TapEntry): void {
    if (this.#state === "ended") return;
    const bytes = "data" in entry ? entry.data.length : 0;
    this.#waiting.push({ entry, bytes });
    this.#bytes += bytes;
    while (this.#isFull()) this.#dropOldest();
    if (this.#state === "idle") this.#schedule();
  }

  /** Drops the waiting entries and delivers no further batch. */
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

  /** A method, so that TypeScript does not assume the state unchanged after the listener has run. */
  #isEnded(): boolean {
    return this.#state === "ended";
  }
}
