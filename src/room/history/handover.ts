import type { Gap, HistoryPage } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { epochAt, gapBetween, isNext, isUpTo, type Position } from "../../wire/position.js";
import type { DeliverySink } from "../audience.js";
import { UnkeptMessages } from "./unkeptMessages.js";

/** The operations and limits of a handover. */
export interface HandoverDeps {
  /** Reads the page after a position. */
  readonly readAfter: (since: Position) => Promise<HistoryPage>;
  /** Receives each publication in order. The next one follows when the returned promise, if any, has resolved. */
  readonly deliver: (delivery: Delivery) => Promise<void> | undefined;
  /** Whether the reader lags, so that the delivery policies of messages that no history keeps apply. */
  readonly isLagging: () => boolean;
  /** Called before each part of the work; the part starts when the returned promise, if any, has resolved. */
  readonly waitForTurn: () => Promise<void> | undefined;
  /**
   * Called right after the last delivery: from now on the owner must receive live publications itself.
   *
   * @param last The position that is reached.
   */
  readonly onLive: (last: Position) => void;
  /**
   * Called before the next delivery if publications were lost or the epoch has changed. An error ends the handover.
   *
   * @param isVisible Whether the offset of the next publication shows the gap.
   */
  readonly onGap: (gap: Gap, isVisible: boolean) => void;
  /**
   * Called when messages that no history keeps were dropped for lack of space. An error ends the handover.
   *
   * @param isExpected Whether the policies of all of them allow it.
   */
  readonly onSkipped: (count: number, isExpected: boolean) => void;
  /** The maximum number of publications that wait. */
  readonly messagesMax: number;
  /** The maximum bytes of these publications. */
  readonly bytesMax: number;
}

/** The first page of a handover. */
export interface FirstPage {
  readonly page: HistoryPage;
  /** Where the reader is before the page. */
  readonly position: Position;
}

/** Deliveries per part of the work. */
const deliveriesPerPart = 256;

/**
 * Delivers the history of a room page by page, and then its live publications, without a gap and without duplicates.
 *
 * Live publications wait while a page is read that may be the last one. They do not wait while more pages follow, since
 * these will contain them. Messages that no history keeps wait for their place between the publications.
 */
export class Handover implements DeliverySink {
  readonly #deps: HandoverDeps;
  /** The position that the reader has reached. */
  #last: Position | undefined;
  /** The live publications since the last read began; empty with `#isIncomplete`. */
  #live: Delivery[] = [];
  #liveBytes = 0;
  /** Whether live publications are missing in `#live`, so that the history must be read. */
  #isIncomplete = true;
  readonly #unkept = new UnkeptMessages();
  #delivered = 0;
  #isOver = false;

  constructor(deps: HandoverDeps) {
    this.#deps = deps;
  }

  take(delivery: Delivery): void {
    if (this.#isOver) return;
    const { position } = delivery;
    if (position === undefined) {
      this.#unkept.add(delivery, this.#deps.isLagging());
    } else {
      this.#unkept.newestOffset = position.offset;
      if (this.#isIncomplete) return;
      this.#live.push(delivery);
      this.#liveBytes += delivery.payload.data.length;
    }
    if (!this.#isFull()) return;
    this.#dropLive();
    while (this.#isFull()) this.#unkept.drop();
  }

  /** Publications were lost between nodes. Reading the history again shows which. */
  onGap(): void {
    this.#dropLive();
  }

  /** Stops: nothing more is delivered. */
  cancel(): void {
    this.#isOver = true;
    this.#dropLive();
    this.#unkept.clear();
  }

  /**
   * Reads the first page and delivers it; if it is the only one, also what has arrived meanwhile.
   *
   * Resolves with `true` when the owner is live or the handover was cancelled, and with `false` if more pages follow:
   * then {@link finish} must be called. Rejects with errors of `deps` and of `first`.
   */
  async begin(first: () => Promise<FirstPage>): Promise<boolean> {
    this.#isIncomplete = false;
    const { page, position } = await first();
    this.#last = position;
    this.#unkept.begin(page.top.offset);
    return this.#deliverPage(page);
  }

  /**
   * Continues a reader that has received everything up to `last`, instead of {@link begin}.
   *
   * @param next The first publication that the reader has not received.
   */
  beginAfter(last: Position, next: Position): void {
    this.#last = last;
    this.#unkept.begin(next.offset);
  }

  /** Delivers all other pages. Resolves when the owner is live or the handover was cancelled; rejects as `begin`. */
  async finish(): Promise<void> {
    for (let isDone = false; !isDone; ) {
      const turn = this.#deps.waitForTurn();
      if (turn !== undefined) await turn;
      if (this.#isOver || this.#last === undefined) return;
      this.#isIncomplete = false;
      isDone = await this.#deliverPage(await this.#deps.readAfter(this.#last));
    }
  }

  /** Returns `true` when the owner is live or the handover was cancelled. */
  async #deliverPage({ top, epochs, readTo, deliveries }: HistoryPage): Promise<boolean> {
    const end = readTo ?? deliveries.at(-1)?.position?.offset ?? top.offset;
    // What arrives during the delivery of this page will be read.
    if (end < top.offset) this.#dropLive();
    await this.#deliver(deliveries, (next) => this.#skipTo(next, true, epochs));
    if (this.#isOver) return true;
    const isEndUnread = readTo !== undefined || deliveries.length === 0;
    if (isEndUnread) this.#skipTo({ epoch: epochAt(epochs, end + 1), offset: end + 1 }, false, epochs);
    return this.#deliverLive();
  }

  /** Delivers what has arrived and goes live; returns `false` if the history must be read before that. */
  async #deliverLive(): Promise<boolean> {
    while (!this.#isIncomplete) {
      const waiting = this.#live.filter(({ position }) => !isReached(this.#last, position));
      const next = untilGap(this.#last, waiting);
      this.#live = [];
      this.#liveBytes = 0;
      if (next.length < waiting.length) this.#isIncomplete = true;
      await this.#deliver(next, () => undefined);
      if (this.#isOver) return true;
      if (this.#isIncomplete || this.#live.length > 0) continue;
      await this.#deliverUnkept(Number.POSITIVE_INFINITY);
      if (this.#isOver) return true;
      if (this.#isIncomplete || this.#live.length > 0 || this.#unkept.size + this.#unkept.skipped > 0) continue;
      // In the same synchronous step as the check above, so that no publication comes in between.
      if (this.#last !== undefined) this.#deps.onLive(this.#last);
      return true;
    }
    return false;
  }

  /** @param skipTo Called with the position of each publication that does not directly follow the one before. */
  async #deliver(deliveries: readonly Delivery[], skipTo: (next: Position) => void): Promise<void> {
    const turn = deliveries.length === 0 ? undefined : this.#deps.waitForTurn();
    if (turn !== undefined) await turn;
    for (const delivery of deliveries) {
      if (this.#unkept.size > 0 || this.#unkept.skipped > 0) await this.#deliverUnkept(this.#last?.offset ?? 0);
      if (this.#isOver) return;
      const { position } = delivery;
      if (position !== undefined && this.#last !== undefined && !isNext(this.#last, position)) skipTo(position);
      const waiting = this.#send(delivery);
      this.#last = position ?? this.#last;
      if (waiting !== undefined) await waiting;
    }
  }

  /** Delivers the messages that came right after the publication with this offset, or before it. */
  async #deliverUnkept(offset: number): Promise<void> {
    this.#reportSkipped();
    for (let next = this.#unkept.take(offset); next !== undefined; next = this.#unkept.take(offset)) {
      if (this.#isOver) return;
      const waiting = this.#send(next);
      if (waiting !== undefined) await waiting;
    }
  }

  #send(delivery: Delivery): Promise<void> | undefined {
    const waiting = this.#deps.deliver(delivery);
    this.#delivered += 1;
    if (this.#delivered % deliveriesPerPart !== 0) return waiting;
    return waiting === undefined ? this.#deps.waitForTurn() : waiting.then(() => this.#deps.waitForTurn());
  }

  /** Reports the gap before `next`, if there is one. */
  #skipTo(next: Position, hasPublication: boolean, epochs: HistoryPage["epochs"]): void {
    const gap = this.#last && gapBetween(this.#last, next, epochs);
    if (gap === undefined) return;
    this.#deps.onGap(gap, hasPublication && gap.position.epoch === this.#last?.epoch);
    this.#last = gap.position;
  }

  #reportSkipped(): void {
    const { skipped, isSkipExpected } = this.#unkept;
    this.#unkept.forgetSkipped();
    if (skipped > 0 && !this.#isOver) this.#deps.onSkipped(skipped, isSkipExpected);
  }

  #isFull(): boolean {
    const { messagesMax, bytesMax } = this.#deps;
    return this.#live.length + this.#unkept.size > messagesMax || this.#liveBytes + this.#unkept.bytes > bytesMax;
  }

  /** The history will contain these publications. */
  #dropLive(): void {
    this.#isIncomplete = true;
    this.#live = [];
    this.#liveBytes = 0;
  }
}

function isReached(reached: Position | undefined, position: Position | undefined): boolean {
  return reached !== undefined && position !== undefined && isUpTo(reached, position);
}

/** The waiting publications up to the first gap. */
function untilGap(reached: Position | undefined, waiting: readonly Delivery[]): readonly Delivery[] {
  let last = reached;
  for (const [index, { position }] of waiting.entries()) {
    if (position === undefined) continue;
    if (last !== undefined && !isNext(last, position)) return waiting.slice(0, index);
    last = position;
  }
  return waiting;
}
