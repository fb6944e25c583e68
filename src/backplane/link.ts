/** Whether the engine is in reach. */
export class Link {
  #state: "connecting" | "up" | "away" = "connecting";
  #outage = new Error("not connected yet");

  /** `connecting` until the first attempt is decided. */
  get state(): "connecting" | "up" | "away" {
    return this.#state;
  }

  get isUp(): boolean {
    return this.#state === "up";
  }

  /** Why it is away. */
  get outage(): Error {
    return this.#outage;
  }

  rise(): void {
    this.#state = "up";
  }

  /** Returns whether that is news. */
  fall(outage: Error): boolean {
    const isNews = this.#state !== "away";
    this.#state = "away";
    this.#outage = outage;
    return isNews;
  }
}
