/** What is running in one lane. */
interface Lane {
  readonly running: Set<Promise<unknown>>;
  /** The last work that was begun with {@link OrderedLanes.runAlone}. */
  barrier: Promise<unknown> | undefined;
}

/** Keeps the order of publications that take two paths to one room: many of one kind run at a time, or one of the other. */
export class OrderedLanes {
  readonly #lanes = new Map<string, Lane>();

  /** Whether anything is running. */
  isBusy(name: string): boolean {
    return this.#lanes.has(name);
  }

  /** Runs next to others of its kind, after what was begun with {@link runAlone}. */
  runShared<T>(name: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lane(name);
    const done = lane.barrier === undefined ? work() : lane.barrier.then(work);
    this.#track(name, lane, done);
    return done;
  }

  /** Runs when everything that was begun before is settled. */
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

/** The caller that began the work gets its error. */
function ignore(): undefined {
  return undefined;
}
