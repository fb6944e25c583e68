import type { ResumeFailure } from "../../wire/frames.js";
import { type ListenOptions, listen } from "../listeners.js";
import type { ClientMessage } from "./message.js";

/** Messages that may be missing. */
export interface Lost {
  /**
   * Of a new connection: `epoch` (the history was begun anew), `trimmed` (it does not reach back so far), `limit` (more was
   * missed than is replayed), `invalid`, `off` (there is none). On one connection: `jump` (the offsets had a gap) and `lagged`, both
   * since this client was slow, or publications were lost between nodes. On this side: `overflow`, more waited for a reader than is kept.
   */
  readonly reason: ResumeFailure | "jump" | "lagged" | "overflow";
  /** How many; `undefined` where the server does not know. With `off` there may have been none. */
  readonly missed: number | undefined;
}

/** Loads the state of the application anew. */
export type LoadState = () => unknown;

/** What came, in order: a message, what is told between two messages, or the moment for a new state. */
export type QueueItem =
  | { readonly kind: "message"; readonly message: ClientMessage; readonly size: number }
  | { readonly kind: "news"; readonly tell: () => void; readonly missed?: number | undefined }
  | { readonly kind: "resync" };

export interface MessageQueueDeps {
  readonly onMessage: (message: ClientMessage) => void;
  readonly onLost: (lost: Lost) => void;
  readonly report: (error: unknown) => void;
}

/** How much is kept for a reader that is not there yet, or is slow; characters of frames. */
export const keptMax = 1_000;
const keptSizeMax = 4_194_304;

/** Hands over what came, as soon as somebody reads messages and the application has loaded its state. */
export class MessageQueue {
  readonly #deps: MessageQueueDeps;
  readonly #loaders = new Set<LoadState>();
  readonly #arrivals: QueueItem[] = [];
  #size = 0;
  #overflown = 0;
  #isRead = false;
  #wasResynced = false;
  #isBusy = false;
  #isLoading = false;
  #isClosed = false;

  constructor(deps: MessageQueueDeps) {
    this.#deps = deps;
  }

  push(arrival: QueueItem): void {
    if (this.#isClosed) return;
    this.#arrivals.push(arrival);
    this.#size += sizeOf(arrival);
    while (this.#arrivals.length > keptMax || (this.#size > keptSizeMax && this.#arrivals.length > 1))
      this.#giveUpOldest();
    this.#pump();
  }

  /** Somebody reads from now on; whoever comes in the same tick reads all of it too. */
  read(): void {
    this.#isRead = true;
    queueMicrotask(() => this.#pump());
  }

  /** Returns a function that removes the loader. */
  load(loader: LoadState, options?: ListenOptions): () => void {
    const remove = listen(this.#loaders, loader, options);
    // It missed the last time: messages that are held are held for this one as well.
    if (this.#wasResynced && !this.#isClosed) this.#arrivals.unshift({ kind: "resync" });
    this.#pump();
    return remove;
  }

  /** Lets go of what is held. */
  discard(): void {
    this.#arrivals.length = 0;
    this.#size = 0;
  }

  /** What is left is handed over, and then `tell` is called; nothing waits for a state any more. */
  close(tell: () => void): void {
    this.#loaders.clear();
    this.push({ kind: "news", tell });
    this.#isClosed = true;
    if (this.#isLoading) this.#loaded();
  }

  #giveUpOldest(): void {
    // A state that is due stays so: it is loaded before whatever is left.
    const at = this.#arrivals[0]?.kind === "resync" ? 1 : 0;
    const [oldest] = this.#arrivals.splice(at, 1);
    if (oldest === undefined) return;
    this.#size -= sizeOf(oldest);
    if (oldest.kind === "message") this.#overflown += 1;
    else if (oldest.kind === "news") this.#overflown += oldest.missed ?? 0;
  }

  #pump(): void {
    while (!this.#isBusy) {
      const [next] = this.#arrivals;
      if (next === undefined || (next.kind === "message" && !this.#isRead)) return;
      this.#arrivals.shift();
      this.#size -= sizeOf(next);
      this.#isBusy = true;
      this.#hand(next);
      this.#isBusy = this.#isLoading;
    }
  }

  #hand(arrival: QueueItem): void {
    const missed = this.#overflown;
    this.#overflown = 0;
    if (missed > 0) this.#deps.onLost({ reason: "overflow", missed });
    if (arrival.kind === "message") this.#deps.onMessage(arrival.message);
    else if (arrival.kind === "news") arrival.tell();
    else this.#resync();
  }

  #resync(): void {
    this.#wasResynced = true;
    // Nobody to wait for: what follows is not delayed by a tick.
    if (this.#loaders.size === 0) return;
    this.#isLoading = true;
    const { report } = this.#deps;
    const loading = [...this.#loaders].map(async (load) => load());
    Promise.all(loading.map((one) => one.catch(report)))
      .then(() => this.#loaded())
      .catch(report);
  }

  #loaded(): void {
    this.#isLoading = false;
    this.#isBusy = false;
    this.#pump();
  }
}

function sizeOf(arrival: QueueItem): number {
  return arrival.kind === "message" ? arrival.size : 0;
}
