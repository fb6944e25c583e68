import { asError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import { isUpTo, type Position } from "../wire/position.js";
import type { Delivery, Kept, KeptQuery } from "./backplane.js";
import type { Engine, KeptBytes, KeptRoom } from "./engine.js";
import type { Link } from "./link.js";
import type { Outgoing } from "./outgoing.js";
import { decodeParcel } from "./parcel.js";

export interface ArchiveParts {
  readonly engine: Pick<Engine, "read">;
  readonly link: Link;
  readonly outgoing: Outgoing;
  /** Resolves when the first attempt to connect is decided; `undefined` when it is. */
  readonly decided: () => Promise<void> | undefined;
  /** An answer of the engine, which has to come in time. */
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
  readonly malformed: (path: RoomPath) => void;
}

/** What the engine keeps of rooms, as deliveries. */
export class Archive {
  readonly #parts: ArchiveParts;
  readonly #reads = new Map<string, Promise<Kept>>();

  constructor(parts: ArchiveParts) {
    this.#parts = parts;
  }

  /**
   * Reads what is kept; those who ask for the same at the same time share an answer.
   *
   * @param reached What the answer has to reach: what this node was delivered before it was asked for.
   * @throws EnfiladeError (as a rejection) `ERR_BACKPLANE`.
   */
  async read(room: KeptRoom, query: KeptQuery, reached: Position | undefined): Promise<Kept> {
    const { link, outgoing, decided } = this.#parts;
    await decided();
    if (!link.isUp) throw outgoing.fault("history cannot be read until it is back", link.outage);
    const { since, limit } = query;
    const key = JSON.stringify([room.path, since?.epoch, since?.offset, limit]);
    let before: Promise<Kept> | undefined;
    for (let begun = this.#reads.get(key); begun !== undefined && begun !== before; begun = this.#reads.get(key)) {
      const kept = await begun;
      if (reached === undefined || isUpTo(kept.top, reached)) return kept;
      before = begun;
    }
    const reading = this.#readAnew(room, query);
    this.#reads.set(key, reading);
    try {
      return await reading;
    } finally {
      if (this.#reads.get(key) === reading) this.#reads.delete(key);
    }
  }

  async #readAnew({ path, history }: KeptRoom, query: KeptQuery): Promise<Kept> {
    const { engine, outgoing, inTime } = this.#parts;
    try {
      return this.#decode(path, await inTime(engine.read(path, query, history)));
    } catch (error) {
      throw outgoing.fault("history could not be read", asError(error));
    }
  }

  #decode(path: RoomPath, { top, base, entries }: KeptBytes): Kept {
    const deliveries = entries.flatMap(({ offset, bytes }): Delivery[] => {
      const parcel = decodeParcel(bytes)?.parcel;
      if (parcel !== undefined && "delivery" in parcel) {
        return [{ ...parcel.delivery, position: { epoch: top.epoch, offset } }];
      }
      this.#parts.malformed(path);
      return [];
    });
    const readTo = deliveries.length < entries.length ? entries.at(-1)?.offset : undefined;
    return { top, base, readTo, deliveries };
  }
}
