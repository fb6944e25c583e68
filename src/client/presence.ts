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
    const isWhole = users !== undefined;
    if (!isWhole && (joined ?? left) !== undefined && !this.#follows(version)) return false;
    if (isWhole) {
      this.#isAsked = false;
      this.#users.clear();
    }
    for (const user of users ?? joined ?? []) this.#users.set(user.id, user);
    for (const id of left ?? []) this.#users.delete(id);
    this.#presence = { count, version, users: [...this.#users.values()] };
    return true;
  }

  /** Whether nothing lies between; else what comes next makes sense only with a whole roster. */
  #follows(version: number): boolean {
    const next = this.#presence.version + 1;
    if (version > next && !this.#isAsked) {
      this.#isAsked = true;
      this.#ask();
    }
    return version === next;
  }
}
