import type { HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { EnfiladeError } from "../../errors.js";
import { isNext, isUpTo, type Position } from "../../wire/position.js";
import type { DeliverySink } from "../audience.js";

export interface HandoverDeps {
  /** Reads what is kept of the room. */
  readonly read: (query: HistoryQuery) => Promise<HistoryPage>;
  /** Takes what is kept, then what was published meanwhile; a promise to wait for before the next. */
  readonly deliver: (delivery: Delivery) => Promise<void> | undefined;
  /** A promise to wait for before the next part of them. */
  readonly turn: () => Promise<void> | undefined;
  /** Called right after the last of them: from now on the owner takes for itself what is published. */
  readonly live: () => void;
  /** Told before the next delivery, when publications between these two are not kept any more. What it throws ends all. */
  readonly gap: (last: Position, next: Position) => void;
  /** Told when so many messages that are not kept anywhere did not fit. What it throws ends all. */
  readonly skipped: (count: number) => void;
  /** Publications that may wait while history is read, and their bytes. */
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** Deliveries that are one part of the work. */
const partDeliveries = 256;
/** Reads after which it is given up: somebody publishes faster than history is read. */
const readsMax = 8;

/**
 * The way from what is kept of a room to what is published live, with nothing between the two and nothing twice.
 *
 * It takes what is published from the moment it is made; `run` then reads, delivers what it read, and after that what came
 * meanwhile and was not read.
 */
export class Handover implements DeliverySink {
  readonly #deps: HandoverDeps;
  #held: Delivery[] = [];
  #bytes = 0;
  #overflowed = false;
  #skipped = 0;
  #delivered = 0;
  #over = false;

  constructor(deps: HandoverDeps) {
    this.#deps = deps;
  }

  take(delivery: Delivery): void {
    if (this.#over) return;
    this.#held.push(delivery);
    this.#bytes += delivery.payload.data.length;
    if (!this.#isFull()) return;
    this.#overflowed = true;
    this.#dropKept();
    for (; this.#isFull(); this.#skipped += 1) this.#bytes -= this.#held.shift()?.payload.data.length ?? 0;
  }

  /** Publications were lost between nodes: what is kept is to be read again, so that it is seen which. */
  lag(): void {
    this.#overflowed = true;
  }

  /** It is not needed any more. */
  cancel(): void {
    this.#over = true;
    this.#held = [];
  }

  /**
   * @param first Reads for the first time.
   * @throws EnfiladeError `ERR_HISTORY` (as a rejection) when reading never catches up; what reading, or a part, throws.
   */
  async run(first: () => Promise<HistoryPage>): Promise<void> {
    let reading = first;
    let since: Position | undefined;
    for (let reads = 0; reads < readsMax; reads += 1) {
      this.#overflowed = false;
      this.#dropKept();
      const kept = await reading();
      const fresh = since === undefined ? kept : freshOf(since, kept);
      if (since !== undefined) this.#checkGap(since, fresh);
      await this.#deliver(fresh.deliveries);
      since = await this.#catchUp(kept.top);
      if (since === undefined) return;
      const last = since;
      reading = () => this.#deps.read({ since: last, limit: Number.POSITIVE_INFINITY });
    }
    throw new EnfiladeError("ERR_HISTORY", `what is kept was read ${readsMax} times, and more came faster than that`);
  }

  /** Delivers what came since `top` was read, and is live; or returns from where to read again, if there is a gap. */
  async #catchUp(top: Position): Promise<Position | undefined> {
    let last = top;
    while (this.#held.length > 0) {
      const since = last;
      const waiting = this.#held.filter(({ position }) => position === undefined || !isUpTo(since, position));
      if (this.#overflowed) return last;
      const next = following(last, waiting);
      this.#held = [];
      this.#bytes = 0;
      await this.#deliver(next);
      last = next.findLast(({ position }) => position !== undefined)?.position ?? last;
      if (next.length === waiting.length) continue;
      this.#held.unshift(...waiting.slice(next.length));
      return last;
    }
    if (this.#overflowed) return last;
    this.#tellSkipped();
    // In the same breath as the look at what is held: nothing comes between.
    if (!this.#over) this.#deps.live();
    return undefined;
  }

  async #deliver(deliveries: readonly Delivery[]): Promise<void> {
    this.#tellSkipped();
    for (const delivery of deliveries) {
      if (this.#over) return;
      if (this.#delivered % partDeliveries === 0) await this.#deps.turn();
      this.#delivered += 1;
      const waiting = this.#deps.deliver(delivery);
      if (waiting !== undefined) await waiting;
    }
  }

  #checkGap(since: Position, { top, deliveries }: HistoryPage): void {
    const next = deliveries[0]?.position ?? { epoch: top.epoch, offset: top.offset + 1 };
    if (!isNext(since, next)) this.#deps.gap(since, next);
  }

  #tellSkipped(): void {
    const skipped = this.#skipped;
    this.#skipped = 0;
    if (skipped > 0 && !this.#over) this.#deps.skipped(skipped);
  }

  #isFull(): boolean {
    return this.#held.length > this.#deps.messagesMax || this.#bytes > this.#deps.bytesMax;
  }

  /** What has a position is in what is read next. */
  #dropKept(): void {
    this.#held = this.#held.filter(({ position }) => position === undefined);
    this.#bytes = this.#held.reduce((sum, { payload }) => sum + payload.data.length, 0);
  }
}

/** What waits, as far as nothing is missing in it. */
function following(top: Position, waiting: readonly Delivery[]): readonly Delivery[] {
  let last = top;
  for (const [index, { position }] of waiting.entries()) {
    if (position === undefined) continue;
    if (!isNext(last, position)) return waiting.slice(0, index);
    last = position;
  }
  return waiting;
}

/** What is kept and came after a position: what was numbered anew with a new epoch is older. */
function freshOf(since: Position, kept: HistoryPage): HistoryPage {
  const { top, base = 0, deliveries } = kept;
  if (top.epoch === since.epoch || base === 0) return kept;
  return { ...kept, deliveries: deliveries.filter(({ position }) => (position?.offset ?? 0) > base) };
}
