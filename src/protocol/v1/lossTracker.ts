import type { DeliveryPolicy } from "../../connection/policy.js";
import type { Position } from "../../wire/position.js";
import { frameText } from "./frames.js";

/** What a client of `enfilade.v1` was sent and what was dropped for it, so that it can be told of what it lost. */
export class LossTracker {
  /** Messages without a number that were dropped. */
  #lost = 0;
  /** The last number that was sent, and the last that was dropped, if none was sent after it. */
  #sentOffset = 0;
  #lostPosition: Position | undefined;

  /** @param offset The number that the client has. */
  begin(offset: number): void {
    this.#sentOffset = offset;
  }

  sent(position: Position | undefined): void {
    if (position === undefined) return;
    this.#sentOffset = position.offset;
    this.#lostPosition = undefined;
  }

  /** A message was dropped as this was sent: by `skip` itself, by any other policy an earlier one. */
  dropped(position: Position | undefined, policy: DeliveryPolicy): void {
    if (position === undefined) this.#lost += 1;
    else if (policy.kind === "skip") this.#lostPosition = position;
    else this.sent(position);
  }

  /** Counts messages that the client will not get. */
  recordLoss(count: number): void {
    this.#lost += count;
  }

  /** The frames that the client gets now; none for what the next number tells by itself. */
  settle(): string[] {
    const [missed, position] = [this.#lost, this.#lostPosition];
    this.#lost = 0;
    const counted = missed > 0 ? [frameText("lagged", { missed })] : [];
    if (position === undefined) return counted;
    const last = frameText("lagged", { missed: position.offset - this.#sentOffset, position });
    this.sent(position);
    return [...counted, last];
  }
}
