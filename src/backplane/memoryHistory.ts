import { isUpTo, type Position } from "../wire/position.js";
import type { HistoryConfig, HistoryPage, HistoryQuery } from "./backplane.js";
import type { Delivery } from "./delivery.js";

/** What an entry takes in addition to its message, of which a character may take two bytes: objects, and its place in lists. */
const entryBytes = 260;

interface Entry {
  readonly delivery: Delivery;
  readonly at: number;
  readonly bytes: number;
}

/** The publications of one room that are kept in memory, numbered without a gap. */
export class MemoryHistory {
  readonly #epoch: string;
  readonly #entries: Entry[] = [];
  #offset = 0;
  #bytes = 0;

  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  /** As they are accounted for. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** When the oldest entry was added; `undefined` if there is none. */
  get oldestAt(): number | undefined {
    return this.#entries[0]?.at;
  }

  get top(): Position {
    return { epoch: this.#epoch, offset: this.#offset };
  }

  /** Numbers a delivery and keeps it; lets go of what the terms do not keep. */
  append(delivery: Delivery, terms: HistoryConfig, now: number): Delivery {
    this.#offset += 1;
    const { top } = this;
    const bytes = entryBytes + 2 * delivery.payload.data.length;
    // Another object than the one that is delivered, whose encoded bytes need not be kept.
    this.#entries.push({ delivery: delivery.at(top), at: now, bytes });
    this.#bytes += bytes;
    while (this.size > terms.size) this.#shift();
    this.shrink(terms.bytesMax);
    this.expire(now - terms.ageMsMax);
    return delivery.at(top);
  }

  /** Lets go of what was added at `time` or before. */
  expire(time: number): void {
    while (this.oldestAt !== undefined && this.oldestAt <= time) this.#shift();
  }

  /** Lets go of the oldest until no more than `bytes` are left. */
  shrink(bytes: number): void {
    while (this.#bytes > bytes) this.#shift();
  }

  read({ since, limit }: HistoryQuery): HistoryPage {
    const { top } = this;
    const all = this.#entries.map(({ delivery }) => delivery);
    if (since === undefined) return { top, deliveries: limit === 0 ? [] : all.slice(-limit) };
    const known = isUpTo(top, since);
    // Entries are contiguous up to the top: how many are newer says where they begin.
    const newer = known ? Math.min(all.length, top.offset - since.offset) : all.length;
    return { top, deliveries: all.slice(all.length - newer).slice(0, limit) };
  }

  #shift(): void {
    this.#bytes -= this.#entries.shift()?.bytes ?? 0;
  }
}
