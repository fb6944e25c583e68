import type { Backplane, HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import { EnfiladeError } from "../../errors.js";
import type { RoomPath } from "../../wire/path.js";
import type { RoomTable } from "../roomTable.js";
import { type Publication, publicationOf } from "./publication.js";
import { Subscription } from "./subscription.js";

export interface RoomHistoryDeps {
  readonly backplane: Backplane;
  readonly rooms: RoomTable;
  readonly subscriberMessagesMax: number;
}

/** What is kept of rooms, as code of the server reads it, and what is published to them from then on. */
export class RoomHistory {
  readonly #deps: RoomHistoryDeps;
  #isOver = false;

  constructor(deps: RoomHistoryDeps) {
    this.#deps = deps;
  }

  /** @throws EnfiladeError (as a rejection) `ERR_HISTORY` when nothing is kept of the room, `ERR_BACKPLANE`. */
  readPage(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
    const { history } = this.#deps.rooms.configOf(path);
    if (history !== undefined) return this.#deps.backplane.readHistory(path, query, history);
    return Promise.reject(new EnfiladeError("ERR_HISTORY", `no history is kept of ${path}`));
  }

  async read(path: RoomPath, query: HistoryQuery): Promise<readonly Publication[]> {
    const { deliveries } = await this.readPage(path, query);
    const { eventProtocol } = this.#deps.rooms.configOf(path);
    return deliveries.map((delivery) => publicationOf(delivery, eventProtocol));
  }

  /** @param past What is read of history before the first live publication; nothing if `undefined`. */
  subscribe(path: RoomPath, past: HistoryQuery | undefined, signal: AbortSignal | undefined): Subscription {
    const { rooms, subscriberMessagesMax } = this.#deps;
    const end = () => subscription.end();
    const subscription: Subscription = new Subscription({
      past,
      eventProtocol: rooms.configOf(path).eventProtocol,
      read: (query) => this.readPage(path, query),
      messagesMax: subscriberMessagesMax,
      onEnd: () => {
        signal?.removeEventListener("abort", end);
        rooms.unlisten(path, subscription);
      },
    });
    rooms.listen(path, subscription);
    if (this.#isOver || signal?.aborted === true) end();
    else signal?.addEventListener("abort", end);
    subscription.start(rooms.get(path)?.subscribed);
    return subscription;
  }

  /** Ends every subscription of this node, and those that are still to come. */
  endSubscriptions(): void {
    this.#isOver = true;
    for (const room of [...this.#deps.rooms]) room.endSubscriptions();
  }
}
