import type { HistoryPage, HistoryQuery } from "../backplane/backplane.js";
import type { Delivery } from "../backplane/delivery.js";
import { asError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import { isUpTo, type Position } from "../wire/position.js";
import type { Engine, EngineHistoryPage, EngineRoom } from "./engine.js";
import type { EngineState } from "./engineState.js";
import { decodeNodeMessage } from "./nodeMessage.js";
import type { OutgoingQueue } from "./outgoingQueue.js";

export interface HistoryReaderDeps {
  readonly engine: Pick<Engine, "read">;
  readonly engineState: EngineState;
  readonly outgoing: OutgoingQueue;
  /** Resolves when the first attempt to connect has succeeded or failed; `undefined` when that is so already. */
  readonly whenConnected: () => Promise<void> | undefined;
  /** Rejects when an answer of the engine does not come in time. */
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
  readonly onMalformed: (path: RoomPath) => void;
}

/** Reads the history that the engine keeps, as deliveries. */
export class HistoryReader {
  readonly #deps: HistoryReaderDeps;
  readonly #reads = new Map<string, Promise<HistoryPage>>();

  constructor(deps: HistoryReaderDeps) {
    this.#deps = deps;
  }

  /**
   * Reads what is kept; the same queries at the same time share an answer.
   *
   * @param reached The last position that was delivered to this node before the call: the answer must reach it.
   * @throws EnfiladeError (as a rejection) `ERR_BACKPLANE`.
   */
  async read(room: EngineRoom, query: HistoryQuery, reached: Position | undefined): Promise<HistoryPage> {
    const { engineState, outgoing, whenConnected } = this.#deps;
    await whenConnected();
    if (!engineState.isUp) throw outgoing.errorOf("history cannot be read until it is back", engineState.outage);
    const { since, limit } = query;
    const key = JSON.stringify([room.path, since?.epoch, since?.offset, limit]);
    let before: Promise<HistoryPage> | undefined;
    for (let begun = this.#reads.get(key); begun !== undefined && begun !== before; begun = this.#reads.get(key)) {
      const page = await begun;
      if (reached === undefined || isUpTo(page.top, reached)) return page;
      before = begun;
    }
    const reading = this.#readNow(room, query);
    this.#reads.set(key, reading);
    try {
      return await reading;
    } finally {
      if (this.#reads.get(key) === reading) this.#reads.delete(key);
    }
  }

  async #readNow({ path, history }: EngineRoom, query: HistoryQuery): Promise<HistoryPage> {
    const { engine, outgoing, inTime } = this.#deps;
    try {
      return this.#decode(path, await inTime(engine.read(path, query, history)));
    } catch (error) {
      throw outgoing.errorOf("history could not be read", asError(error));
    }
  }

  #decode(path: RoomPath, { top, base, entries }: EngineHistoryPage): HistoryPage {
    const deliveries = entries.flatMap(({ offset, bytes }): Delivery[] => {
      const message = decodeNodeMessage(bytes)?.message;
      if (message !== undefined && "delivery" in message) {
        return [message.delivery.at({ epoch: top.epoch, offset })];
      }
      this.#deps.onMalformed(path);
      return [];
    });
    const readTo = deliveries.length < entries.length ? entries.at(-1)?.offset : undefined;
    return { top, base, readTo, deliveries };
  }
}
