/** The sequence number of a room on a node, as its heartbeats list it; `null` for a closed room. */
export type PresenceMark = readonly [path: string, seq: number | null];

/** What a heartbeat says of presence. */
export interface PresenceMarks {
  /** The rooms that changed since the last heartbeat. */
  readonly presence: readonly PresenceMark[];
  /** Whether more rooms changed than are listed. */
  readonly renew: boolean;
}

/** Rooms that one heartbeat may list. */
const pathsMax = 500;
/** Rooms that may wait for a heartbeat; past it, the others ask for all rooms again. */
const marksMax = 10_000;

/** The rooms whose presence changed on this node since its last heartbeat. */
export class ChangedRooms {
  readonly #paths = new Set<string>();
  #hasOverflowed = false;

  /** Whether the next heartbeat has something to list. */
  get isMarked(): boolean {
    return this.#paths.size > 0 || this.#hasOverflowed;
  }

  add(path: string): void {
    this.#paths.add(path);
    if (this.#paths.size <= marksMax) return;
    this.#paths.clear();
    this.#hasOverflowed = true;
  }

  /** Takes what the next heartbeat lists. */
  take(seqOf: (path: string) => number | null): PresenceMarks {
    const paths = [...this.#paths].slice(0, pathsMax);
    for (const path of paths) this.#paths.delete(path);
    const renew = this.#hasOverflowed;
    this.#hasOverflowed = false;
    return { presence: paths.map((path) => [path, seqOf(path)]), renew };
  }

  /** The heartbeat was not sent: the next one lists the rooms. */
  restore({ presence, renew }: PresenceMarks): void {
    for (const [path] of presence) this.add(path);
    this.#hasOverflowed ||= renew;
  }
}
