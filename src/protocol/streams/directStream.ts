import type { Clock } from "../../connection/clock.js";
import type { EventFailure } from "../../wire/events/protocol.js";
import type { StreamSource } from "../../wire/stream.js";
import type { Member } from "../dialect.js";
import { Pump, type PumpOwner } from "./pump.js";

/** Receives the parts of a stream. An error that it throws fails the stream. */
export interface DirectSink {
  onItem(seq: number, value: unknown): void;
  onReply(value: unknown): void;
  onError(failure: EventFailure): void;
  /** Called once, at the end. */
  onOver(): void;
}

/** A stream that ends with its connection: its client cannot continue it. */
export class DirectStream implements PumpOwner {
  readonly #member: Member;
  readonly #sink: DirectSink;
  readonly #pump: Pump;
  #seq = 0;
  #isOver = false;

  constructor(source: StreamSource, member: Member, sink: DirectSink) {
    this.#member = member;
    this.#sink = sink;
    this.#pump = new Pump(source, this);
    const { signal } = member;
    if (signal.aborted) this.#stop();
    else signal.addEventListener("abort", this.#stop);
  }

  get clock(): Clock {
    return this.#member.clock;
  }

  whenWanted(): Promise<void> | undefined {
    const { bufferedBytes, limits } = this.#member;
    return bufferedBytes >= limits.highWaterBytes ? this.#member.flushed() : undefined;
  }

  onValue(value: unknown): void {
    this.#sink.onItem(this.#seq, value);
    this.#seq += 1;
  }

  onEnd(value: unknown): void {
    this.#sink.onReply(value);
    this.#finish();
  }

  onFailed(failure: EventFailure): void {
    this.#sink.onError(failure);
    this.#finish();
  }

  readonly #stop = (): void => {
    this.#pump.stop();
    this.#finish();
  };

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#member.signal.removeEventListener("abort", this.#stop);
    this.#sink.onOver();
  }
}
