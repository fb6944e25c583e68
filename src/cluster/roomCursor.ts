import type { Gap, HistoryPage } from "../backplane/backplane.js";
import type { Delivery } from "../backplane/delivery.js";
import { type Clock, deferred, type Timer } from "../connection/clock.js";
import { isNext, isUpTo, type Position } from "../wire/position.js";

export interface RoomCursorDeps {
  readonly clock: Clock;
  /** Reads the first ones that are kept after a position. */
  readonly read: (since: Position) => Promise<HistoryPage>;
  readonly deliver: (delivery: Delivery) => void;
  readonly onGap: (gap: Gap) => void;
  /** Called when missed publications have been delivered. */
  readonly onHealed: () => void;
  /** Called when they could not be read; it is tried again later. */
  readonly onError: (error: unknown) => void;
  /** Deliveries, and bytes of them, that may be held during a read; past it they are dropped and read as well. */
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** What is held during a read: a publication, or a callback that runs after the publications before it. */
type Held = { readonly delivery: Delivery; readonly position: Position } | { readonly callback: () => void };

interface Waiting {
  readonly top: Position;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Milliseconds for a publication to arrive at this node before it counts as lost. */
const arrivalMs = 100;
/** Milliseconds until a failed read is tried again. */
const retryMs = 1_000;

/**
 * The position of one room on this node. Publications that are missing before a newer one are read and delivered first,
 * none is delivered twice, and those that are no longer kept are reported as a gap.
 */
export class RoomCursor {
  readonly #deps: RoomCursorDeps;
  /** Of the last delivery; `undefined` until the start is known. */
  #last: Position | undefined;
  /** Of the first publication that arrived before the start was known. */
  #first: Position | undefined;
  #isReading = false;
  /** What arrived during a read; incomplete when `#hasOverflowed`. */
  #held: Held[] = [];
  #heldCount = 0;
  #heldBytes = 0;
  #hasOverflowed = false;
  #waiting: Waiting[] = [];
  /** Fires when what {@link reached} waits for is late. */
  #arrivalTimer: Timer | undefined;
  /** Set after a failed read: until it fires nothing is read or held. */
  #retry: Timer | undefined;
  #isEnded = false;

  constructor(deps: RoomCursorDeps) {
    this.#deps = deps;
  }

  get last(): Position | undefined {
    return this.#last;
  }

  /** Sets the start: the last publication when the channel was subscribed, or the first that arrived if that is older. */
  begin(top: Position): void {
    if (this.#isEnded || this.#last !== undefined) return;
    const first = this.#first;
    const hasArrived = first !== undefined && isUpTo(top, first);
    this.#last = hasArrived ? { epoch: first.epoch, offset: first.offset - 1 } : top;
    if (this.#hasOverflowed || !this.#deliverHeld(true)) this.#heal();
  }

  /** Takes a publication that has just arrived. */
  take(delivery: Delivery): void {
    const { position } = delivery;
    const last = this.#last;
    if (this.#isEnded || position === undefined || (last !== undefined && isUpTo(last, position))) return;
    // It is kept by the engine, and read with the others later.
    if (this.#retry !== undefined) return;
    if (last !== undefined && !this.#isReading && isNext(last, position)) {
      this.#deliver(delivery, position);
    } else {
      this.#first ??= position;
      this.#hold(delivery, position);
      if (last !== undefined && !this.#isReading) this.#heal();
    }
  }

  /** Calls back after all publications that came before. */
  afterPending(callback: () => void): void {
    if (this.#last === undefined || this.#isReading) this.#held.push({ callback });
    else callback();
  }

  /** Reads what this node has missed, given the position of the last publication. */
  compare(top: Position): void {
    if (!this.#isReading && this.#last !== undefined && !isUpTo(this.#last, top)) this.#heal();
  }

  /**
   * Resolves when everything up to `top` was delivered or reported as a gap; `undefined` when that is so already. Rejects
   * when it cannot be read.
   */
  reached(top: Position): Promise<void> | undefined {
    if (this.#isEnded || this.#last === undefined || isUpTo(this.#last, top)) return undefined;
    const { promise, resolve, reject } = deferred<void>();
    this.#waiting.push({ top, resolve, reject });
    this.#arrivalTimer ??= this.#deps.clock.setTimeout(() => {
      this.#arrivalTimer = undefined;
      const [waiting] = this.#waiting;
      if (waiting !== undefined) this.compare(waiting.top);
    }, arrivalMs);
    return promise;
  }

  /** Rejects what waits in {@link reached}: publications cannot be read now. */
  rejectWaiting(error: unknown): void {
    this.#stopWaiting((waiting) => waiting.reject(error));
  }

  /** The room is closed on this node. */
  end(): void {
    this.#isEnded = true;
    this.#retry?.cancel();
    this.#dropHeld();
    this.#stopWaiting((waiting) => waiting.resolve());
  }

  #stopWaiting(settle: (waiting: Waiting) => void): void {
    this.#arrivalTimer?.cancel();
    this.#arrivalTimer = undefined;
    for (const waiting of this.#waiting.splice(0)) settle(waiting);
  }

  #hold(delivery: Delivery, position: Position): void {
    this.#held.push({ delivery, position });
    this.#heldCount += 1;
    this.#heldBytes += delivery.payload.data.length;
    const { messagesMax, bytesMax } = this.#deps;
    if (this.#heldCount <= messagesMax && this.#heldBytes <= bytesMax) return;
    // All of it is kept by the engine, and will be read.
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
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#readMissing().catch((error) => {
      this.#isReading = false;
      this.#dropHeld();
      this.#runCallbacks();
      if (!this.#isEnded) this.#retry = this.#deps.clock.setTimeout(() => this.#heal(), retryMs);
      this.#deps.onError(error);
      this.rejectWaiting(error);
    });
  }

  async #readMissing(): Promise<void> {
    for (let last = this.#last; last !== undefined && !this.#isEnded; last = this.#last) {
      this.#hasOverflowed = false;
      const before = new Set(this.#held);
      const page = await this.#deps.read(last);
      if (this.#isEnded) return;
      const isComplete = this.#catchUp(last, page) && !this.#hasOverflowed;
      const isEmpty = this.#deliverHeld(isComplete);
      if (isEmpty && isComplete) break;
      if (isComplete) {
        // Of another epoch, or malformed: no read will ever reach them.
        this.#held = this.#held.filter((held) => "callback" in held || !before.has(held));
      }
    }
    // No await since the last check of what is held: nothing can have arrived in between.
    this.#isReading = false;
    this.#runCallbacks();
    this.#stopWaiting((waiting) => waiting.resolve());
  }

  /** Delivers what was read. Returns whether this was the last page. */
  #catchUp(last: Position, { top, base = 0, readTo, deliveries }: HistoryPage): boolean {
    const isSame = last.epoch === top.epoch && last.offset <= top.offset;
    // Publications that are older than the epoch were renumbered when it began; they were delivered before.
    const fresh = isSame ? deliveries : deliveries.filter(({ position }) => (position?.offset ?? 0) > base);
    for (const delivery of fresh) {
      const { position } = delivery;
      if (position === undefined) continue;
      this.#skipTo(position.epoch, position.offset - 1);
      this.#deliver(delivery, position);
    }
    if (fresh.length > 0) this.#deps.onHealed();
    this.#skipTo(top.epoch, Math.max(base, readTo ?? (deliveries.length > 0 ? 0 : top.offset)));
    return this.#last !== undefined && isUpTo(this.#last, top);
  }

  /** Reports a gap: publications between the last one and this offset are no longer kept. */
  #skipTo(epoch: string, offset: number): void {
    const last = this.#last;
    const isSame = last?.epoch === epoch;
    if (last === undefined || (isSame && last.offset >= offset)) return;
    this.#last = { epoch, offset };
    this.#deps.onGap({ position: this.#last, missed: isSame ? offset - last.offset : undefined });
  }

  /**
   * Delivers what is held, up to the first gap. Returns whether that was all.
   *
   * @param isComplete Whether no earlier publication is missing, so that callbacks may run.
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

  /** Runs the callbacks that are held: the publications before them do not come. */
  #runCallbacks(): void {
    const held = this.#held.splice(0);
    for (const one of held) if ("callback" in one) one.callback();
  }

  #deliver(delivery: Delivery, position: Position): void {
    this.#last = position;
    this.#deps.deliver(delivery);
    if (this.#waiting.length === 0) return;
    const reached = this.#waiting.filter(({ top }) => isUpTo(position, top));
    this.#waiting = this.#waiting.filter(({ top }) => !isUpTo(position, top));
    for (const { resolve } of reached) resolve();
  }
}
