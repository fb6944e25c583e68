import type { EntryBatch, LiveEntry } from "../../api.js";

const entriesMax = 5000;
const charactersMax = 8_000_000;

/** An entry with its number since the start of the tap, and the node that reported it. */
export interface NumberedEntry extends LiveEntry {
  readonly number: number;
  readonly node: string;
}

/** The last entries of a tap, at most 5,000 and 8 million characters. */
export class EntryBuffer {
  #entries: NumberedEntry[] = [];
  /** The index of the first entry that is still kept. */
  #first = 0;
  #characters = 0;
  #total = 0;
  /** Entries that the server dropped. */
  #missed = 0;

  add({ node, entries, missed }: EntryBatch): void {
    this.#missed += missed;
    for (const entry of entries) {
      this.#total += 1;
      this.#characters += entry.text?.length ?? 0;
      this.#entries.push({ ...entry, number: this.#total, node });
    }
    while (this.size > entriesMax || this.#characters > charactersMax) {
      this.#characters -= this.#entries[this.#first]?.text?.length ?? 0;
      this.#first += 1;
    }
    // Moves the kept entries only once there are as many removed ones before them.
    if (this.#first > entriesMax) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  get size(): number {
    return this.#entries.length - this.#first;
  }

  get total(): number {
    return this.#total;
  }

  get missed(): number {
    return this.#missed;
  }

  /** The last `count` entries, the oldest first. */
  last(count: number): readonly NumberedEntry[] {
    return this.#entries.slice(Math.max(this.#first, this.#entries.length - count));
  }

  /** The entries as JSON lines. */
  toJSONLines(): string {
    return this.last(entriesMax)
      .map((entry) => `${JSON.stringify(entry)}\n`)
      .join("");
  }

  clear(): void {
    this.#entries = [];
    this.#first = 0;
    this.#characters = 0;
    this.#total = 0;
    this.#missed = 0;
  }
}
