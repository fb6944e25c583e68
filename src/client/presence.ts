import type { PresenceFrame, PresentUser } from "../wire/frames.js";

/** The users who are in a room. */
export interface Presence {
  /** The number of users. All connections of a user count as one; an anonymous connection counts by itself. */
  readonly count: number;
  /** Increases by one with each change; 0 before the first report of the server, and if the route keeps no presence. */
  readonly version: number;
  /** The users; empty if the route keeps only the count. */
  readonly users: readonly PresentUser[];
}

/** Keeps the presence of the room up to date from the server's frames. */
export class PresenceState {
  readonly #watch: () => void;
  readonly #users = new Map<string, PresentUser>();
  #presence: Presence = { count: 0, version: 0, users: [] };
  #isWatchSent = false;

  /** @param watch Asks the server for all users. */
  constructor(watch: () => void) {
    this.#watch = watch;
  }

  get presence(): Presence {
    return this.#presence;
  }

  /** Applies a frame. Returns true if the presence has changed. */
  take({ version, count, users, joined, left }: PresenceFrame): boolean {
    const next = this.#presence.version + 1;
    // A change applies only to the version before it. If one is missing, all users are needed.
    if (!users && (joined ?? left) && version !== next) {
      if (version > next && !this.#isWatchSent) {
        this.#isWatchSent = true;
        this.#watch();
      }
      return false;
    }
    if (users) {
      this.#isWatchSent = false;
      this.#users.clear();
    }
    for (const user of users ?? joined ?? []) this.#users.set(user.id, user);
    for (const id of left ?? []) this.#users.delete(id);
    this.#presence = { count, version, users: [...this.#users.values()] };
    return true;
  }
}
