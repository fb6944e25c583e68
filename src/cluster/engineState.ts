/** Whether the engine can be reached. */
export class EngineState {
  #state: "connecting" | "up" | "away" = "connecting";
  #outage = new Error("not connected yet");
  #connectionNumber = 0;

  /** `connecting` until the first attempt has succeeded or failed. */
  get state(): "connecting" | "up" | "away" {
    return this.#state;
  }

  get isUp(): boolean {
    return this.#state === "up";
  }

  /** Changes with each connection: an answer that belongs to an older one says nothing about this one. */
  get connectionNumber(): number {
    return this.#connectionNumber;
  }

  /** Why the engine is away. */
  get outage(): Error {
    return this.#outage;
  }

  markUp(): void {
    this.#state = "up";
    this.#connectionNumber += 1;
  }

  /** Returns whether this is a change. */
  markAway(outage: Error): boolean {
    const isChange = this.#state !== "away";
    this.#state = "away";
    this.#outage = outage;
    return isChange;
  }
}
