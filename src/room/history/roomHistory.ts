import type { Backplane, HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { isRoom, type TreeTopic } from "../../backplane/topic.js";
import { EnfiladeError } from "../../errors.js";
import type { RoomPath } from "../../wire/path.js";
import { defaultRoomConfig } from "../roomConfig.js";
import type { RoomTable } from "../roomTable.js";
import { HistoryPages, type PageLimits } from "./historyPages.js";
import { type Publication, publicationOf } from "./publication.js";
import { Subscription, type SubscriptionDeps } from "./subscription.js";
import type { TreeListeners } from "./treeListeners.js";

export interface RoomHistoryDeps {
  readonly backplane: Backplane;
  readonly rooms: RoomTable;
  readonly trees: TreeListeners;
  readonly limits: { readonly subscriberMessagesMax: number } & PageLimits;
}

/** Connects a subscription to a room or a tree. */
interface SubscriptionSource {
  readonly listen: (subscription: Subscription) => void;
  readonly unlisten: (subscription: Subscription) => void;
}

/** Reads the history of rooms for server code, and creates its subscriptions. */
export class RoomHistory {
  readonly #deps: RoomHistoryDeps;
  #hasEnded = false;

  constructor(deps: RoomHistoryDeps) {
    this.#deps = deps;
  }

  /** @throws EnfiladeError (as a rejection) `ERR_HISTORY` when the room has no history, `ERR_BACKPLANE`. */
  readPage(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
    const { history } = this.#deps.rooms.configOf(path);
    if (history !== undefined) return this.#deps.backplane.readHistory(path, query, history);
    return Promise.reject(historyOff(path));
  }

  /** As {@link readPage}, as publications. */
  async read(path: RoomPath, query: HistoryQuery): Promise<readonly Publication[]> {
    const { deliveries } = await this.readPage(path, query);
    const { eventProtocol } = this.#deps.rooms.configOf(path);
    return deliveries.map((delivery) => publicationOf(delivery, eventProtocol));
  }

  /** @param past The part of the history that comes before the first live publication; `undefined`: none. */
  subscribe(path: RoomPath, past: HistoryQuery | undefined, signal: AbortSignal | undefined): Subscription {
    const { rooms, limits } = this.#deps;
    const { eventProtocol } = rooms.configOf(path);
    const subscription = this.#begin(
      {
        past: past && { query: past, pages: new HistoryPages((query) => this.readPage(path, query), limits) },
        toPublication: (delivery, missed) => publicationOf(delivery, eventProtocol, missed),
      },
      { listen: (one) => rooms.listen(path, one), unlisten: (one) => rooms.unlisten(path, one) },
      signal,
    );
    subscription.start(rooms.get(path)?.subscribed);
    return subscription;
  }

  /** Subscribes to new publications to a tree and its rooms. */
  subscribeToTree(tree: TreeTopic, signal: AbortSignal | undefined): Subscription {
    const { rooms, trees } = this.#deps;
    return this.#begin(
      { past: undefined, toPublication: (delivery, missed) => publicationOfTree(delivery, rooms, missed) },
      { listen: (one) => trees.listen(tree, one), unlisten: (one) => trees.unlisten(tree, one) },
      signal,
    );
  }

  /** Ends every subscription of this node, and later ones as soon as they are created. */
  endSubscriptions(): void {
    this.#hasEnded = true;
    this.#deps.trees.endAll();
    for (const room of [...this.#deps.rooms]) room.endSubscriptions();
  }

  #begin(
    reading: Pick<SubscriptionDeps, "past" | "toPublication">,
    { listen, unlisten }: SubscriptionSource,
    signal: AbortSignal | undefined,
  ): Subscription {
    const end = () => subscription.end();
    const subscription: Subscription = new Subscription({
      ...reading,
      messagesMax: this.#deps.limits.subscriberMessagesMax,
      onEnd: () => {
        signal?.removeEventListener("abort", end);
        unlisten(subscription);
      },
    });
    listen(subscription);
    if (this.#hasEnded || signal?.aborted === true) end();
    else signal?.addEventListener("abort", end);
    return subscription;
  }
}

/** A publication to a tree or to one of its rooms; a room's events are read in the format of its own route. */
function publicationOfTree(delivery: Delivery, rooms: RoomTable, missed: number): Publication {
  const { address = "" } = delivery;
  const isOfRoom = isRoom(address) && !address.endsWith("/**");
  const { eventProtocol } = isOfRoom ? rooms.configOf(address) : defaultRoomConfig;
  return { room: address, ...publicationOf(delivery, eventProtocol, missed) };
}

function historyOff(path: RoomPath): EnfiladeError {
  const advice = "give its route history: { size: 100, seconds: 3600 }";
  return new EnfiladeError("ERR_HISTORY", `the room ${path} has no history; ${advice}`);
}
