import type { HistoryPage, HistoryQuery } from "../backplane/backplane.js";
import type { Delivery } from "../backplane/delivery.js";
import { asError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import { isUpTo, type Position } from "../wire/position.js";
import type { Engine, EngineHistoryPage, EngineRoom } from "./engine.js";
import type { EngineState } from "./engineState.js";
import { decodeNodeMessage } from "./nodeMessage.js";
import type { OutgoingQueue } from "./outgoingQueue.js";

export interface ArchiveDeps {
  readonly engine: Pick<Engine, "read">;
  readonly link: EngineState;
  readonly outgoing: OutgoingQueue;
  /** Resolves when the first attempt to connect is decided; `undefined` when it is. */
  readonly decided: () => Promise<void> | undefined;
  /** An answer of the engine, which has to come in time. */
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
  readonly malformed: (path: RoomPath) => void;
}

/** What the engine keeps of rooms, as deliveries. */
export class HistoryReader {
  readonly #deps: ArchiveDeps;
  readonly #reads = new Map<string, Promise<HistoryPage>>();

  constructor(deps: ArchiveDeps) {
    this.#deps = deps;
  }

  /**
   * Reads what is kept; those who ask for the same at the same time share an answer.
   *
   * @param reached What the answer has to reach: what this node was delivered before it was asked for.
   * @throws EnfiladeError (as a rejection) `ERR_BACKPLANE`.
   */
  async read(room: EngineRoom, query: HistoryQuery, reached: Position | undefined): Promise<HistoryPage> {
    const { link, outgoing, decided } = this.#deps;
    await decided();
    if (!link.isUp) throw outgoing.errorOf("history cannot be read until it is back", link.outage);
    const { since, limit } = query;
    const key = JSON.stringify([room.path, since?.epoch, since?.offset, limit]);
    let before: Promise<HistoryPage> | undefined;
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

  async #readAnew({ path, history }: EngineRoom, query: HistoryQuery): Promise<HistoryPage> {
    const { engine, outgoing, inTime } = this.#deps;
    try {
      return this.#decode(path, await inTime(engine.read(path, query, history)));
    } catch (error) {
      throw outgoing.errorOf("history could not be read", asError(error));
    }
  }

  #decode(path: RoomPath, { top, base, entries }: EngineHistoryPage): HistoryPage {
    const deliveries = entries.flatMap(({ offset, bytes }): Delivery[] => {
      const parcel = decodeNodeMessage(bytes)?.message;
      if (parcel !== undefined && "delivery" in parcel) {
        return [parcel.delivery.at({ epoch: top.epoch, offset })];
      }
      this.#deps.malformed(path);
      return [];
    });
    const readTo = deliveries.length < entries.length ? entries.at(-1)?.offset : undefined;
    return { top, base, readTo, deliveries };
  }
}
