import type { PresenceFrame, PresentUser } from "../wire/frames.js";

/** Who is in the room. */
export interface Presence {
  readonly count: number;
  /** Counts up with every change; 0 until the server has told, and where it keeps no presence. */
  readonly version: number;
  /** Empty where the server keeps only the count. */
  readonly users: readonly PresentUser[];
}

/** The roster, kept current from change to change. */
export class PresenceState {
  readonly #ask: () => void;
  readonly #users = new Map<string, PresentUser>();
  #presence: Presence = { count: 0, version: 0, users: [] };
  #isAsked = false;

  /** @param ask Asks the server for the whole roster. */
  constructor(ask: () => void) {
    this.#ask = ask;
  }

  get presence(): Presence {
    return this.#presence;
  }

  /** Whether it is another roster now. */
  take({ version, count, users, joined, left }: PresenceFrame): boolean {
    const next = this.#presence.version + 1;
    // A change makes sense only on top of the one before; else the whole roster is needed.
    if (!users && (joined ?? left) && version !== next) {
      if (version > next && !this.#isAsked) {
        this.#isAsked = true;
        this.#ask();
      }
      return false;
    }
    if (users) {
      this.#isAsked = false;
      this.#users.clear();
    }
    for (const user of users ?? joined ?? []) this.#users.set(user.id, user);
    for (const id of left ?? []) this.#users.delete(id);
    this.#presence = { count, version, users: [...this.#users.values()] };
    return true;
  }
}
