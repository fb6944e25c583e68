import type { Clock } from "../../connection/clock.js";
import type { EventFailure } from "../../wire/events/protocol.js";
import type { StreamSource } from "../../wire/stream.js";

/** The stream of a pump. */
export interface PumpOwner {
  readonly clock: Clock;
  /** `undefined` if the next value is wanted now; else a promise, after which this is called again. */
  whenWanted(): Promise<void> | undefined;
  /** If it throws, the stream fails. */
  onValue(value: unknown): void;
  /** Called once with the return value, unless the pump was stopped. If it throws, the stream fails. */
  onEnd(value: unknown): void;
  /** Called once, unless the pump was stopped: with the failure that the client may see. */
  onFailed(failure: EventFailure): void;
}

/** A generator that never waits must not keep other clients waiting: values in one turn of the event loop. */
const turnValuesMax = 1_024;
/** Milliseconds for these values, looked at after every 16th. */
const turnMs = 4;
const lookEach = 16;

/** Asks a generator for values, one at a time, and only when the next one is wanted. */
export class Pump {
  readonly #source: StreamSource;
  readonly #owner: PumpOwner;
  #iterator: AsyncIterator<unknown> | undefined;
  #state: "asking" | "stopped" | "ended" = "asking";
  #turnValues = 0;
  #turnEndsAt = 0;

  constructor(source: StreamSource, owner: PumpOwner) {
    this.#source = source;
    this.#owner = owner;
    void this.#run();
  }

  /** Asks for no more values, and returns the generator, so that its `finally` blocks run. */
  stop(): void {
    if (this.#state !== "asking") return;
    this.#state = "stopped";
    void closeIterator(this.#iterator, this.#source);
  }

  async #run(): Promise<void> {
    try {
      const iterator = this.#source.values[Symbol.asyncIterator]();
      this.#iterator = iterator;
      this.#turnEndsAt = this.#owner.clock.now() + turnMs;
      while (this.#state === "asking") {
        const isLook = this.#turnValues % lookEach === 0;
        const waiting = (isLook ? this.#whenTurn() : undefined) ?? this.#owner.whenWanted();
        if (waiting !== undefined) {
          await waiting;
          continue;
        }
        const { done, value } = await iterator.next();
        // The value came too late.
        if (this.#isStopped) return;
        if (done === true) {
          this.#state = "ended";
          this.#owner.onEnd(value);
          return;
        }
        this.#turnValues += 1;
        this.#owner.onValue(value);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A promise of the next turn, if this one has taken long enough. */
  #whenTurn(): Promise<void> | undefined {
    const { clock } = this.#owner;
    if (this.#turnValues < turnValuesMax && clock.now() < this.#turnEndsAt) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#turnValues = 0;
        this.#turnEndsAt = clock.now() + turnMs;
        resolve();
      });
    });
  }

  get #isStopped(): boolean {
    return this.#state === "stopped";
  }

  #fail(error: unknown): void {
    if (this.#isStopped) {
      this.#source.onLateError(error);
      return;
    }
    this.stop();
    this.#owner.onFailed(this.#source.failureOf(error));
  }
}

/** Ends values that are not wanted, without asking for one. */
export function closeUnread(source: StreamSource): void {
  try {
    void closeIterator(source.values[Symbol.asyncIterator](), source);
  } catch (error) {
    source.onLateError(error);
  }
}

async function closeIterator(iterator: AsyncIterator<unknown> | undefined, source: StreamSource): Promise<void> {
  try {
    await iterator?.return?.();
  } catch (error) {
    source.onLateError(error);
  }
}
