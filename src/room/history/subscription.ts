import type { HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { Handover } from "./handover.js";
import type { Publication } from "./publication.js";

export interface SubscriptionPast {
  readonly query: HistoryQuery;
  readonly read: (query: HistoryQuery) => Promise<HistoryPage>;
}

export interface SubscriptionDeps {
  /** What is read of history before the first live publication; nothing if `undefined`. */
  readonly past: SubscriptionPast | undefined;
  /** A delivery as code of the server reads it. */
  readonly toPublication: (delivery: Delivery, missed: number) => Publication;
  /** Publications that may wait for the loop. */
  readonly messagesMax: number;
  /** Called once, when it is over. */
  readonly onEnd: () => void;
}

interface PendingRead {
  readonly resolve: (result: IteratorResult<Publication, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What is published to a room or a tree, as server code reads it: `for await (const publication of room.subscribe())`.
 *
 * It hears from the call of `subscribe` on. A loop that is too slow loses the oldest publications past
 * `subscriberMessagesMax`, and is told how many by the `missed` of the next; it holds up nobody.
 */
export class Subscription implements AsyncIterableIterator<Publication> {
  readonly #deps: SubscriptionDeps;
  readonly #waiting: Delivery[] = [];
  readonly #takers: PendingRead[] = [];
  #handover: Handover | undefined;
  #waitingMax: number;
  #missed = 0;
  #over = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: SubscriptionDeps) {
    this.#deps = deps;
    const { past, messagesMax } = deps;
    this.#waitingMax = messagesMax;
    if (past === undefined) return;
    // As much of the past may wait as was asked for.
    this.#waitingMax = Number.POSITIVE_INFINITY;
    this.#handover = new Handover({
      ...{ read: past.read, messagesMax, bytesMax: Number.POSITIVE_INFINITY },
      deliver: (delivery) => {
        this.#push(delivery);
        return undefined;
      },
      turn: () => undefined,
      gap: (last, next) => {
        // Of another epoch it is not known how many: at least one.
        this.#missed += next.epoch === last.epoch ? next.offset - last.offset - 1 : 1;
      },
      skipped: (count) => {
        this.#missed += count;
      },
      live: () => {
        this.#handover = undefined;
        this.#waitingMax = Math.max(messagesMax, this.#waiting.length);
      },
    });
  }

  /**
   * @internal Reads the past; to be called when what is published is taken already.
   *
   * @param subscribed Resolves when it is received from other nodes as well.
   */
  start(subscribed: Promise<void> | undefined): void {
    const { past } = this.#deps;
    if (past === undefined) return;
    const { query, read } = past;
    const first = () => (subscribed === undefined ? read(query) : subscribed.then(() => read(query)));
    this.#handover?.run(first).catch((error) => this.#fail(error));
  }

  /** @internal */
  take(delivery: Delivery): void {
    if (this.#handover === undefined) this.#push(delivery);
    else this.#handover.take(delivery);
  }

  /** @internal Publications were lost between nodes, at least one where it is not known how many. */
  lose(count = 1): void {
    if (this.#handover === undefined) this.#missed += count;
    else this.#handover.lag();
  }

  /** The next publication. @throws what reading the history threw (as a rejection), once. */
  next(): Promise<IteratorResult<Publication, undefined>> {
    const delivery = this.#waiting.shift();
    if (delivery !== undefined) return Promise.resolve({ done: false, value: this.#told(delivery) });
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject });
    });
  }

  /** Ends it; what leaving the loop calls. */
  return(): Promise<IteratorResult<Publication, undefined>> {
    this.#waiting.length = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends it: nothing more is heard. The loop is over when it has what waits. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#deps.onEnd();
    for (const { resolve } of this.#takers.splice(0)) resolve({ done: true, value: undefined });
  }

  #push(delivery: Delivery): void {
    if (this.#over) return;
    const taker = this.#takers.shift();
    if (taker !== undefined) {
      taker.resolve({ done: false, value: this.#told(delivery) });
      return;
    }
    this.#waiting.push(delivery);
    if (this.#waiting.length <= this.#waitingMax) return;
    this.#waiting.shift();
    this.#missed += 1;
  }

  #told(delivery: Delivery): Publication {
    const missed = this.#missed;
    this.#missed = 0;
    return this.#deps.toPublication(delivery, missed);
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    const taker = this.#takers.shift();
    if (taker === undefined) this.#failure = { error };
    else taker.reject(error);
    this.end();
  }
}
