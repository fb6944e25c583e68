import type { Clock, Timer } from "../connection/clock.js";
import { asError, EnfiladeError } from "../errors.js";

export interface OutgoingParts {
  /** What it goes to, as errors name it. */
  readonly name: string;
  readonly clock: Clock;
  readonly backplaneMs: number;
  readonly backplaneBytesMax: number;
  /** Whether an error is an answer. */
  readonly refuses: (error: Error) => boolean;
  /** Told when no answer came for `backplaneMs`. */
  readonly stalled: (error: Error) => void;
}

const unanswered = "no answer came, so nobody knows whether it was published";

/** What was given to the engine and is not answered yet: bounded in bytes and in time. */
export class Outgoing {
  readonly #parts: OutgoingParts;
  #bytes = 0;
  #begun = 0;
  #answered = 0;
  #timer: Timer | undefined;
  /** What the failures since the last success came of. */
  #trouble: Error | undefined;
  #failures = 0;
  #whenIdle: (() => void) | undefined;

  constructor(parts: OutgoingParts) {
    this.#parts = parts;
  }

  /** How many were refused, or never answered. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Has the engine answered by `begin`, whose promise is rejected at the latest when the connection is let go of.
   *
   * @throws EnfiladeError (as a rejection) `ERR_BACKPLANE`.
   */
  send<Answer, Result>(
    bytes: number,
    begin: () => Promise<Answer>,
    resultOf: (answer: Answer) => Result,
  ): Promise<Result> {
    const { name, backplaneBytesMax } = this.#parts;
    if (this.#bytes + bytes > backplaneBytesMax && this.#bytes > 0) {
      const error = new Error(`${this.#bytes} bytes wait for ${name}, of ${backplaneBytesMax} (backplaneBytesMax)`);
      return this.refuse("it takes publications slower than they come; await publish() to go no faster", error);
    }
    this.#begun += 1;
    this.#bytes += bytes;
    this.#timer ??= this.#watch();
    const settle = () => {
      this.#answered += 1;
      this.#bytes -= bytes;
      if (this.#answered === this.#begun) this.#whenIdle?.();
    };
    return attempt(begin).then(
      (answer) => {
        settle();
        this.#trouble = undefined;
        return resultOf(answer);
      },
      (thrown) => {
        settle();
        if (thrown instanceof EnfiladeError) throw thrown;
        const error = asError(thrown);
        throw this.#failure(this.#parts.refuses(error) ? "it refused a publication" : unanswered, error);
      },
    );
  }

  refuse(why: string, cause: Error): Promise<never> {
    return Promise.reject(this.#failure(why, cause));
  }

  /** What anybody is told who wanted something of the engine. */
  fault(why: string, cause: Error): EnfiladeError {
    // All that fails until something succeeds again is one trouble.
    this.#trouble ??= cause;
    return new EnfiladeError("ERR_BACKPLANE", `${this.#parts.name}: ${why} (${cause.message})`, {
      cause: this.#trouble,
    });
  }

  /** Resolves when all is answered. */
  async idle(): Promise<void> {
    if (this.#answered === this.#begun) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** The connection that was to answer is gone. */
  forget(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #failure(why: string, cause: Error): EnfiladeError {
    this.#failures += 1;
    return this.fault(why, cause);
  }

  /** Looks after a while whether all that was begun before is answered: the engine answers in the order it was asked. */
  #watch(): Timer {
    const { clock, backplaneMs, name, stalled } = this.#parts;
    const begun = this.#begun;
    return clock.setTimeout(() => {
      this.#timer = undefined;
      if (this.#answered < begun) stalled(new Error(`${name} did not answer within ${backplaneMs} ms`));
      if (this.#answered < this.#begun) this.#timer = this.#watch();
    }, backplaneMs);
  }
}

/** What throws at once rejects as well. */
function attempt<T>(begin: () => Promise<T>): Promise<T> {
  try {
    return begin();
  } catch (error) {
    return Promise.reject(error);
  }
}
