import type { Linked } from "../../backplane/memory/linkedList.js";
import { type Clock, deferred, type Timer } from "../../connection/clock.js";
import type { EventFailure } from "../../wire/events/protocol.js";
import { encodeJSON } from "../../wire/payload.js";
import {
  canceledStream,
  lostStream,
  type StreamFields,
  type StreamRequest,
  type StreamSource,
} from "../../wire/stream.js";
import type { Outcome } from "../receipts/reply.js";
import { KeptItems } from "./keptItems.js";
import { closeUnread, Pump, type PumpOwner } from "./pump.js";

/** Bytes that are sent before it is checked again whether the client lags. */
const uncheckedBytesMax = 4_096;

/** The frame of a client that asked for a stream, on one connection. */
export interface StreamSink {
  /** Whether the client reads more slowly than it is sent to. */
  readonly isLagging: boolean;
  /** Resolves when all that was sent has left this process, or can no longer be sent. */
  flushed(): Promise<void>;
  sendItem(seq: number, json: string): void;
  /** From now on, the frame is answered here. An answer that is known already is sent at once. */
  awaitAnswer(): void;
  /** The new answer of the frame, if the earlier one was forgotten, for lack of space; called after `awaitAnswer`. */
  renewAnswer(): StreamAnswer | undefined;
  /** Another frame continues the stream in place of this one. */
  onReplaced(): void;
}

/** Answers the frame that asked for a stream, wherever it is awaited. Only the first answer counts. */
export interface StreamAnswer {
  answer(outcome: Outcome): void;
}

/** The streams of an app. */
export interface StreamStore {
  readonly clock: Clock;
  /** Whether there is space for more values. For space, streams whose clients are absent are lost. */
  hasSpace(): boolean;
  onAbsent(stream: ClientStream): void;
  onPresent(stream: ClientStream): void;
  /** @param change The bytes that wait in the stream in addition to those before. */
  onBytes(change: number): void;
  onOver(stream: ClientStream): void;
}

export interface StreamDeps {
  readonly store: StreamStore;
  readonly limits: RouteStreamLimits;
  readonly fields: StreamFields;
  readonly answer: StreamAnswer;
}

/** The limits of the route. */
export interface RouteStreamLimits {
  readonly streamGraceMs: number;
  readonly streamBytesMax: number;
}

/**
 * A stream to a client that may continue it on another connection.
 *
 * It is `requested` until the method has returned its values, then `running` until the generator has ended, then
 * `ended` until the client has all items, and then `over`.
 */
export class ClientStream implements StreamRequest, PumpOwner, Linked<ClientStream> {
  /** Identifies the stream among those of all clients; not to be guessed. */
  readonly key: string;
  readonly userId: string | undefined;
  previous: ClientStream | undefined;
  next: ClientStream | undefined;
  readonly #store: StreamStore;
  readonly #limits: RouteStreamLimits;
  #answer: StreamAnswer;
  readonly #kept = new KeptItems();
  #state: "requested" | "running" | "ended" | "over" = "requested";
  /** `undefined` while the client has no connection. */
  #sink: StreamSink | undefined;
  /** The number of the next item to be sent on this connection. */
  #unsent = 0;
  /** The number of the first item that the loop of the client has not read. */
  #unread = 0;
  #window: number;
  #uncheckedBytes = 0;
  #outcome: Outcome | undefined;
  #isAnswered = false;
  /** The connection that has to read before it is sent more. */
  #flushing: StreamSink | undefined;
  #controller: AbortController | undefined;
  #pump: Pump | undefined;
  #wake: (() => void) | undefined;
  #graceTimer: Timer | undefined;

  constructor(key: string, userId: string | undefined, sink: StreamSink, deps: StreamDeps) {
    this.key = key;
    this.userId = userId;
    this.#store = deps.store;
    this.#limits = deps.limits;
    this.#window = deps.fields.window;
    this.#answer = deps.answer;
    this.#sink = sink;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.isOver && this.#outcome === undefined) this.#controller.abort();
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  /** The method has returned its values, and not all of them are received. */
  get isStreaming(): boolean {
    return this.#state === "running" || this.#state === "ended";
  }

  /** Whether the client has no connection. */
  get isAbsent(): boolean {
    return this.#sink === undefined;
  }

  isReadBy(sink: StreamSink): boolean {
    return this.#sink === sink;
  }

  answerWith(source: StreamSource): void {
    if (this.#state !== "requested") {
      closeUnread(source);
      return;
    }
    this.#state = "running";
    this.#pump = new Pump(source, this);
  }

  /** The client sent its request again. */
  attach(sink: StreamSink, { from, read, window }: StreamFields): void {
    const isKept = from >= this.#kept.first && from <= this.#kept.next;
    const replaced = this.#sink;
    this.#sink = sink;
    if (replaced === undefined) this.#return();
    else replaced.onReplaced();
    // If it is answered, the items come first.
    if (!this.#isAnswered || !isKept) this.#awaitAnswer(sink);
    if (!isKept) {
      this.lose();
      return;
    }
    this.#forgetBefore(from);
    this.#unsent = from;
    this.#unread = read;
    this.#window = window;
    this.#deliver();
  }

  /** The connection of `sink` has ended. */
  detach(sink: StreamSink): void {
    if (this.#sink !== sink || this.isOver) return;
    this.#sink = undefined;
    this.#graceTimer = this.#store.clock.setTimeout(() => this.lose(), this.#limits.streamGraceMs);
    this.#store.onAbsent(this);
    this.#wakePump();
  }

  /** The client has read the items before `seq`. What it cannot have read does not count. */
  acknowledge(sink: StreamSink, seq: number): void {
    if (this.#sink !== sink) return;
    this.#unread = Math.max(this.#unread, Math.min(seq, this.#unsent));
    this.#forgetBefore(this.#unread);
    if (this.#isAnswered && this.#kept.bytes === 0) this.#finish();
    else this.#wakePump();
  }

  cancel(sink: StreamSink): void {
    if (this.#sink === sink) this.#stop({ error: canceledStream });
  }

  /** The client cannot continue. */
  lose(): void {
    this.#stop({ error: lostStream });
  }

  /** The method has answered without a stream, or is not called. */
  drop(): void {
    if (this.#state === "requested") this.#finish();
  }

  get clock(): Clock {
    return this.#store.clock;
  }

  whenWanted(): Promise<void> | undefined {
    const { next, bytes } = this.#kept;
    const isCrowded = bytes >= this.#limits.streamBytesMax || (bytes > 0 && !this.#store.hasSpace());
    const isAhead = next - this.#unread >= this.#window;
    const isResending = this.#sink !== undefined && this.#unsent < next;
    if (isAhead || isCrowded || isResending) return this.#whenWoken();
    return this.#uncheckedBytes < uncheckedBytesMax ? undefined : this.#whenKeptUp();
  }

  #whenKeptUp(): Promise<void> | undefined {
    this.#uncheckedBytes = 0;
    if (this.#sink?.isLagging !== true) return undefined;
    this.#deliverWhenFlushed(this.#sink);
    return this.#whenWoken();
  }

  onValue(value: unknown): void {
    const json = encodeJSON(value ?? null);
    const seq = this.#kept.next;
    const bytes = this.#kept.add(json);
    this.#uncheckedBytes += bytes;
    this.#store.onBytes(bytes);
    if (this.#sink === undefined) {
      if (this.#kept.bytes > this.#limits.streamBytesMax) this.lose();
    } else if (this.#unsent === seq) {
      this.#unsent += 1;
      this.#sink.sendItem(seq, json);
    }
  }

  onEnd(value: unknown): void {
    const data: unknown = value ?? null;
    // A value that JSON cannot encode fails here.
    encodeJSON(data);
    this.#end({ data, seq: this.#kept.next });
  }

  onFailed(error: EventFailure): void {
    this.#end({ error, seq: this.#kept.next });
  }

  #end(outcome: Outcome): void {
    this.#outcome = outcome;
    this.#state = "ended";
    this.#deliver();
  }

  /** Sends the items that were not sent on this connection, as fast as the client reads, and then the answer. */
  #deliver(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#flushing === sink || this.isOver) return;
    while (this.#unsent < this.#kept.next) {
      if (sink.isLagging) {
        this.#deliverWhenFlushed(sink);
        return;
      }
      const seq = this.#unsent;
      this.#unsent += 1;
      sink.sendItem(seq, this.#kept.at(seq));
    }
    if (this.#outcome === undefined) this.#wakePump();
    else this.#conclude(sink, this.#outcome);
  }

  #deliverWhenFlushed(sink: StreamSink): void {
    this.#flushing = sink;
    void sink.flushed().then(() => {
      if (this.#flushing !== sink) return;
      this.#flushing = undefined;
      if (this.#sink === sink) this.#deliver();
    });
  }

  /** Ends the stream at once: what still waits is dropped. */
  #stop(outcome: Outcome): void {
    if (this.isOver) return;
    if (!this.#isAnswered) this.#answer.answer(outcome);
    this.#isAnswered = true;
    this.#finish();
  }

  #conclude(sink: StreamSink, outcome: Outcome): void {
    if (this.#isAnswered) this.#awaitAnswer(sink);
    if (!this.#isAnswered) this.#answer.answer(outcome);
    this.#isAnswered = true;
    if (this.#kept.bytes === 0) this.#finish();
  }

  #awaitAnswer(sink: StreamSink): void {
    sink.awaitAnswer();
    const renewed = this.isStreaming ? sink.renewAnswer() : undefined;
    if (renewed === undefined) return;
    this.#answer = renewed;
    this.#isAnswered = false;
  }

  #forgetBefore(seq: number): void {
    this.#store.onBytes(-this.#kept.forgetBefore(seq));
  }

  #return(): void {
    this.#graceTimer?.cancel();
    this.#store.onPresent(this);
  }

  #finish(): void {
    this.#state = "over";
    if (this.#sink === undefined) this.#return();
    this.#sink = undefined;
    this.#forgetBefore(this.#kept.next);
    // A generator that has ended is not aborted.
    if (this.#outcome === undefined) this.#controller?.abort();
    this.#pump?.stop();
    this.#wakePump();
    this.#store.onOver(this);
  }

  #whenWoken(): Promise<void> {
    const { promise, resolve } = deferred<void>();
    this.#wake = () => resolve();
    return promise;
  }

  #wakePump(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
