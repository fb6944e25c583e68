import { type ListenOptions, listen } from "../listeners.js";
import type { RoomListeners } from "../roomEvents.js";
import type { ClientMessage } from "./message.js";

/** Loads the state of the application; may be async. See {@link ClientRoom.onResync}. */
export type LoadState = () => unknown;

/** An item of the queue: a message, an event to emit between messages, or {@link resync}. */
export interface QueueItem {
  readonly message?: ClientMessage;
  /** The number of characters of the message's frame. */
  readonly size?: number;
  readonly emit?: () => unknown;
  /** The number of messages that are missing if this item is dropped. */
  readonly missed?: number | undefined;
}

/** Has the application load its state. */
export const resync: QueueItem = {};

/** The number of messages that wait for a reader. */
export const queuedMessagesMax = 1_000;
/** The number of characters of their frames. */
const queuedCharactersMax = 4_194_304;

/** Holds messages until there is a reader and the application has loaded its state, and delivers them in order. */
export class MessageQueue {
  readonly #listeners: RoomListeners;
  readonly #deliver: (message: ClientMessage) => void;
  readonly #report: (error: unknown) => void;
  readonly #loaders = new Set<LoadState>();
  readonly #items: QueueItem[] = [];
  #size = 0;
  #droppedCount = 0;
  #hasReader = false;
  #hasResynced = false;
  #isBusy = false;
  #isLoading = false;
  #isClosed = false;

  /**
   * @param deliver Receives each message.
   * @param report Receives the errors of loaders.
   */
  constructor(listeners: RoomListeners, deliver: (message: ClientMessage) => void, report: (error: unknown) => void) {
    this.#listeners = listeners;
    this.#deliver = deliver;
    this.#report = report;
  }

  push(item: QueueItem): void {
    if (this.#isClosed) return;
    this.#items.push(item);
    this.#size += item.size ?? 0;
    while (this.#items.length > queuedMessagesMax || (this.#size > queuedCharactersMax && this.#items.length > 1))
      this.#dropOldest();
    this.#pump();
  }

  /** Starts delivery. Deferred by a microtask, so that readers added in the same tick also get all messages. */
  read(): void {
    this.#hasReader = true;
    queueMicrotask(() => this.#pump());
  }

  /** Adds a loader. Returns a function that removes it. */
  load(loader: LoadState, options?: ListenOptions): () => void {
    const remove = listen(this.#loaders, loader, options);
    // It was added after the last resync, so that is repeated before the waiting messages are delivered.
    if (this.#hasResynced && !this.#isClosed) this.#items.unshift(resync);
    this.#pump();
    return remove;
  }

  /** Drops all waiting items. */
  discard(): void {
    this.#items.length = 0;
    this.#size = 0;
  }

  /** True if the queue is closed and all its messages are delivered. */
  get hasEnded(): boolean {
    return this.#isClosed && this.#items.length === 0;
  }

  /** Delivers the waiting messages without waiting for loaders, then emits `end`. */
  close(): void {
    this.#loaders.clear();
    this.push({ emit: () => this.#listeners.emit("end") });
    this.#isClosed = true;
    if (this.#isLoading) this.#onLoaded();
  }

  #dropOldest(): void {
    // A resync at the front is not dropped: the state is loaded before the remaining messages.
    const index = this.#items[0] === resync ? 1 : 0;
    const [{ size = 0, missed = 0 } = resync] = this.#items.splice(index, 1);
    this.#size -= size;
    this.#droppedCount += missed;
  }

  #pump(): void {
    while (!this.#isBusy) {
      const [next] = this.#items;
      if (!next || (next.message && !this.#hasReader)) return;
      this.#items.shift();
      this.#size -= next.size ?? 0;
      this.#isBusy = true;
      const missed = this.#droppedCount;
      this.#droppedCount = 0;
      if (missed > 0) this.#listeners.emit("lost", { reason: "overflow", missed });
      if (next.message) this.#deliver(next.message);
      else if (next.emit) next.emit();
      else this.#resync();
      this.#isBusy = this.#isLoading;
    }
  }

  #resync(): void {
    this.#hasResynced = true;
    // Without loaders the next message is delivered in the same tick.
    if (this.#loaders.size === 0) return;
    this.#isLoading = true;
    const report = this.#report;
    const loading = [...this.#loaders].map((load) => (async () => load())().catch(report));
    Promise.all(loading)
      .then(() => this.#onLoaded())
      .catch(report);
  }

  #onLoaded(): void {
    this.#isLoading = false;
    this.#isBusy = false;
    this.#pump();
  }
}
