import { offsetAfter, type Position } from "../../wire/position.js";
import type { HistoryConfig, HistoryPage, HistoryQuery } from "../backplane.js";
import { accountedBytes, type Delivery } from "../delivery.js";
import type { BackplaneLimits } from "../limits.js";

interface Entry {
  readonly delivery: Delivery;
  readonly at: number;
  readonly bytes: number;
}

interface KnownId {
  readonly offset: number;
  readonly at: number;
}

export type PublicationIdLimits = Pick<BackplaneLimits, "publicationIdsMax" | "publicationIdsMs">;

/** The memory of a room with history, in addition to its publications and its path: objects, and places in tables. */
const roomBytes = 1_100;
/** The memory of the id of a publication, in addition to its text. */
const idBytes = 120;

/** The history of one room in memory, numbered without a gap. */
export class MemoryHistory {
  readonly #path: string;
  readonly #epoch: string;
  readonly #entries: Entry[] = [];
  /** The publications with an id, the oldest first; made on first use. */
  #ids: Map<string, KnownId> | undefined;
  #idBytes = 0;
  #offset: number;
  #bytes = 0;

  /** @param top The position of the last publication; offset 0 before the first. */
  constructor(path: string, top: Position) {
    this.#path = path;
    this.#epoch = top.epoch;
    this.#offset = top.offset;
  }

  /** All bytes that the room holds: entries, ids, and the room itself; 0 without entries and ids. */
  get bytes(): number {
    return this.isEmpty ? 0 : this.ownBytes + this.#bytes;
  }

  /** The bytes of the room without its entries. */
  get ownBytes(): number {
    return roomBytes + 2 * this.#path.length + this.#idBytes;
  }

  /** Whether it has neither entries nor ids. */
  get isEmpty(): boolean {
    return this.#entries.length === 0 && this.#ids === undefined;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** When {@link expire} has something to do; `undefined` for never. */
  expiryAt({ ageMsMax }: HistoryConfig, { publicationIdsMs }: PublicationIdLimits): number | undefined {
    const entry = this.#entries[0]?.at ?? Number.POSITIVE_INFINITY;
    const [id = { at: Number.POSITIVE_INFINITY }] = this.#ids?.values() ?? [];
    const at = Math.min(entry + ageMsMax, id.at + publicationIdsMs);
    return at === Number.POSITIVE_INFINITY ? undefined : at;
  }

  get top(): Position {
    return { epoch: this.#epoch, offset: this.#offset };
  }

  /** The position of a recent publication with this id; `undefined` if there is none. */
  find(id: string, now: number, { publicationIdsMs }: PublicationIdLimits): Position | undefined {
    const found = this.#ids?.get(id);
    if (found === undefined || now - found.at >= publicationIdsMs) return undefined;
    return { epoch: this.#epoch, offset: found.offset };
  }

  /** Remembers the id of the last publication. */
  remember(id: string, now: number, { publicationIdsMax }: PublicationIdLimits): void {
    this.#forgetId(id);
    this.#ids ??= new Map();
    this.#ids.set(id, { offset: this.#offset, at: now });
    this.#idBytes += bytesOfId(id);
    const [oldest] = this.#ids.keys();
    if (this.#ids.size > publicationIdsMax && oldest !== undefined) this.#forgetId(oldest);
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
    return delivery.at(top);
  }

  /** Removes entries and ids that are too old. */
  expire(now: number, { ageMsMax }: HistoryConfig, { publicationIdsMs }: PublicationIdLimits): void {
    while ((this.#entries[0]?.at ?? Number.POSITIVE_INFINITY) + ageMsMax <= now) this.#shift();
    for (const [id, { at }] of this.#ids ?? []) {
      if (now - at < publicationIdsMs) break;
      this.#forgetId(id);
    }
  }

  /** Removes the oldest entries until at most `bytes` of them are left. */
  shrink(bytes: number): void {
    while (this.#bytes > Math.max(0, bytes)) this.#shift();
  }

  /** Removes all entries and ids. */
  clear(): void {
    this.#entries.length = 0;
    this.#bytes = 0;
    this.#ids = undefined;
    this.#idBytes = 0;
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

  #forgetId(id: string): void {
    if (this.#ids?.delete(id) !== true) return;
    this.#idBytes -= bytesOfId(id);
    if (this.#ids.size === 0) this.#ids = undefined;
  }
}

function bytesOfId(id: string): number {
  return idBytes + 2 * id.length;
}
