import type { HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { Handover } from "./handover.js";
import type { Publication } from "./publication.js";

/** The part of the history that a subscription begins with. */
export interface SubscriptionPast {
  readonly query: HistoryQuery;
  readonly read: (query: HistoryQuery) => Promise<HistoryPage>;
}

export interface SubscriptionDeps {
  /** The history before the first live publication; `undefined`: none. */
  readonly past: SubscriptionPast | undefined;
  /** Converts a delivery for server code. */
  readonly toPublication: (delivery: Delivery, missed: number) => Publication;
  /** The maximum number of publications that wait for the loop. */
  readonly messagesMax: number;
  /** Called once, when the subscription ends. */
  readonly onEnd: () => void;
}

interface PendingRead {
  readonly resolve: (result: IteratorResult<Publication, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The publications to a room or a tree, for server code: `for await (const publication of room.subscribe())`.
 *
 * It receives publications from the moment of the `subscribe()` call. Leaving the loop ends the
 * subscription. If more than `subscriberMessagesMax` publications wait for the loop, the oldest are dropped; `missed`
 * of the next publication is their number.
 */
export class Subscription implements AsyncIterableIterator<Publication> {
  readonly #deps: SubscriptionDeps;
  readonly #waiting: Delivery[] = [];
  readonly #pendingReads: PendingRead[] = [];
  #handover: Handover | undefined;
  #waitingMax: number;
  #missed = 0;
  #hasEnded = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: SubscriptionDeps) {
    this.#deps = deps;
    const { past, messagesMax } = deps;
    this.#waitingMax = messagesMax;
    if (past === undefined) return;
    // All of the requested history may wait.
    this.#waitingMax = Number.POSITIVE_INFINITY;
    this.#handover = new Handover({
      read: past.read,
      messagesMax,
      bytesMax: Number.POSITIVE_INFINITY,
      deliver: (delivery) => {
        this.#push(delivery);
        return undefined;
      },
      waitForTurn: () => undefined,
      onGap: ({ missed = 1 }) => {
        // An unknown number is at least 1.
        this.#missed += missed;
      },
      onSkipped: (count) => {
        this.#missed += count;
      },
      onLive: () => {
        this.#handover = undefined;
        this.#waitingMax = Math.max(messagesMax, this.#waiting.length);
      },
    });
  }

  /**
   * @internal Starts to read the history. The subscription must receive live publications already.
   *
   * @param subscribed Resolves when this node receives publications of other nodes.
   */
  start(subscribed: Promise<void> | undefined): void {
    const { past } = this.#deps;
    if (past === undefined) return;
    const { query, read } = past;
    const first = () => (subscribed === undefined ? read(query) : subscribed.then(() => read(query)));
    this.#handover?.run(first).catch((error) => this.#fail(error));
  }

  /** @internal Receives a live publication. */
  take(delivery: Delivery): void {
    if (this.#handover === undefined) this.#push(delivery);
    else this.#handover.take(delivery);
  }

  /** @internal Publications were lost between nodes. An unknown number counts as 1. */
  onLoss(count = 1): void {
    if (this.#handover === undefined) this.#missed += count;
    else this.#handover.onGap();
  }

  /**
   * The next publication; `done` is true after the end.
   *
   * @throws EnfiladeError (as a rejection) `ERR_BACKPLANE` or `ERR_HISTORY`, once, when reading the history failed.
   */
  next(): Promise<IteratorResult<Publication, undefined>> {
    const delivery = this.#waiting.shift();
    if (delivery !== undefined) return Promise.resolve({ done: false, value: this.#toPublication(delivery) });
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#hasEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#pendingReads.push({ resolve, reject });
    });
  }

  /** Ends the subscription and drops waiting publications. Leaving the loop calls it. */
  return(): Promise<IteratorResult<Publication, undefined>> {
    this.#waiting.length = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** The subscription itself, so that `for await` can loop over it. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends the subscription. The loop still gets the publications that wait for it, and then ends. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#deps.onEnd();
    for (const { resolve } of this.#pendingReads.splice(0)) resolve({ done: true, value: undefined });
  }

  #push(delivery: Delivery): void {
    if (this.#hasEnded) return;
    const pendingRead = this.#pendingReads.shift();
    if (pendingRead !== undefined) {
      pendingRead.resolve({ done: false, value: this.#toPublication(delivery) });
      return;
    }
    this.#waiting.push(delivery);
    if (this.#waiting.length <= this.#waitingMax) return;
    this.#waiting.shift();
    this.#missed += 1;
  }

  #toPublication(delivery: Delivery): Publication {
    const missed = this.#missed;
    this.#missed = 0;
    return this.#deps.toPublication(delivery, missed);
  }

  #fail(error: unknown): void {
    if (this.#hasEnded) return;
    const pendingRead = this.#pendingReads.shift();
    if (pendingRead === undefined) this.#failure = { error };
    else pendingRead.reject(error);
    this.end();
  }
}
