import type { Epoch, Gap, HistoryPage } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { type Clock, deferred, type Timer } from "../../connection/clock.js";
import type { Payload } from "../../wire/payload.js";
import { epochAt, gapBetween, isBefore, isNext, isUpTo, type Position } from "../../wire/position.js";
import { isForgotten, isUnborn } from "./unborn.js";

export interface RoomCursorDeps {
  readonly clock: Clock;
  /** Reads the oldest stored publications after a position, with what was lost between epochs if it can be known. */
  readonly read: (since: Position) => Promise<HistoryPage>;
  /** Called when the engine numbers publications after `last` again: it has lost those that had these numbers. */
  readonly onRenumbered: (last: Position) => void;
  /** Called before the cursor leaves an epoch, with its last position in it. */
  readonly onEpochLeft: (last: Position) => void;
  readonly deliver: (delivery: Delivery) => void;
  readonly onGap: (gap: Gap) => void;
  /** Called when missed publications have been delivered. */
  readonly onHealed: () => void;
  /** Called when they could not be read. The cursor tries again later. */
  readonly onError: (error: unknown) => void;
  /** The number of deliveries that may be held during a read. Past it they are dropped, and read too. */
  readonly messagesMax: number;
  /** The number of their bytes. */
  readonly bytesMax: number;
}

/** Held during a read: a publication, or a callback to run after all earlier publications. */
type Held = { readonly delivery: Delivery; readonly position: Position } | { readonly callback: () => void };

interface PositionWaiter {
  readonly top: Position;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The number of characters or bytes in a sample of a publication. */
const sampleSize = 32;
/** Milliseconds until a publication that has not arrived at this node is read. */
const arrivalMs = 100;
/** Milliseconds until a failed read is repeated. */
const retryMs = 1_000;

/**
 * The position of one room on this node. It delivers every publication once and in order: missing publications are read
 * before a newer one is delivered. Those that the history no longer has are reported as a gap.
 */
export class RoomCursor {
  readonly #deps: RoomCursorDeps;
  /** The position of the last delivery; `undefined` until the start is known. */
  #last: Position | undefined;
  /** The position of the first publication that arrived before the start was known. */
  #first: Position | undefined;
  /** The position of the last publication that arrived, and a sample of its content. */
  #arrived: Position | undefined;
  #arrivedSample = 0;
  #isReading = false;
  /** The publications and callbacks that arrived during a read; incomplete if `#hasOverflowed`. */
  #held: Held[] = [];
  #heldCount = 0;
  #heldBytes = 0;
  #hasOverflowed = false;
  #waiters: PositionWaiter[] = [];
  /** Fires when a publication that {@link whenReached} waits for is late. */
  #arrivalTimer: Timer | undefined;
  /** Set after a failed read. Until it fires, nothing is read or held. */
  #retryTimer: Timer | undefined;
  #isEnded = false;

  constructor(deps: RoomCursorDeps) {
    this.#deps = deps;
  }

  get last(): Position | undefined {
    return this.#last;
  }

  /**
   * Sets the start: the last publication before the channel was subscribed, or the first that arrived if that is older.
   */
  begin(top: Position): void {
    if (this.#isEnded || this.#last !== undefined) return;
    const first = this.#first;
    const hasArrived = first !== undefined && isUpTo(top, first);
    this.#last = hasArrived ? { epoch: first.epoch, offset: first.offset - 1 } : top;
    if (this.#hasOverflowed || !this.#deliverHeld(true)) this.#heal();
  }

  /** A publication has arrived. */
  onArrival(delivery: Delivery): void {
    const { position } = delivery;
    const last = this.#last;
    if (this.#isEnded || position === undefined) return;
    if (last !== undefined && isUpTo(last, position)) {
      this.#onSeenBefore(delivery, position);
      return;
    }
    this.#noteArrival(delivery, position);
    // The engine has stored it. It will be read later.
    if (this.#retryTimer !== undefined) return;
    if (last !== undefined && !this.#isReading && isNext(last, position)) {
      this.#deliver(delivery, position);
    } else if (last !== undefined && !this.#isReading && isUnborn(last) && position.offset === 1) {
      this.#passOver({ position: { epoch: position.epoch, offset: 0 }, missed: 0 });
      this.#deliver(delivery, position);
    } else {
      this.#first ??= position;
      this.#hold(delivery, position);
      if (last !== undefined && !this.#isReading) this.#heal();
    }
  }

  /** A publication arrived that was read before, unless it has a number that another one had. */
  #onSeenBefore(delivery: Delivery, position: Position): void {
    const arrived = this.#arrived;
    const isAgain = arrived !== undefined && isUpTo(arrived, position);
    // The same publication may arrive twice, such as in a failover.
    const isSame = arrived?.offset === position.offset && this.#arrivedSample === sampleOf(delivery.payload);
    this.#noteArrival(delivery, position);
    if (isAgain && !isSame) this.#deps.onRenumbered({ epoch: position.epoch, offset: position.offset - 1 });
  }

  #noteArrival({ payload }: Delivery, position: Position): void {
    this.#arrived = position;
    this.#arrivedSample = sampleOf(payload);
  }

  /** Runs `callback` after all earlier publications. */
  afterPending(callback: () => void): void {
    if (this.#last === undefined || this.#isReading) this.#held.push({ callback });
    else callback();
  }

  /** Reads missed publications, if this node has not reached `top`, the last one. */
  compare(top: Position): void {
    const last = this.#last;
    if (this.#isReading || last === undefined || isUpTo(last, top) || isForgotten(last, top)) return;
    // Clients learn of the new position, since the old one cannot be used for much longer.
    if (isUnborn(last) && isUnborn(top)) this.#passOver({ position: top, missed: 0 });
    else this.#heal();
  }

  /**
   * Resolves when every publication up to `top` is delivered or reported as a gap; `undefined` if that has happened.
   * Rejects when they cannot be read.
   */
  whenReached(top: Position): Promise<void> | undefined {
    if (this.#isEnded || isUnborn(top) || this.#last === undefined || isUpTo(this.#last, top)) return undefined;
    const { promise, resolve, reject } = deferred<void>();
    this.#waitFor([{ top, resolve, reject }]);
    return promise;
  }

  #waitFor(waiters: readonly PositionWaiter[]): void {
    this.#waiters.push(...waiters);
    this.#arrivalTimer ??= this.#deps.clock.setTimeout(() => {
      this.#arrivalTimer = undefined;
      const [waiter] = this.#waiters;
      if (waiter !== undefined) this.compare(waiter.top);
    }, arrivalMs);
  }

  /** Rejects the promises of {@link whenReached}, since publications cannot be read now. */
  rejectWaiting(error: unknown): void {
    this.#settleWaiters((waiter) => waiter.reject(error));
  }

  /** The room is closed on this node. */
  end(): void {
    this.#isEnded = true;
    this.#retryTimer?.cancel();
    this.#dropHeld();
    this.#settleWaiters((waiter) => waiter.resolve());
  }

  #settleWaiters(settle: (waiter: PositionWaiter) => unknown): void {
    this.#arrivalTimer?.cancel();
    this.#arrivalTimer = undefined;
    for (const waiter of this.#waiters.splice(0)) settle(waiter);
  }

  #hold(delivery: Delivery, position: Position): void {
    this.#held.push({ delivery, position });
    this.#heldCount += 1;
    this.#heldBytes += delivery.payload.data.length;
    const { messagesMax, bytesMax } = this.#deps;
    if (this.#heldCount <= messagesMax && this.#heldBytes <= bytesMax) return;
    // The engine has stored all of them. They will be read.
    this.#hasOverflowed = true;
    this.#dropHeld();
  }

  #dropHeld(): void {
    this.#held = this.#held.filter((held) => "callback" in held);
    this.#heldCount = 0;
    this.#heldBytes = 0;
  }

  #heal(): void {
    this.#isReading = true;
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
    this.#readMissing().catch((error) => {
      this.#isReading = false;
      this.#dropHeld();
      this.#runCallbacks();
      if (!this.#isEnded) this.#retryTimer = this.#deps.clock.setTimeout(() => this.#heal(), retryMs);
      this.#deps.onError(error);
      this.rejectWaiting(error);
    });
  }

  async #readMissing(): Promise<void> {
    let waiters: readonly PositionWaiter[] = [];
    for (let last = this.#last; last !== undefined && !this.#isEnded; last = this.#last) {
      this.#hasOverflowed = false;
      const before = new Set(this.#held);
      waiters = [...this.#waiters];
      const page = await this.#deps.read(last);
      if (this.#isEnded) return;
      const isComplete = this.#deliverPage(page) && !this.#hasOverflowed;
      const isEmpty = this.#deliverHeld(isComplete);
      if (isEmpty && isComplete) break;
      if (isComplete) this.#dropUnreadable(before);
    }
    // There is no await since the last check of the held publications, so none has arrived meanwhile.
    this.#isReading = false;
    this.#runCallbacks();
    this.#settleAfterRead(waiters);
  }

  /** @param waiters Those from before the read. The page may lack what later ones wait for. */
  #settleAfterRead(waiters: readonly PositionWaiter[]): void {
    const isDone = (waiter: PositionWaiter) =>
      waiters.includes(waiter) || (this.#last !== undefined && isUpTo(this.#last, waiter.top));
    const later = this.#waiters.filter((waiter) => !isDone(waiter));
    this.#settleWaiters((waiter) => isDone(waiter) && waiter.resolve());
    if (later.length > 0) this.#waitFor(later);
  }

  /** Delivers a page that was read. Returns true if it was the last page. */
  #deliverPage({ top, epochs, readTo, deliveries }: HistoryPage): boolean {
    if (this.#last !== undefined && isForgotten(this.#last, top)) return true;
    for (const delivery of deliveries) {
      const { position } = delivery;
      if (position === undefined) continue;
      this.#runCallbacksBefore(position);
      this.#skipTo(position, epochs);
      this.#deliver(delivery, position);
    }
    if (deliveries.length > 0) this.#deps.onHealed();
    const end = readTo ?? (deliveries.length > 0 ? undefined : top.offset);
    if (end !== undefined) this.#skipTo({ epoch: epochAt(epochs, end + 1), offset: end + 1 }, epochs);
    return this.#last !== undefined && isUpTo(this.#last, top);
  }

  /** Reports the gap before `next`, if there is one. The history does not have these publications. */
  #skipTo(next: Position, epochs: readonly Epoch[]): void {
    const gap = this.#last && gapBetween(this.#last, next, epochs);
    if (gap !== undefined) this.#passOver(gap);
  }

  #passOver(gap: Gap): void {
    const last = this.#last;
    if (last !== undefined && last.epoch !== gap.position.epoch && !isUnborn(last)) this.#deps.onEpochLeft(last);
    this.#last = gap.position;
    this.#deps.onGap(gap);
  }

  /** Runs the held callbacks that came before a publication that is held, and was read too. */
  #runCallbacksBefore(next: Position): void {
    if (this.#heldCount === this.#held.length) return;
    const index = this.#held.findIndex((held) => "position" in held && !isBefore(held.position, next));
    const found = this.#held[index];
    if (found === undefined || !("position" in found) || !isUpTo(next, found.position)) return;
    for (const held of this.#held.splice(0, index)) if ("callback" in held) held.callback();
    this.#recount();
  }

  /** Drops publications that a complete read did not return: they are of another epoch, or malformed. */
  #dropUnreadable(before: ReadonlySet<Held>): void {
    this.#held = this.#held.filter((held) => {
      if ("callback" in held || !before.has(held)) return true;
      // What arrives next has a lower number, but not one that is given out again.
      if (held.position === this.#arrived) this.#arrived = undefined;
      return false;
    });
  }

  #recount(): void {
    const deliveries = this.#held.flatMap((held) => ("delivery" in held ? [held.delivery] : []));
    this.#heldCount = deliveries.length;
    this.#heldBytes = deliveries.reduce((sum, { payload }) => sum + payload.data.length, 0);
  }

  /**
   * Delivers the held publications up to the first gap. Returns true if none is left.
   *
   * @param isComplete True if no earlier publication is missing, so that callbacks may run.
   */
  #deliverHeld(isComplete: boolean): boolean {
    const held = this.#held;
    this.#held = [];
    for (const [index, one] of held.entries()) {
      if ("callback" in one) {
        if (isComplete) {
          one.callback();
          continue;
        }
        this.#held = held.slice(index);
        return false;
      }
      const last = this.#last;
      if (last === undefined || isUpTo(last, one.position)) continue;
      if (!isNext(last, one.position)) {
        this.#held = held.slice(index);
        return false;
      }
      this.#deliver(one.delivery, one.position);
    }
    this.#dropHeld();
    return true;
  }

  /** Runs the held callbacks. The publications before them will not arrive. */
  #runCallbacks(): void {
    const held = this.#held.splice(0);
    for (const one of held) if ("callback" in one) one.callback();
  }

  #deliver(delivery: Delivery, position: Position): void {
    this.#last = position;
    this.#deps.deliver(delivery);
    if (this.#waiters.length === 0) return;
    const reached = this.#waiters.filter(({ top }) => isUpTo(position, top));
    this.#waiters = this.#waiters.filter(({ top }) => !isUpTo(position, top));
    for (const { resolve } of reached) resolve();
  }
}

/** A number that differs, as a rule, for different content. */
function sampleOf({ data }: Payload): number {
  const step = Math.max(1, Math.floor(data.length / sampleSize));
  let sample = data.length;
  for (let at = 0; at < data.length; at += step) {
    sample = (Math.imul(sample, 31) + (typeof data === "string" ? data.charCodeAt(at) : (data[at] ?? 0))) | 0;
  }
  return sample;
}
