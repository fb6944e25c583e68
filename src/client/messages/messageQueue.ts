import { type ListenOptions, listen } from "../listeners.js";
import type { RoomListeners } from "../roomEvents.js";
import type { ClientMessage } from "./message.js";

/** Loads the state of the application again. */
export type LoadState = () => unknown;

/** What came, in order: a message, or a report between two messages, or else {@link resync}. */
export interface QueueItem {
  readonly message?: ClientMessage;
  /** Characters of the frame of the message. */
  readonly size?: number;
  readonly tell?: () => void;
  /** How many messages are missed when this is dropped. */
  readonly missed?: number | undefined;
}

/** The moment to load the state again. */
export const resync: QueueItem = {};

/** How much is kept for a reader that is not there yet, or is slow; characters of frames. */
export const keptMax = 1_000;
const keptSizeMax = 4_194_304;

/** Delivers messages once there is a reader and the application has loaded its state. */
export class MessageQueue {
  readonly #listeners: RoomListeners;
  readonly #deliver: (message: ClientMessage) => void;
  readonly #report: (error: unknown) => void;
  readonly #loaders = new Set<LoadState>();
  readonly #arrivals: QueueItem[] = [];
  #size = 0;
  #overflown = 0;
  #isRead = false;
  #wasResynced = false;
  #isBusy = false;
  #isLoading = false;
  #isClosed = false;
  #hasEnded = false;

  /**
   * @param deliver Receives each message.
   * @param report Receives what a loader throws.
   */
  constructor(listeners: RoomListeners, deliver: (message: ClientMessage) => void, report: (error: unknown) => void) {
    this.#listeners = listeners;
    this.#deliver = deliver;
    this.#report = report;
  }

  push(arrival: QueueItem): void {
    if (this.#isClosed) return;
    this.#arrivals.push(arrival);
    this.#size += arrival.size ?? 0;
    while (this.#arrivals.length > keptMax || (this.#size > keptSizeMax && this.#arrivals.length > 1))
      this.#giveUpOldest();
    this.#pump();
  }

  /** There is a reader from now on; readers that are added in the same tick get all messages too. */
  read(): void {
    this.#isRead = true;
    queueMicrotask(() => this.#pump());
  }

  /** Returns a function that removes the loader. */
  load(loader: LoadState, options?: ListenOptions): () => void {
    const remove = listen(this.#loaders, loader, options);
    // It missed the last time: messages that are held are held for this one as well.
    if (this.#wasResynced && !this.#isClosed) this.#arrivals.unshift(resync);
    this.#pump();
    return remove;
  }

  /** Lets go of what is held. */
  discard(): void {
    this.#arrivals.length = 0;
    this.#size = 0;
  }

  /** No more messages come. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What is left is handed over, and then the end is reported; nothing waits for a state any more. */
  close(): void {
    this.#loaders.clear();
    const tell = () => {
      this.#hasEnded = true;
      this.#listeners.tell("end");
    };
    this.push({ tell });
    this.#isClosed = true;
    if (this.#isLoading) this.#loaded();
  }

  #giveUpOldest(): void {
    // A state that is due stays so: it is loaded before the remaining messages.
    const at = this.#arrivals[0] === resync ? 1 : 0;
    const [{ size = 0, missed = 0 } = resync] = this.#arrivals.splice(at, 1);
    this.#size -= size;
    this.#overflown += missed;
  }

  #pump(): void {
    while (!this.#isBusy) {
      const [next] = this.#arrivals;
      if (!next || (next.message && !this.#isRead)) return;
      this.#arrivals.shift();
      this.#size -= next.size ?? 0;
      this.#isBusy = true;
      const missed = this.#overflown;
      this.#overflown = 0;
      if (missed > 0) this.#listeners.tell("lost", { reason: "overflow", missed });
      if (next.message) this.#deliver(next.message);
      else if (next.tell) next.tell();
      else this.#resync();
      this.#isBusy = this.#isLoading;
    }
  }

  #resync(): void {
    this.#wasResynced = true;
    // Nothing to wait for: the next message is not delayed by a tick.
    if (this.#loaders.size === 0) return;
    this.#isLoading = true;
    const report = this.#report;
    const loading = [...this.#loaders].map((load) => (async () => load())().catch(report));
    Promise.all(loading)
      .then(() => this.#loaded())
      .catch(report);
  }

  #loaded(): void {
    this.#isLoading = false;
    this.#isBusy = false;
    this.#pump();
  }
}
