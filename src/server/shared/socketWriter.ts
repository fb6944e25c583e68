import type { Framing, Transport } from "../../connection/transport.js";

/**
 * Writes for all rooms of a socket: one write has what the rooms send in one turn of the event loop.
 *
 * When the client lags, the rooms take turns: each is called in the order in which it began to wait, as long as the
 * socket buffers less than `highWaterBytes`. So a room with much to send does not delay the others for long.
 */
export class SocketWriter {
  readonly #transport: Transport;
  readonly #highWaterBytes: number;
  /** The frames that are written at the end of this turn. */
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  /** The rooms that wait until the client has read. */
  #waiting: (() => void)[] = [];
  /** How many of them, the first ones, wait for bytes that the transport has got; the others have to wait longer. */
  #coveredCount = 0;
  #isWaiting = false;

  constructor(transport: Transport, highWaterBytes: number) {
    this.#transport = transport;
    this.#highWaterBytes = highWaterBytes;
  }

  get framing(): Framing {
    return this.#transport.framing;
  }

  get bufferedBytes(): number {
    return this.#transport.bufferedBytes + this.#batchBytes;
  }

  write(bytes: Uint8Array): void {
    if (this.#batch.push(bytes) === 1) process.nextTick(() => this.flush());
    this.#batchBytes += bytes.length;
  }

  flush(): void {
    const [first] = this.#batch;
    if (first === undefined) return;
    const bytes = this.#batch.length === 1 ? first : Buffer.concat(this.#batch, this.#batchBytes);
    this.#batch = [];
    this.#batchBytes = 0;
    if (this.#transport.isOpen) this.#transport.write(bytes);
  }

  whenWritten(callback: () => void): void {
    this.#waiting.push(callback);
    this.#wait();
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.flush();
    this.#coveredCount = this.#waiting.length;
    this.#transport.whenWritten(this.#onWritten);
  }

  readonly #onWritten = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    let next = 0;
    for (; next < this.#coveredCount && this.#canWrite(); next += 1) waiting[next]?.();
    // Those that wait again come after the others.
    this.#waiting = [...waiting.slice(next), ...this.#waiting];
    this.#isWaiting = false;
    if (this.#waiting.length > 0) this.#wait();
  };

  #canWrite(): boolean {
    return this.bufferedBytes < this.#highWaterBytes || !this.#transport.isOpen;
  }
}
