import type { RawSocket } from "./rawSocket.js";

/** Bytes of one write of a flood. */
const chunkBytes = 64 * 1024;

/** Sends the same bytes as fast as the server takes them, and reads the answers without looking at them. */
export class Flooder {
  readonly #chunk: Buffer;
  #isOver = false;

  constructor(
    readonly client: RawSocket,
    bytes: Buffer,
  ) {
    this.#chunk = Buffer.concat(Array.from({ length: Math.ceil(chunkBytes / bytes.length) }, () => bytes));
    client.discard();
    this.#send();
  }

  stop(): void {
    this.#isOver = true;
    this.client.destroy();
  }

  #send(): void {
    if (this.#isOver || this.client.socket.destroyed) return;
    // Without the pause, writes that the system takes at once would leave no time for anything else in this process.
    this.client.socket.write(this.#chunk, () => setImmediate(() => this.#send()));
  }
}
