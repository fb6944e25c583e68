import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import { controlFrame } from "../wire/v1.js";
import type { DeliveryPolicy } from "./policy.js";

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

  /** Something was dropped as this was sent: by `skip` itself, by any other policy an earlier one. */
  dropped(position: Position | undefined, policy: DeliveryPolicy): void {
    if (position === undefined) this.#lost += 1;
    else if (policy.kind === "skip") this.#lostPosition = position;
    else this.sent(position);
  }

  recordLoss(count: number): void {
    this.#lost += count;
  }

  /** What the client is to be told now; nothing of what the next number tells by itself. */
  settle(): Payload[] {
    const [missed, position] = [this.#lost, this.#lostPosition];
    this.#lost = 0;
    const inWords = missed > 0 ? [controlFrame("lagged", { missed })] : [];
    if (position === undefined) return inWords;
    const last = controlFrame("lagged", { missed: position.offset - this.#sentOffset, position });
    this.sent(position);
    return [...inWords, last];
  }
}
