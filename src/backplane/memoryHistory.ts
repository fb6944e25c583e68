import { offsetAfter, type Position } from "../wire/position.js";
import type { HistoryConfig, HistoryPage, HistoryQuery } from "./backplane.js";
import { accountedBytes, type Delivery } from "./delivery.js";
import type { BackplaneLimits } from "./limits.js";

interface Entry {
  readonly delivery: Delivery;
  readonly at: number;
  readonly bytes: number;
}

export type PublicationIdLimits = Pick<BackplaneLimits, "publicationIdsMax" | "publicationIdsMs">;

/** The history of one room in memory, numbered without a gap. */
export class MemoryHistory {
  readonly #epoch: string;
  readonly #entries: Entry[] = [];
  /** The positions and times of the publications with an id, the oldest first. */
  readonly #ids = new Map<string, { readonly offset: number; readonly at: number }>();
  #offset = 0;
  #bytes = 0;

  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  /** The {@link accountedBytes} of all entries. */
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

  /** The position of a recent publication with this id; `undefined` if there is none. */
  find(id: string, now: number, { publicationIdsMs }: PublicationIdLimits): Position | undefined {
    for (const [old, { at }] of this.#ids) {
      if (now - at < publicationIdsMs) break;
      this.#ids.delete(old);
    }
    const found = this.#ids.get(id);
    return found && { epoch: this.#epoch, offset: found.offset };
  }

  /** Remembers the id of the last publication. */
  remember(id: string, now: number, { publicationIdsMax }: PublicationIdLimits): void {
    this.#ids.set(id, { offset: this.#offset, at: now });
    const [oldest] = this.#ids.keys();
    if (this.#ids.size > publicationIdsMax && oldest !== undefined) this.#ids.delete(oldest);
  }

  /** Numbers a delivery, stores a copy, and returns it numbered. Removes the entries that exceed the configuration. */
  append(delivery: Delivery, config: HistoryConfig, now: number): Delivery {
    this.#offset += 1;
    const { top } = this;
    const bytes = accountedBytes(delivery.payload);
    // A copy is stored, since the delivered object also holds encoded bytes.
    this.#entries.push({ delivery: delivery.at(top), at: now, bytes });
    this.#bytes += bytes;
    while (this.size > config.size) this.#shift();
    this.shrink(config.bytesMax);
    this.expire(now - config.ageMsMax);
    return delivery.at(top);
  }

  /** Removes the entries that were added at `time` or before. */
  expire(time: number): void {
    while (this.oldestAt !== undefined && this.oldestAt <= time) this.#shift();
  }

  /** Removes the oldest entries until at most `bytes` are left. */
  shrink(bytes: number): void {
    while (this.#bytes > bytes) this.#shift();
  }

  /** Reads a page; see `HistoryQuery`. */
  read({ since, limit, bytesMax = Number.POSITIVE_INFINITY }: HistoryQuery): HistoryPage {
    const { top } = this;
    const epochs = [{ epoch: top.epoch, base: 0, lost: undefined }];
    const { length } = this.#entries;
    // Entries are contiguous up to the top, so their number gives the start.
    const newer = Math.min(since === undefined ? limit : top.offset - offsetAfter(since, epochs, top.offset), length);
    const start = length - newer;
    const end = start + Math.min(limit, newer);
    const deliveries: Delivery[] = [];
    for (let index = start, bytes = 0; index < end; index += 1) {
      const delivery = this.#entries[index]?.delivery;
      if (delivery === undefined || (since !== undefined && bytes >= bytesMax)) break;
      deliveries.push(delivery);
      bytes += delivery.payload.data.length;
    }
    return { top, epochs, deliveries };
  }

  #shift(): void {
    this.#bytes -= this.#entries.shift()?.bytes ?? 0;
  }
}
