/** What is under way in one lane. */
interface Lane {
  readonly underWay: Set<Promise<unknown>>;
  /** The last that was begun alone. */
  barrier: Promise<unknown> | undefined;
}

/** Keeps the order of what takes different ways to the same room: much of one kind at a time, or one of the other. */
export class OrderedLanes {
  readonly #lanes = new Map<string, Lane>();

  /** Whether anything is under way. */
  isBusy(name: string): boolean {
    return this.#lanes.has(name);
  }

  /** Runs at once, beside others of its kind; after what was begun {@link alone}. */
  beside<T>(name: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lane(name);
    const done = lane.barrier === undefined ? work() : lane.barrier.then(work);
    this.#follow(name, lane, done);
    return done;
  }

  /** Runs when all that was begun before is settled. */
  alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lane(name);
    const done = Promise.allSettled(lane.underWay).then(work);
    lane.barrier = done.then(ignore, ignore);
    this.#follow(name, lane, done);
    return done;
  }

  #lane(name: string): Lane {
    const known = this.#lanes.get(name);
    const lane = known ?? { underWay: new Set(), barrier: undefined };
    if (known === undefined) this.#lanes.set(name, lane);
    return lane;
  }

  #follow(name: string, lane: Lane, done: Promise<unknown>): void {
    lane.underWay.add(done);
    const settle = () => {
      lane.underWay.delete(done);
      if (lane.underWay.size === 0) this.#lanes.delete(name);
    };
    done.then(settle, settle);
  }
}

/** Whoever began it is told. */
function ignore(): undefined {
  return undefined;
}
