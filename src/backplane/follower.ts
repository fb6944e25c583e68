import { type Clock, deferred, type Timer } from "../connection/clock.js";
import type { Position } from "../wire/position.js";
import type { Delivery, Kept, Loss } from "./backplane.js";

export interface FollowerParts {
  readonly clock: Clock;
  /** Reads the first ones that are kept after a position. */
  readonly read: (since: Position) => Promise<Kept>;
  readonly deliver: (delivery: Delivery) => void;
  readonly lagged: (loss: Loss) => void;
  /** Told when something that was missed has been delivered. */
  readonly healed: () => void;
  /** Told when it could not be read; the next look tries again. */
  readonly failed: (error: unknown) => void;
  /** Deliveries, and bytes of them, that may wait while it is read; what does not fit is read again. */
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** Milliseconds that a publication may be on its way to this node, before it is taken for lost. */
const underWayMs = 100;

/**
 * How far one room has come on this node: what is missing between two publications is read before the second is
 * delivered, nothing is delivered twice, and what is not kept any more is told as lost.
 */
export class Follower {
  readonly #parts: FollowerParts;
  /** Of what was delivered last; `undefined` before it is known where to begin. */
  #last: Position | undefined;
  #reading = false;
  /** What was published while something was read; no longer all of it when `#overflowed`. */
  #held: Delivery[] = [];
  #heldBytes = 0;
  #overflowed = false;
  #waiting: { readonly top: Position; readonly resolve: () => void }[] = [];
  #patience: Timer | undefined;
  #over = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  get last(): Position | undefined {
    return this.#last;
  }

  /** Where the room stands now that this node hears it: what is before was never for this node. */
  begin(top: Position): void {
    if (this.#over || this.#last !== undefined) return;
    this.#last = top;
    if (this.#overflowed || !this.#deliverHeld()) this.#heal();
  }

  /** Takes what was published just now. */
  take(delivery: Delivery): void {
    const { position } = delivery;
    const last = this.#last;
    if (this.#over || position === undefined || (last !== undefined && isAt(last, position))) return;
    if (last !== undefined && !this.#reading && follows(last, position)) {
      this.#deliver(delivery, position);
    } else {
      this.#hold(delivery);
      if (last !== undefined && !this.#reading) this.#heal();
    }
  }

  /** Reads what this node has not, if the room is not where it is known to be. */
  compare(top: Position): void {
    if (!this.#reading && this.#last !== undefined && !isAt(this.#last, top)) this.#heal();
  }

  /** Resolves when everything up to `top` was delivered, or told as lost; `undefined` when it was. */
  reached(top: Position): Promise<void> | undefined {
    if (this.#over || this.#last === undefined || isAt(this.#last, top)) return undefined;
    const { promise, resolve } = deferred<void>();
    this.#waiting.push({ top, resolve });
    this.#patience ??= this.#parts.clock.setTimeout(() => {
      this.#patience = undefined;
      for (const waiting of this.#waiting.slice(0, 1)) this.compare(waiting.top);
    }, underWayMs);
    return promise;
  }

  /** The room is not wanted any more, or cannot be read. */
  end(): void {
    this.#over = true;
    this.#held = [];
    this.release();
  }

  /** Lets go of whoever waits; what they wait for cannot be had now. */
  release(): void {
    this.#patience?.cancel();
    this.#patience = undefined;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #hold(delivery: Delivery): void {
    this.#held.push(delivery);
    this.#heldBytes += delivery.payload.data.length;
    const { messagesMax, bytesMax } = this.#parts;
    if (this.#held.length <= messagesMax && this.#heldBytes <= bytesMax) return;
    // All of it is kept, and will be read.
    this.#overflowed = true;
    this.#letGo();
  }

  #letGo(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }

  #heal(): void {
    this.#reading = true;
    this.#readOn().catch((error) => {
      this.#letGo();
      this.#stopReading();
      this.#parts.failed(error);
    });
  }

  async #readOn(): Promise<void> {
    for (let last = this.#last; last !== undefined && !this.#over; last = this.#last) {
      this.#overflowed = false;
      const kept = await this.#parts.read(last);
      if (this.#over) return;
      const isComplete = this.#catchUp(last, kept);
      if (this.#deliverHeld() && isComplete && !this.#overflowed) break;
    }
    // In the same breath as the look at what is held: nothing comes between.
    this.#stopReading();
  }

  #stopReading(): void {
    this.#reading = false;
    this.release();
  }

  /** Delivers what was read; whether that was all there is. */
  #catchUp(last: Position, { top, base = 0, deliveries }: Kept): boolean {
    const isSame = last.epoch === top.epoch && last.offset <= top.offset;
    // What is older than the epoch was numbered anew with it, and is not new.
    const fresh = isSame ? deliveries : deliveries.filter(({ position }) => (position?.offset ?? 0) > base);
    for (const delivery of fresh) {
      const { position } = delivery;
      if (position === undefined) continue;
      this.#skipTo(position.epoch, position.offset - 1);
      this.#deliver(delivery, position);
    }
    if (fresh.length > 0) this.#parts.healed();
    else this.#skipTo(top.epoch, top.offset);
    return this.#last !== undefined && isAt(this.#last, top);
  }

  /** What lies between the last one and this offset is not kept any more. */
  #skipTo(epoch: string, offset: number): void {
    const last = this.#last;
    const isSame = last?.epoch === epoch;
    if (last === undefined || (isSame && last.offset >= offset)) return;
    this.#last = { epoch, offset };
    this.#parts.lagged({ position: this.#last, missed: isSame ? offset - last.offset : undefined });
  }

  /** Delivers what waited, as far as it follows; whether that was all. */
  #deliverHeld(): boolean {
    const held = this.#held;
    this.#letGo();
    for (const [index, delivery] of held.entries()) {
      const { position } = delivery;
      const last = this.#last;
      if (position === undefined || last === undefined || isAt(last, position)) continue;
      if (!follows(last, position)) {
        this.#held = held.slice(index);
        return false;
      }
      this.#deliver(delivery, position);
    }
    return true;
  }

  #deliver(delivery: Delivery, position: Position): void {
    this.#last = position;
    this.#parts.deliver(delivery);
    if (this.#waiting.length === 0) return;
    const last = position;
    const reached = this.#waiting.filter(({ top }) => isAt(last, top));
    this.#waiting = this.#waiting.filter(({ top }) => !isAt(last, top));
    for (const { resolve } of reached) resolve();
  }
}

function follows(last: Position, next: Position): boolean {
  return next.epoch === last.epoch && next.offset === last.offset + 1;
}

/** Whether `last` is `position`, or after it. */
function isAt(last: Position, position: Position): boolean {
  return last.epoch === position.epoch && last.offset >= position.offset;
}
