import type { HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { asError } from "../../errors.js";
import type { RoomPath } from "../../wire/path.js";
import { epochAt, isUpTo, offsetAfter, type Position } from "../../wire/position.js";
import type { Engine, EngineHistoryPage, EngineRoom } from "../engine.js";
import type { EngineState } from "../engineState.js";
import { decodeNodeMessage } from "../nodeMessage.js";
import type { OutgoingQueue } from "../outgoingQueue.js";
import { sinceBirth, withUnborn } from "./unborn.js";

export interface HistoryReaderDeps {
  readonly engine: Pick<Engine, "read">;
  readonly engineState: EngineState;
  readonly outgoing: OutgoingQueue;
  /** Resolves when the first attempt to connect has succeeded or failed; `undefined` after that. */
  readonly whenConnected: () => Promise<void> | undefined;
  /** Rejects when the engine does not answer in time. */
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  readonly onMalformed: (path: RoomPath) => void;
}

/** Reads the history of rooms from the engine, as deliveries. */
export class HistoryReader {
  readonly #deps: HistoryReaderDeps;
  readonly #reads = new Map<string, Promise<HistoryPage>>();

  constructor(deps: HistoryReaderDeps) {
    this.#deps = deps;
  }

  /**
   * Reads the history of a room. Equal queries at the same time share one read. Rejects with `ERR_BACKPLANE`.
   *
   * @param reached The position of the last delivery on this node. The page must not end before it.
   */
  async read(room: EngineRoom, query: HistoryQuery, reached: Position | undefined): Promise<HistoryPage> {
    const { engineState, outgoing, whenConnected } = this.#deps;
    await whenConnected();
    if (!engineState.isUp)
      throw outgoing.errorOf("it cannot be reached, so the history cannot be read", engineState.outage);
    const { since, limit, bytesMax } = query;
    const key = JSON.stringify([room.path, since?.epoch, since?.offset, limit, bytesMax]);
    let last: Promise<HistoryPage> | undefined;
    for (let read = this.#reads.get(key); read !== undefined && read !== last; read = this.#reads.get(key)) {
      const page = await read;
      if (reached === undefined || isUpTo(page.top, reached)) return page;
      last = read;
    }
    const reading = this.#readNow(room, query);
    this.#reads.set(key, reading);
    try {
      return await reading;
    } finally {
      if (this.#reads.get(key) === reading) this.#reads.delete(key);
    }
  }

  async #readNow(room: EngineRoom, query: HistoryQuery): Promise<HistoryPage> {
    const { engine, outgoing, inTime, now } = this.#deps;
    const { since } = query;
    try {
      const asked = since === undefined ? query : { ...query, since: sinceBirth(since, now()) };
      const page = await inTime(engine.read(room, asked));
      return this.#decode(room.path, since, { ...page, ...withUnborn(page, since, now()) });
    } catch (error) {
      throw outgoing.errorOf("the history could not be read", asError(error));
    }
  }

  #decode(path: RoomPath, since: Position | undefined, { top, epochs, entries }: EngineHistoryPage): HistoryPage {
    const after = since === undefined ? 0 : offsetAfter(since, epochs, top.offset);
    const fresh = entries.filter(({ offset }) => offset > after);
    const deliveries = fresh.flatMap(({ offset, bytes }): Delivery[] => {
      const message = decodeNodeMessage(bytes)?.message;
      if (message !== undefined && "delivery" in message) {
        return [message.delivery.at({ epoch: epochAt(epochs, offset), offset })];
      }
      this.#deps.onMalformed(path);
      return [];
    });
    const readTo = deliveries.length < fresh.length ? fresh.at(-1)?.offset : undefined;
    return { top, epochs, readTo, deliveries };
  }
}
