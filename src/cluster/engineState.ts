/** The state of the connection to the engine. */
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

  /** Changes with each connection, so that an answer on an older connection can be recognised. */
  get connectionNumber(): number {
    return this.#connectionNumber;
  }

  /** The error that caused the outage. */
  get outage(): Error {
    return this.#outage;
  }

  markUp(): void {
    this.#state = "up";
    this.#connectionNumber += 1;
  }

  /** Returns true if the engine was not away before. */
  markAway(outage: Error): boolean {
    const isChange = this.#state !== "away";
    this.#state = "away";
    this.#outage = outage;
    return isChange;
  }
}
