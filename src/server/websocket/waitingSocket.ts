import type { Duplex } from "node:stream";
import type { GoneListener } from "../../connection/transport.js";
import { own, type SocketOwner } from "./socketOwner.js";

/** The bytes that a client may send before it is accepted. RFC 6455 4.1 lets it send none. */
const earlyBytesMax = 16 * 1024;

/**
 * The socket of a client that waits for the answer to its handshake.
 *
 * It is read during that time: only then is it noticed that the client has closed its side, and does not wait any more.
 */
export class WaitingSocket implements SocketOwner {
  readonly #socket: Duplex;
  readonly #listener: GoneListener;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #isReading = true;

  constructor(socket: Duplex, listener: GoneListener) {
    this.#socket = socket;
    this.#listener = listener;
    own(socket, this);
  }

  /** Returns `head` and the bytes after it that have arrived by now. From now on another reader gets the bytes. */
  takeHead(head: Buffer): Buffer {
    this.stopReading();
    const early = this.#early;
    this.#early = [];
    return early.length === 0 ? head : Buffer.concat([head, ...early]);
  }

  /** Stops to read, such as when an answer is written, which a client that has closed its side may still receive. */
  stopReading(): void {
    this.#isReading = false;
  }

  onSocketClose(): void {
    this.#listener.onGone();
  }

  onEnd(): void {
    if (this.#isReading) this.#socket.destroy();
  }

  onChunk(chunk: Buffer): void {
    if (!this.#isReading) return;
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes > earlyBytesMax) this.#socket.destroy();
    else this.#early.push(chunk);
  }
}
