import type { TransportOptions } from "../../connection/transport.js";

/** After so many frames the time is looked at. A connection with fewer frames in a turn reads no clock. */
const framesPerLook = 8;

/**
 * Limits the frames that are read from one connection in one turn of the event loop. Past the limit, its next frame is
 * read in the next turn, after frames of the others. So a client that floods does not delay the others for long.
 *
 * The frames of one connection arrive one after another, so one count serves all connections of a route.
 */
export class ReadTurns {
  readonly #options: TransportOptions;
  /** The reader of the connection whose frames are counted. */
  #current: object | undefined;
  #frames = 0;
  #bytes = 0;
  #startedAt = 0;
  #isTurnNoted = false;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /**
   * Counts a frame of `reader` that was just read.
   *
   * @param isFirst Whether it is the first one after the reader had to wait for its next turn.
   * @returns whether the next frame has to wait.
   */
  count(reader: object, bytes: number, isFirst: boolean): boolean {
    if (reader !== this.#current || isFirst) {
      this.#current = reader;
      this.#frames = 0;
      this.#bytes = 0;
    }
    this.#frames += 1;
    this.#bytes += bytes;
    return this.#isOver();
  }

  #isOver(): boolean {
    const { turnMessagesMax, turnBytesMax, turnMs, clock } = this.#options;
    if (this.#frames >= turnMessagesMax || this.#bytes >= turnBytesMax) return true;
    if (this.#frames % framesPerLook !== 0) return false;
    const now = clock.now();
    if (this.#frames === framesPerLook) this.#begin(now);
    return now - this.#startedAt >= turnMs;
  }

  /** Notes the begin of a turn with many frames, and forgets it at its end: a client may send some in every turn. */
  #begin(now: number): void {
    this.#startedAt = now;
    if (this.#isTurnNoted) return;
    this.#isTurnNoted = true;
    setImmediate(() => {
      this.#isTurnNoted = false;
      this.#current = undefined;
    });
  }

  /** The connection has ended. */
  forget(reader: object): void {
    if (this.#current === reader) this.#current = undefined;
  }
}
