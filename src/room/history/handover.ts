import type { Gap, HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { EnfiladeError } from "../../errors.js";
import { gapBetween, isNext, isUpTo, type Position } from "../../wire/position.js";
import type { DeliverySink } from "../audience.js";

/** The operations and limits of a handover. */
export interface HandoverDeps {
  /** Reads the history of the room. */
  readonly read: (query: HistoryQuery) => Promise<HistoryPage>;
  /** Receives each publication in order. The next one follows when the returned promise, if any, has resolved. */
  readonly deliver: (delivery: Delivery) => Promise<void> | undefined;
  /** Called before each part of the work; the part starts when the returned promise, if any, has resolved. */
  readonly waitForTurn: () => Promise<void> | undefined;
  /** Called right after the last delivery: from now on the owner must receive live publications itself. */
  readonly onLive: () => void;
  /** Called before the next delivery if publications were lost or the epoch has changed. An error ends the handover. */
  readonly onGap: (gap: Gap, isNewEpoch: boolean) => void;
  /** Called when messages that no history keeps were dropped for lack of space. An error ends the handover. */
  readonly onSkipped: (count: number) => void;
  /** The maximum number of publications that wait while the history is read. */
  readonly messagesMax: number;
  /** The maximum bytes of these publications. */
  readonly bytesMax: number;
}

/** Deliveries per part of the work. */
const deliveriesPerPart = 256;
/** The maximum number of reads; more are needed only if publications come faster than the history can be read. */
const readsMax = 8;

/**
 * Delivers the history of a room and then its live publications, without a gap and without duplicates.
 *
 * It buffers live publications from its creation. `run` reads the history, delivers it, and then delivers the buffered
 * publications that the history did not contain.
 */
export class Handover implements DeliverySink {
  readonly #deps: HandoverDeps;
  #buffer: Delivery[] = [];
  #bytes = 0;
  /** Whether the buffer lacks publications, so that the history must be read again. */
  #isIncomplete = false;
  #skipped = 0;
  #delivered = 0;
  #isOver = false;

  constructor(deps: HandoverDeps) {
    this.#deps = deps;
  }

  take(delivery: Delivery): void {
    if (this.#isOver) return;
    this.#buffer.push(delivery);
    this.#bytes += delivery.payload.data.length;
    if (!this.#isFull()) return;
    this.#isIncomplete = true;
    this.#dropPositioned();
    for (; this.#isFull(); this.#skipped += 1) this.#bytes -= this.#buffer.shift()?.payload.data.length ?? 0;
  }

  /** Publications were lost between nodes. Reading the history again shows which. */
  onGap(): void {
    this.#isIncomplete = true;
  }

  /** Stops: nothing more is delivered. */
  cancel(): void {
    this.#isOver = true;
    this.#buffer = [];
  }

  /**
   * Resolves when the owner is live, or when the handover was cancelled.
   *
   * @param first The first read; later reads use `deps.read`.
   * @throws EnfiladeError (as a rejection) `ERR_HISTORY` when reading does not catch up; also errors of `deps`.
   */
  async run(first: () => Promise<HistoryPage>): Promise<void> {
    let reading = first;
    let since: Position | undefined;
    for (let reads = 0; reads < readsMax; reads += 1) {
      this.#isIncomplete = false;
      this.#dropPositioned();
      const page = await reading();
      if (since !== undefined) this.#checkGap(since, page);
      await this.#deliver(page.deliveries);
      since = await this.#catchUp(page.top);
      if (since === undefined) return;
      const last = since;
      reading = () => this.#deps.read({ since: last, limit: Number.POSITIVE_INFINITY });
    }
    throw new EnfiladeError(
      "ERR_HISTORY",
      `the history was read ${readsMax} times, but publications came faster than it could be read`,
    );
  }

  /** Delivers the buffer after `top` and goes live. If the buffer has a gap, returns the position to read on from. */
  async #catchUp(top: Position): Promise<Position | undefined> {
    let last = top;
    while (this.#buffer.length > 0) {
      const since = last;
      const waiting = this.#buffer.filter(({ position }) => position === undefined || !isUpTo(since, position));
      if (this.#isIncomplete) return last;
      const next = untilGap(last, waiting);
      this.#buffer = [];
      this.#bytes = 0;
      await this.#deliver(next);
      last = next.findLast(({ position }) => position !== undefined)?.position ?? last;
      if (next.length === waiting.length) continue;
      this.#buffer.unshift(...waiting.slice(next.length));
      return last;
    }
    if (this.#isIncomplete) return last;
    this.#reportSkipped();
    // In the same synchronous step as the check of the buffer, so that no publication comes in between.
    if (!this.#isOver) this.#deps.onLive();
    return undefined;
  }

  async #deliver(deliveries: readonly Delivery[]): Promise<void> {
    this.#reportSkipped();
    for (const delivery of deliveries) {
      if (this.#isOver) return;
      if (this.#delivered % deliveriesPerPart === 0) await this.#deps.waitForTurn();
      this.#delivered += 1;
      const waiting = this.#deps.deliver(delivery);
      if (waiting !== undefined) await waiting;
    }
  }

  #checkGap(since: Position, { top, epochs, deliveries }: HistoryPage): void {
    const next = deliveries[0]?.position ?? { epoch: top.epoch, offset: top.offset + 1 };
    const gap = gapBetween(since, next, epochs);
    if (gap !== undefined) this.#deps.onGap(gap, gap.position.epoch !== since.epoch);
  }

  #reportSkipped(): void {
    const skipped = this.#skipped;
    this.#skipped = 0;
    if (skipped > 0 && !this.#isOver) this.#deps.onSkipped(skipped);
  }

  #isFull(): boolean {
    return this.#buffer.length > this.#deps.messagesMax || this.#bytes > this.#deps.bytesMax;
  }

  /** Drops publications with a position: the next read contains them. */
  #dropPositioned(): void {
    this.#buffer = this.#buffer.filter(({ position }) => position === undefined);
    this.#bytes = this.#buffer.reduce((sum, { payload }) => sum + payload.data.length, 0);
  }
}

/** The waiting deliveries up to the first gap. */
function untilGap(top: Position, waiting: readonly Delivery[]): readonly Delivery[] {
  let last = top;
  for (const [index, { position }] of waiting.entries()) {
    if (position === undefined) continue;
    if (!isNext(last, position)) return waiting.slice(0, index);
    last = position;
  }
  return waiting;
}
