import type { Receiver } from "./receiver.js";

/**
 * Limits the frames that are read from one connection in one turn of the event loop. Past the limit, its next frame is
 * read in the next turn, after frames of the others. So a client that floods does not delay the others for long.
 *
 * The frames of one connection arrive one after another, so one count serves all connections of a route.
 */
export class ReadTurns {
  readonly #framesMax: number;
  readonly #bytesMax: number;
  #current: Receiver | undefined;
  #frames = 0;
  #bytes = 0;

  constructor(framesMax: number, bytesMax: number) {
    this.#framesMax = framesMax;
    this.#bytesMax = bytesMax;
  }

  /** Counts a frame of `receiver` that was just read. */
  count(receiver: Receiver, bytes: number): void {
    if (receiver !== this.#current || !receiver._allowSynchronousEvents) {
      this.#current = receiver;
      this.#frames = 0;
      this.#bytes = 0;
      receiver._allowSynchronousEvents = true;
    }
    this.#frames += 1;
    this.#bytes += bytes;
    if (this.#frames >= this.#framesMax || this.#bytes >= this.#bytesMax) receiver._allowSynchronousEvents = false;
  }

  /** The connection has ended. */
  forget(receiver: Receiver): void {
    if (this.#current === receiver) this.#current = undefined;
  }
}
