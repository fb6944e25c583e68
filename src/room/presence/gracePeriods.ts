import type { Clock, Timer } from "../../connection/clock.js";

/** The users whose grace periods began in one turn of the event loop. */
interface Batch<User> {
  readonly users: Set<User>;
  readonly timer: Timer;
}

/** The grace periods of users who have left a room. Those that begin in one turn end together, as one change. */
export class GracePeriods<User> {
  readonly #clock: Clock;
  readonly #onEnd: (users: readonly User[]) => void;
  readonly #batches = new Map<User, Batch<User>>();
  /** The batch of this turn. */
  #current: Batch<User> | undefined;

  constructor(clock: Clock, onEnd: (users: readonly User[]) => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  /** The number of users who may still return. */
  get size(): number {
    return this.#batches.size;
  }

  start(user: User, ms: number): void {
    this.cancel(user);
    this.#current ??= this.#begin(ms);
    this.#current.users.add(user);
    this.#batches.set(user, this.#current);
  }

  /** The user has returned. Does nothing for other users. */
  cancel(user: User): void {
    const batch = this.#batches.get(user);
    if (batch === undefined) return;
    this.#batches.delete(user);
    batch.users.delete(user);
    if (batch.users.size > 0) return;
    batch.timer.cancel();
    if (this.#current === batch) this.#current = undefined;
  }

  #begin(ms: number): Batch<User> {
    const users = new Set<User>();
    const timer = this.#clock.setTimeout(() => {
      if (this.#current === batch) this.#current = undefined;
      const ended = [...users];
      for (const user of ended) this.#batches.delete(user);
      this.#onEnd(ended);
    }, ms);
    const batch = { users, timer };
    setImmediate(() => {
      if (this.#current === batch) this.#current = undefined;
    });
    return batch;
  }
}
