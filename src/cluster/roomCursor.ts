import type { Gap, HistoryPage } from "../backplane/backplane.js";
import type { Delivery } from "../backplane/delivery.js";
import { type Clock, deferred, type Timer } from "../connection/clock.js";
import { isNext, isUpTo, type Position } from "../wire/position.js";

export interface RoomCursorDeps {
  readonly clock: Clock;
  /** Reads the first ones that are kept after a position. */
  readonly read: (since: Position) => Promise<HistoryPage>;
  readonly deliver: (delivery: Delivery) => void;
  readonly lagged: (loss: Gap) => void;
  /** Told when something that was missed has been delivered. */
  readonly healed: () => void;
  /** Told when it could not be read; the next look tries again. */
  readonly failed: (error: unknown) => void;
  /** Deliveries, and bytes of them, that may wait while it is read; what does not fit is read again. */
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** What waits: a publication with its place, or what comes behind whatever was published before it. */
type Held = { readonly delivery: Delivery; readonly position: Position } | { readonly act: () => void };

interface Waiting {
  readonly top: Position;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Milliseconds that a publication may be on its way to this node, before it is taken for lost. */
const underWayMs = 100;
/** Milliseconds until what could not be read is tried again. */
const retryMs = 1_000;

/**
 * How far one room has come on this node: what is missing between two publications is read before the second is
 * delivered, nothing is delivered twice, and what is not kept any more is told as lost.
 */
export class RoomCursor {
  readonly #deps: RoomCursorDeps;
  /** Of what was delivered last; `undefined` before it is known where to begin. */
  #last: Position | undefined;
  /** Of what was heard first, before that was known. */
  #first: Position | undefined;
  #reading = false;
  /** What was published while something was read; no longer all of it when `#overflowed`. */
  #held: Held[] = [];
  #heldCount = 0;
  #heldBytes = 0;
  #overflowed = false;
  #waiting: Waiting[] = [];
  #patience: Timer | undefined;
  /** Until then nothing is tried, and nothing held. */
  #retry: Timer | undefined;
  #over = false;

  constructor(deps: RoomCursorDeps) {
    this.#deps = deps;
  }

  get last(): Position | undefined {
    return this.#last;
  }

  /** Where the room stands now that this node hears it: what is before was never for this node, unless it heard it. */
  begin(top: Position): void {
    if (this.#over || this.#last !== undefined) return;
    const first = this.#first;
    const isHeard = first !== undefined && isUpTo(top, first);
    this.#last = isHeard ? { epoch: first.epoch, offset: first.offset - 1 } : top;
    if (this.#overflowed || !this.#deliverHeld(true)) this.#heal();
  }

  /** Takes what was published just now. */
  take(delivery: Delivery): void {
    const { position } = delivery;
    const last = this.#last;
    if (this.#over || position === undefined || (last !== undefined && isUpTo(last, position))) return;
    // It is kept, and read with all else when it can be.
    if (this.#retry !== undefined) return;
    if (last !== undefined && !this.#reading && isNext(last, position)) {
      this.#deliver(delivery, position);
    } else {
      this.#first ??= position;
      this.#hold(delivery, position);
      if (last !== undefined && !this.#reading) this.#heal();
    }
  }

  /** Does what comes behind all that was published before. */
  afterPending(act: () => void): void {
    if (this.#last === undefined || this.#reading) this.#held.push({ act });
    else act();
  }

  /** Reads what this node has not, if the room is not where it is known to be. */
  compare(top: Position): void {
    if (!this.#reading && this.#last !== undefined && !isUpTo(this.#last, top)) this.#heal();
  }

  /** Resolves when everything up to `top` was delivered, or told as lost; `undefined` when it was. Rejects when it cannot be. */
  reached(top: Position): Promise<void> | undefined {
    if (this.#over || this.#last === undefined || isUpTo(this.#last, top)) return undefined;
    const { promise, resolve, reject } = deferred<void>();
    this.#waiting.push({ top, resolve, reject });
    this.#patience ??= this.#deps.clock.setTimeout(() => {
      this.#patience = undefined;
      const [waiting] = this.#waiting;
      if (waiting !== undefined) this.compare(waiting.top);
    }, underWayMs);
    return promise;
  }

  /** What anybody waits for cannot be had now. */
  rejectWaiting(error: unknown): void {
    this.#stopWaiting((waiting) => waiting.reject(error));
  }

  /** The room is not wanted any more. */
  end(): void {
    this.#over = true;
    this.#retry?.cancel();
    this.#letGo();
    this.#stopWaiting((waiting) => waiting.resolve());
  }

  #stopWaiting(tell: (waiting: Waiting) => void): void {
    this.#patience?.cancel();
    this.#patience = undefined;
    for (const waiting of this.#waiting.splice(0)) tell(waiting);
  }

  #hold(delivery: Delivery, position: Position): void {
    this.#held.push({ delivery, position });
    this.#heldCount += 1;
    this.#heldBytes += delivery.payload.data.length;
    const { messagesMax, bytesMax } = this.#deps;
    if (this.#heldCount <= messagesMax && this.#heldBytes <= bytesMax) return;
    // All of it is kept, and will be read.
    this.#overflowed = true;
    this.#letGo();
  }

  #letGo(): void {
    this.#held = this.#held.filter((held) => "act" in held);
    this.#heldCount = 0;
    this.#heldBytes = 0;
  }

  #heal(): void {
    this.#reading = true;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#readOn().catch((error) => {
      this.#reading = false;
      this.#letGo();
      this.#act();
      if (!this.#over) this.#retry = this.#deps.clock.setTimeout(() => this.#heal(), retryMs);
      this.#deps.failed(error);
      this.rejectWaiting(error);
    });
  }

  async #readOn(): Promise<void> {
    for (let last = this.#last; last !== undefined && !this.#over; last = this.#last) {
      this.#overflowed = false;
      const before = new Set(this.#held);
      const kept = await this.#deps.read(last);
      if (this.#over) return;
      const isComplete = this.#catchUp(last, kept) && !this.#overflowed;
      const isEmpty = this.#deliverHeld(isComplete);
      if (isEmpty && isComplete) break;
      if (isComplete) {
        // Of another life of the room, or of none: nothing that is read will ever lead there.
        this.#held = this.#held.filter((held) => "act" in held || !before.has(held));
      }
    }
    // In the same breath as the look at what is held: nothing comes between.
    this.#reading = false;
    this.#act();
    this.#stopWaiting((waiting) => waiting.resolve());
  }

  /** Delivers what was read; whether that was all there is. */
  #catchUp(last: Position, { top, base = 0, readTo, deliveries }: HistoryPage): boolean {
    const isSame = last.epoch === top.epoch && last.offset <= top.offset;
    // What is older than the epoch was numbered anew with it, and is not new.
    const fresh = isSame ? deliveries : deliveries.filter(({ position }) => (position?.offset ?? 0) > base);
    for (const delivery of fresh) {
      const { position } = delivery;
      if (position === undefined) continue;
      this.#skipTo(position.epoch, position.offset - 1);
      this.#deliver(delivery, position);
    }
    if (fresh.length > 0) this.#deps.healed();
    this.#skipTo(top.epoch, Math.max(base, readTo ?? (deliveries.length > 0 ? 0 : top.offset)));
    return this.#last !== undefined && isUpTo(this.#last, top);
  }

  /** What lies between the last one and this offset is not kept any more. */
  #skipTo(epoch: string, offset: number): void {
    const last = this.#last;
    const isSame = last?.epoch === epoch;
    if (last === undefined || (isSame && last.offset >= offset)) return;
    this.#last = { epoch, offset };
    this.#deps.lagged({ position: this.#last, missed: isSame ? offset - last.offset : undefined });
  }

  /**
   * Delivers what waited, as far as it follows; whether that was all.
   *
   * @param acts Whether nothing is missing any more of what was published before that which is to be done.
   */
  #deliverHeld(acts: boolean): boolean {
    const held = this.#held;
    this.#held = [];
    for (const [index, one] of held.entries()) {
      if ("act" in one) {
        if (acts) {
          one.act();
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
    this.#letGo();
    return true;
  }

  /** Does what waited for publications that do not come. */
  #act(): void {
    const held = this.#held.splice(0);
    for (const one of held) if ("act" in one) one.act();
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
