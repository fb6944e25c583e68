/** Whether the engine is in reach. */
export class EngineState {
  #state: "connecting" | "up" | "away" = "connecting";
  #outage = new Error("not connected yet");
  #life = 0;

  /** `connecting` until the first attempt is decided. */
  get state(): "connecting" | "up" | "away" {
    return this.#state;
  }

  get isUp(): boolean {
    return this.#state === "up";
  }

  /** Another number for each connection: what belongs to an older one says nothing of this one. */
  get connectionNumber(): number {
    return this.#life;
  }

  /** Why it is away. */
  get outage(): Error {
    return this.#outage;
  }

  markUp(): void {
    this.#state = "up";
    this.#life += 1;
  }

  /** Returns whether that is news. */
  markAway(outage: Error): boolean {
    const isNews = this.#state !== "away";
    this.#state = "away";
    this.#outage = outage;
    return isNews;
  }
}
