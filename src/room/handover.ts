import type { Delivery, Kept, KeptQuery, Position } from "../backplane/backplane.js";
import { EnfiladeError } from "../errors.js";
import type { Taker } from "./audience.js";

export interface HandoverParts {
  /** Reads what is kept of the room. */
  readonly read: (query: KeptQuery) => Promise<Kept>;
  /** Takes what is kept, then what was published meanwhile; a promise to wait for before the next. */
  readonly deliver: (delivery: Delivery) => Promise<void> | undefined;
  /** Called right after the last of them: from now on the owner takes for itself what is published. */
  readonly live: () => void;
  /** Publications that may wait while history is read. */
  readonly messagesMax: number;
}

/** Reads after which it is given up: somebody publishes faster than history is read. */
const readsMax = 8;

/**
 * The way from what is kept of a room to what is published live, with nothing between the two and nothing twice.
 *
 * It takes what is published from the moment it is made; `run` then reads, delivers what it read, and after that what came
 * meanwhile and was not read.
 */
export class Handover implements Taker {
  readonly #parts: HandoverParts;
  #held: Delivery[] = [];
  #overflowed = false;

  constructor(parts: HandoverParts) {
    this.#parts = parts;
  }

  take(delivery: Delivery): void {
    this.#held.push(delivery);
    if (this.#held.length <= this.#parts.messagesMax) return;
    this.#overflowed = true;
    this.#dropKept();
    this.#held = this.#held.slice(-this.#parts.messagesMax);
  }

  /**
   * @param first Reads for the first time.
   * @throws EnfiladeError `ERR_HISTORY` (as a rejection) when reading never catches up; what reading throws.
   */
  async run(first: () => Promise<Kept>): Promise<void> {
    const { read } = this.#parts;
    let reading = first;
    for (let reads = 0; reads < readsMax; reads += 1) {
      this.#overflowed = false;
      this.#dropKept();
      const { top, deliveries } = await reading();
      await this.#deliver(deliveries);
      const since = await this.#catchUp(top);
      if (since === undefined) return;
      reading = () => read({ since, limit: Number.POSITIVE_INFINITY });
    }
    throw new EnfiladeError("ERR_HISTORY", `what is kept was read ${readsMax} times, and more came faster than that`);
  }

  /** Delivers what came since `top` was read, and is live; or returns from where to read again, if there is a gap. */
  async #catchUp(top: Position): Promise<Position | undefined> {
    let last = top;
    while (this.#held.length > 0) {
      const since = last;
      const waiting = this.#held.filter(({ position }) => position === undefined || isAfter(position, since));
      this.#held = [];
      if (this.#overflowed || !follows(last, waiting)) {
        this.#held = waiting;
        return last;
      }
      await this.#deliver(waiting);
      last = waiting.findLast(({ position }) => position !== undefined)?.position ?? last;
    }
    if (this.#overflowed) return last;
    // In the same breath as the look at what is held: nothing comes between.
    this.#parts.live();
    return undefined;
  }

  async #deliver(deliveries: readonly Delivery[]): Promise<void> {
    for (const delivery of deliveries) {
      const waiting = this.#parts.deliver(delivery);
      if (waiting !== undefined) await waiting;
    }
  }

  /** What has a position is in what is read next. */
  #dropKept(): void {
    this.#held = this.#held.filter(({ position }) => position === undefined);
  }
}

/** Of another epoch is what came after the stream was begun anew. */
function isAfter(position: Position, top: Position): boolean {
  return position.epoch !== top.epoch || position.offset > top.offset;
}

/** Whether nothing is missing between `top` and what waits. */
function follows(top: Position, waiting: readonly Delivery[]): boolean {
  const first = waiting.find(({ position }) => position !== undefined)?.position;
  return first === undefined || (first.epoch === top.epoch && first.offset === top.offset + 1);
}
