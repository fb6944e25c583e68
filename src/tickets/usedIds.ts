/** The ids of tickets that were used, as long as the tickets are valid. */
export class UsedIds {
  readonly #max: number;
  /** The time at which each id can be forgotten, in milliseconds since 1970; about in the order of these times. */
  readonly #until = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Marks an id as used. Returns `"used"` if it was used before, and `"full"` if no more ids can be remembered. */
  use(id: string, until: number, now: number): "new" | "used" | "full" {
    for (const [known, end] of this.#until) {
      if (end > now) break;
      this.#until.delete(known);
    }
    if (this.#until.has(id)) return "used";
    if (this.#until.size >= this.#max) return "full";
    this.#until.set(id, until);
    return "new";
  }
}
