import type { Clock, Timer } from "../connection/clock.js";
import { asError, EnfiladeError } from "../errors.js";

export interface OutgoingParts {
  /** What it goes to, as errors name it. */
  readonly name: string;
  readonly clock: Clock;
  readonly backplaneMs: number;
  readonly backplaneBytesMax: number;
  /** Told when no answer came for `backplaneMs`. */
  readonly stalled: (error: Error) => void;
}

interface UnderWay {
  readonly since: number;
  readonly reject: (error: Error) => void;
}

const unanswered = "no answer came, so nobody knows whether it was published";

/** What was given to the engine and is not answered yet: bounded in bytes and in time, and given up with the connection. */
export class Outgoing {
  readonly #parts: OutgoingParts;
  /** In the order in which they began. */
  readonly #underWay = new Set<UnderWay>();
  #bytes = 0;
  #timer: Timer | undefined;
  /** What the failures since the last success came of. */
  #trouble: Error | undefined;
  #failures = 0;

  constructor(parts: OutgoingParts) {
    this.#parts = parts;
  }

  /** How many were refused, or never answered. */
  get failures(): number {
    return this.#failures;
  }

  /** @throws EnfiladeError (as a rejection) `ERR_BACKPLANE`. */
  send<T>(bytes: number, begin: () => Promise<T>): Promise<T> {
    const { name, backplaneBytesMax, clock } = this.#parts;
    if (this.#bytes + bytes > backplaneBytesMax && this.#bytes > 0) {
      const error = new Error(`${this.#bytes} bytes wait for ${name}, of ${backplaneBytesMax} (backplaneBytesMax)`);
      return this.refuse("it takes publications slower than they come; await publish() to go no faster", error);
    }
    return new Promise((resolve, reject) => {
      const one = { since: clock.now(), reject };
      this.#underWay.add(one);
      this.#bytes += bytes;
      this.#watch();
      const settle = () => {
        this.#bytes -= bytes;
        return this.#underWay.delete(one);
      };
      attempt(begin).then(
        (value) => {
          if (!settle()) return;
          this.#trouble = undefined;
          resolve(value);
        },
        (error) => {
          if (settle()) reject(this.#failure(unanswered, asError(error)));
        },
      );
    });
  }

  refuse(why: string, cause: Error): Promise<never> {
    return Promise.reject(this.#failure(why, cause));
  }

  /** The connection is gone: nothing will be answered any more. */
  giveUp(cause: Error): void {
    const all = [...this.#underWay];
    this.#underWay.clear();
    for (const { reject } of all) reject(this.#failure(unanswered, cause));
  }

  /** What anybody is told who wanted something of the engine. */
  fault(why: string, cause: Error): EnfiladeError {
    // All that fails until something succeeds again is one trouble.
    this.#trouble ??= cause;
    return new EnfiladeError("ERR_BACKPLANE", `${this.#parts.name}: ${why} (${cause.message})`, {
      cause: this.#trouble,
    });
  }

  #failure(why: string, cause: Error): EnfiladeError {
    this.#failures += 1;
    return this.fault(why, cause);
  }

  #watch(): void {
    const { clock, backplaneMs, name } = this.#parts;
    this.#timer ??= clock.setTimeout(() => {
      this.#timer = undefined;
      const [oldest] = this.#underWay;
      if (oldest === undefined) return;
      if (clock.now() - oldest.since < backplaneMs) this.#watch();
      else this.#parts.stalled(new Error(`${name} did not answer within ${backplaneMs} ms`));
    }, backplaneMs / 2);
  }
}

/** What throws at once rejects as well. */
async function attempt<T>(begin: () => Promise<T>): Promise<T> {
  return begin();
}
