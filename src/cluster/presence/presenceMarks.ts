/** The sequence number of a room on a node, as its heartbeats list it; `null` for a closed room. */
export type PresenceMark = readonly [path: string, seq: number | null];

/** The changes of presence that a heartbeat lists. */
export interface PresenceMarks {
  /** The rooms that changed since the last heartbeat. */
  readonly presence: readonly PresenceMark[];
  /** True if more rooms changed than are listed. */
  readonly renew: boolean;
}

/** The number of rooms that one heartbeat lists. */
const pathsMax = 500;
/** The number of rooms that wait for a heartbeat. Past it, the other nodes ask for all rooms again. */
const marksMax = 10_000;

/** The rooms whose presence changed on this node since its last heartbeat. */
export class ChangedRooms {
  readonly #paths = new Set<string>();
  #hasOverflowed = false;

  /** True if the next heartbeat has changes to list. */
  get hasMarks(): boolean {
    return this.#paths.size > 0 || this.#hasOverflowed;
  }

  add(path: string): void {
    this.#paths.add(path);
    if (this.#paths.size <= marksMax) return;
    this.#paths.clear();
    this.#hasOverflowed = true;
  }

  /** Removes and returns the changes that the next heartbeat lists. */
  take(seqOf: (path: string) => number | null): PresenceMarks {
    const paths = [...this.#paths].slice(0, pathsMax);
    for (const path of paths) this.#paths.delete(path);
    const renew = this.#hasOverflowed;
    this.#hasOverflowed = false;
    return { presence: paths.map((path) => [path, seqOf(path)]), renew };
  }

  /** Adds the changes of a heartbeat that was not sent to the next one. */
  restore({ presence, renew }: PresenceMarks): void {
    for (const [path] of presence) this.add(path);
    this.#hasOverflowed ||= renew;
  }
}
