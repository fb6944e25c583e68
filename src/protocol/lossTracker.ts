import type { DeliveryPolicy } from "../connection/policy.js";
import type { Position } from "../wire/position.js";

/** Messages that were dropped for a client. */
export interface Loss {
  /** How many. */
  readonly missed: number;
  /** The position after them, if they were publications to its home. */
  readonly position?: Position;
}

/** Tracks the messages that were dropped for a client that tracks positions, to notify the client of them. */
export class LossTracker {
  /** Dropped messages without a position. */
  #lostCount = 0;
  /** The last offset that was sent. */
  #sentOffset = 0;
  /** The last position that was dropped; `undefined` if another one was sent after it. */
  #lostPosition: Position | undefined;

  /** @param offset The offset where the client begins. */
  begin(offset: number): void {
    this.#sentOffset = offset;
  }

  recordSent(position: Position | undefined): void {
    if (position === undefined) return;
    this.#sentOffset = position.offset;
    this.#lostPosition = undefined;
  }

  /** With the policy `skip` the message at `position` was dropped; with `latest` it replaced an earlier one. */
  recordDropped(position: Position | undefined, policy: DeliveryPolicy): void {
    if (position === undefined) this.#lostCount += 1;
    else if (policy.kind === "skip") this.#lostPosition = position;
    else this.recordSent(position);
  }

  /** Counts messages without a position that the client will not get. */
  recordLoss(count: number): void {
    this.#lostCount += count;
  }

  /** Takes the losses since the last call, without those that a jump to the next offset shows. */
  take(): Loss[] {
    const [missed, position] = [this.#lostCount, this.#lostPosition];
    this.#lostCount = 0;
    const counted = missed > 0 ? [{ missed }] : [];
    if (position === undefined) return counted;
    const last = { missed: position.offset - this.#sentOffset, position };
    this.recordSent(position);
    return [...counted, last];
  }
}
