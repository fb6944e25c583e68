import type { EventFailure } from "../../wire/events/protocol.js";
import type { StreamSource } from "../../wire/stream.js";

/** The stream of a pump. */
export interface PumpOwner {
  /** `undefined` if the next value is wanted now; else a promise, after which this is called again. */
  whenWanted(): Promise<void> | undefined;
  /** If it throws, the stream fails. */
  onValue(value: unknown): void;
  /** Called once with the return value, unless the pump was stopped. If it throws, the stream fails. */
  onEnd(value: unknown): void;
  /** Called once, unless the pump was stopped: with the failure that the client may see. */
  onFailed(failure: EventFailure): void;
}

/** Values in one turn of the event loop. A generator that never waits must not keep other clients waiting. */
const turnValuesMax = 256;

/** Asks a generator for values, one at a time, and only when the next one is wanted. */
export class Pump {
  readonly #source: StreamSource;
  readonly #owner: PumpOwner;
  #iterator: AsyncIterator<unknown> | undefined;
  #state: "asking" | "stopped" | "ended" = "asking";
  #valuesOfTurn = 0;

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
      while (this.#state === "asking") {
        const waiting = this.#endTurn() ?? this.#owner.whenWanted();
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
        this.#valuesOfTurn += 1;
        this.#owner.onValue(value);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** After many values, a promise of the next turn. */
  #endTurn(): Promise<void> | undefined {
    if (this.#valuesOfTurn < turnValuesMax) return undefined;
    this.#valuesOfTurn = 0;
    return new Promise((resolve) => setImmediate(resolve));
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
