import type { HistoryQuery } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { type FirstPage, Handover } from "./handover.js";
import type { HistoryPages } from "./historyPages.js";
import type { Publication } from "./publication.js";

/** The part of the history that a subscription begins with. */
export interface SubscriptionPast {
  readonly query: HistoryQuery;
  readonly pages: HistoryPages;
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

/** A publication that waits for the loop. */
interface WaitingPublication {
  readonly delivery: Delivery;
  /** How many publications directly before it are missing. */
  missed: number;
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
 * of the next publication is their number. History is read as fast as the loop takes it.
 */
export class Subscription implements AsyncIterableIterator<Publication> {
  readonly #deps: SubscriptionDeps;
  readonly #waiting: WaitingPublication[] = [];
  readonly #pendingReads: PendingRead[] = [];
  #handover: Handover | undefined;
  /** Continues the handover when the loop has taken all that waits for it. */
  #onTaken: (() => void) | undefined;
  /** How many publications are missing before the next one that arrives. */
  #missed = 0;
  #hasEnded = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: SubscriptionDeps) {
    this.#deps = deps;
    const { past, messagesMax } = deps;
    if (past === undefined) return;
    this.#handover = new Handover({
      readAfter: (since) => past.pages.after(since),
      messagesMax,
      bytesMax: Number.POSITIVE_INFINITY,
      deliver: (delivery) => {
        this.#push(delivery);
        return this.#waiting.length < messagesMax ? undefined : this.#untilTaken();
      },
      isLagging: () => false,
      waitForTurn: () => this.#untilTaken(),
      onGap: ({ missed = 1 }) => {
        // An unknown number is at least 1.
        this.#missed += missed;
      },
      onSkipped: (count) => {
        this.#missed += count;
      },
      onLive: () => {
        this.#handover = undefined;
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
    const handover = this.#handover;
    if (past === undefined || handover === undefined) return;
    const first = () => (subscribed === undefined ? readFirst(past) : subscribed.then(() => readFirst(past)));
    const reading = handover.begin(first).then((isDone) => (isDone ? undefined : handover.finish()));
    reading.catch((error) => this.#fail(error));
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
    const next = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#onTaken?.();
    if (next !== undefined) return Promise.resolve({ done: false, value: this.#toPublication(next) });
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
    this.#handover?.cancel();
    this.#onTaken?.();
    this.#deps.onEnd();
    for (const { resolve } of this.#pendingReads.splice(0)) resolve({ done: true, value: undefined });
  }

  #push(delivery: Delivery): void {
    if (this.#hasEnded) return;
    const arrived = { delivery, missed: this.#missed };
    this.#missed = 0;
    const pendingRead = this.#pendingReads.shift();
    if (pendingRead !== undefined) {
      pendingRead.resolve({ done: false, value: this.#toPublication(arrived) });
      return;
    }
    this.#waiting.push(arrived);
    if (this.#waiting.length <= this.#deps.messagesMax) return;
    const dropped = this.#waiting.shift();
    const [next] = this.#waiting;
    if (next !== undefined && dropped !== undefined) next.missed += dropped.missed + 1;
  }

  /** Resolves when nothing waits for the loop any more; `undefined` if nothing does. */
  #untilTaken(): Promise<void> | undefined {
    if (this.#waiting.length === 0 || this.#hasEnded) return undefined;
    return new Promise((resolve) => {
      this.#onTaken = resolve;
    });
  }

  #toPublication({ delivery, missed }: WaitingPublication): Publication {
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

async function readFirst({ query: { since, limit }, pages }: SubscriptionPast): Promise<FirstPage> {
  return since === undefined ? pages.last(limit) : { page: await pages.after(since), position: since };
}
