import type { PlainRequest } from "./messages.js";

/** Receives the body of a request. After `onTooLarge`, nothing more is called. */
export interface BodyListener {
  onBody(bytes: Buffer): void;
  onTooLarge(): void;
}

/** The memory of a piece of a body, in addition to its bytes. */
const chunkBytes = 200;

/** A body that is being read, up to a number of bytes. */
export class Body {
  readonly #listener: BodyListener;
  readonly #bytesMax: number;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isReading = true;

  constructor(request: PlainRequest, bytesMax: number, listener: BodyListener) {
    this.#listener = listener;
    this.#bytesMax = bytesMax;
    request.on("data", (chunk: Uint8Array) => this.#onChunk(chunk));
    request.on("end", () => this.#onEnd());
    // A request that breaks off also ends its response.
    request.on("error", () => this.stop());
    // Middleware may have paused it.
    request.resume();
  }

  /** The bytes that were received. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The memory that it holds; `undefined` when the body is complete. */
  get unfinishedBytes(): number | undefined {
    return this.#isReading ? this.#bytes + chunkBytes * this.#chunks.length : undefined;
  }

  /** Drops what was received, and what follows. */
  stop(): void {
    this.#isReading = false;
    this.#chunks.length = 0;
  }

  #onChunk(chunk: Uint8Array): void {
    if (!this.#isReading) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#bytesMax) return;
    this.stop();
    this.#listener.onTooLarge();
  }

  #onEnd(): void {
    if (!this.#isReading) return;
    const bytes = Buffer.concat(this.#chunks);
    this.stop();
    this.#listener.onBody(bytes);
  }
}
