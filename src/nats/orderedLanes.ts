/** The running tasks of one lane. */
interface Lane {
  readonly running: Set<Promise<unknown>>;
  /** The last task that was started with {@link OrderedLanes.runAlone}. */
  barrier: Promise<unknown> | undefined;
}

/**
 * Keeps the order of publications that take two paths to one room. In the lane of a room, either several shared tasks
 * run at the same time, or one task runs alone.
 */
export class OrderedLanes {
  readonly #lanes = new Map<string, Lane>();

  /** Whether a task of the lane is running. */
  isBusy(name: string): boolean {
    return this.#lanes.has(name);
  }

  /** Runs a task together with other shared tasks, after earlier tasks of {@link runAlone}. */
  runShared<T>(name: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lane(name);
    const done = lane.barrier === undefined ? work() : lane.barrier.then(work);
    this.#track(name, lane, done);
    return done;
  }

  /** Runs a task after all earlier tasks of the lane have settled. */
  runAlone<T>(name: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lane(name);
    const done = Promise.allSettled(lane.running).then(work);
    lane.barrier = done.then(ignore, ignore);
    this.#track(name, lane, done);
    return done;
  }

  #lane(name: string): Lane {
    const known = this.#lanes.get(name);
    const lane = known ?? { running: new Set(), barrier: undefined };
    if (known === undefined) this.#lanes.set(name, lane);
    return lane;
  }

  #track(name: string, lane: Lane, done: Promise<unknown>): void {
    lane.running.add(done);
    const settle = () => {
      lane.running.delete(done);
      if (lane.running.size === 0) this.#lanes.delete(name);
    };
    done.then(settle, settle);
  }
}

/** Ignores the result: the caller that started the task gets it. */
function ignore(): undefined {
  return undefined;
}
