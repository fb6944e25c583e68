import { type Fault, Faults } from "../faults.js";

/** RFC 6455 5.2: the bytes of the first part of a head, and of a masking key. */
const startBytes = 2;
const maskBytes = 4;
/** The longest head: a length of 8 bytes. */
const headBytesMax = 14;
const length16 = 126;
const length64 = 127;
/** The upper half of a length of 2^53, which JavaScript cannot count. */
const upperMax = 2 ** 21 - 1;

/** Checks a head as soon as the bytes for it are there. */
export interface HeadChecks {
  /** @param first The first two bytes: `second` has the mask bit and the short length. */
  faultOfStart(first: number, second: number): Fault | undefined;
  faultOfLength(first: number, length: number): Fault | undefined;
}

/**
 * A part of a message in memory of its own, unless it is most of its chunk: the part waits for the rest of the message,
 * and the chunk may be full of other frames.
 */
export function waitingPart(part: Buffer): Buffer {
  if (2 * part.length >= part.buffer.byteLength) return part;
  const copy = Buffer.allocUnsafeSlow(part.length);
  copy.set(part);
  return copy;
}

/** A frame that arrives in more than one piece. */
export class PartialFrame {
  readonly #head = new Uint8Array(headBytesMax);
  #headBytes = 0;
  /** The bytes of the head that are known to be needed. */
  #headNeeded = startBytes;
  /** The bytes of the payload, as soon as it is known. */
  #length: number | undefined;
  readonly #payload: Buffer[] = [];
  #payloadBytes = 0;
  /** The pieces that the part which is incomplete has arrived in: start, length, mask or payload. */
  #pieces = 0;
  fault: Fault | undefined;

  /** The first byte, with FIN and the opcode; `undefined` until the first two bytes are there. */
  get first(): number | undefined {
    return this.#headBytes < startBytes ? undefined : this.#head[0];
  }

  get bytes(): number {
    return this.#headBytes + this.#payloadBytes;
  }

  get pieces(): number {
    return this.#pieces;
  }

  get isComplete(): boolean {
    return this.#isHeadComplete && this.#payloadBytes === this.#length;
  }

  /**
   * Adds the bytes of a chunk that belong to the frame. Sets {@link fault} if the frame must not be read further.
   *
   * @returns the index after them.
   */
  add(chunk: Buffer, begin: number, checks: HeadChecks): number {
    const piecesBefore = this.#pieces;
    this.#pieces = 0;
    let at = begin;
    let isFirstPart = true;
    while (!this.#isHeadComplete) {
      const from = at;
      while (at < chunk.length && this.#headBytes < this.#headNeeded) {
        this.#head[this.#headBytes] = chunk[at] ?? 0;
        this.#headBytes += 1;
        at += 1;
      }
      if (this.#headBytes < this.#headNeeded) {
        this.#pieces = (isFirstPart ? piecesBefore : 0) + (at > from ? 1 : 0);
        return at;
      }
      isFirstPart = false;
      this.#onHeadPart(checks);
      if (this.fault !== undefined) return at;
    }
    return this.#addPayload(chunk, at, isFirstPart ? piecesBefore : 0);
  }

  /** The payload, still masked, in memory of its own if it has arrived in several pieces. */
  payload(): Buffer {
    const [only] = this.#payload;
    if (only === undefined) return Buffer.alloc(0);
    return this.#payload.length === 1 ? only : Buffer.concat(this.#payload);
  }

  /** The masking key. */
  get mask(): Uint8Array {
    return this.#head.subarray(this.#headNeeded - maskBytes);
  }

  #addPayload(chunk: Buffer, at: number, piecesBefore: number): number {
    const end = Math.min(chunk.length, at + (this.#length ?? 0) - this.#payloadBytes);
    if (end > at) {
      this.#payloadBytes += end - at;
      const piece = chunk.subarray(at, end);
      this.#payload.push(this.#payloadBytes === this.#length ? piece : waitingPart(piece));
      this.#pieces = piecesBefore + 1;
    }
    return end;
  }

  get #isHeadComplete(): boolean {
    return this.#length !== undefined && this.#headBytes === this.#headNeeded;
  }

  /** The start or the length is there. */
  #onHeadPart(checks: HeadChecks): void {
    const [first = 0, second = 0] = this.#head;
    const short = second & 0x7f;
    if (this.#length !== undefined) return;
    if (this.#headBytes === startBytes) {
      this.fault = checks.faultOfStart(first, second);
      if (this.fault !== undefined) return;
      if (short >= length16) {
        this.#headNeeded += short === length16 ? 2 : 8;
        return;
      }
    }
    const length = this.#readLength(short);
    this.fault = length === undefined ? Faults.tooBig : checks.faultOfLength(first, length);
    this.#length = length;
    this.#headNeeded += maskBytes;
  }

  /** `undefined` if JavaScript cannot count so many bytes. */
  #readLength(short: number): number | undefined {
    const view = new DataView(this.#head.buffer);
    if (short === length16) return view.getUint16(startBytes);
    if (short !== length64) return short;
    const upper = view.getUint32(startBytes);
    return upper > upperMax ? undefined : upper * 2 ** 32 + view.getUint32(startBytes + 4);
  }
}
