import { isUtf8 } from "node:buffer";
import { ABNORMAL, NO_CODE } from "../../../wire/closeCodes.js";
import { type DecodeSlice, Message } from "../../../wire/message.js";
import { type Fault, Faults } from "../faults.js";
import { FIN, Opcode } from "../frame.js";
import { type HeadChecks, PartialFrame, waitingPart } from "./partialFrame.js";
import { unmask, wordsOf } from "./unmask.js";

/** Receives what a {@link FrameParser} reads. The methods that return `false` stop it before the next frame. */
export interface FrameListener {
  onMessage(message: Message): boolean;
  onPing(data: Buffer): boolean;
  onPong(data: Buffer): boolean;
  /** Nothing is read after a close frame. `code` is 1005 if it has none. */
  onCloseFrame(code: number, reason: string): void;
  /** Nothing is read after a fault. */
  onFault(fault: Fault): void;
}

export interface FrameLimits {
  /** Bytes of a message. */
  readonly messageBytesMax: number;
  /** Fragments of a message. */
  readonly fragmentsMax: number;
  /** Pieces of a frame. */
  readonly piecesMax: number;
}

const reserved = 0x70;
const maskBit = 0x80;
const opcodeBits = 0x0f;
const lengthBits = 0x7f;
/** RFC 6455 5.5: the opcodes and the lengths of control frames. */
const controlMin = Opcode.close;
const controlMax = Opcode.pong;
const controlBytesMax = 125;
/** The first byte of a message in one frame. */
const wholeText = FIN | Opcode.text;
const wholeBinary = FIN | Opcode.binary;
/** The bytes of a masking key, and of a head before it: with a short length, and with one of 16 bits. */
const maskBytes = 4;
const shortHeadBytes = 2;
const longHeadBytes = 4;
/** The memory of a buffer, in addition to its bytes. */
const bufferBytes = 200;

/** The fragments of a message whose last one is missing. */
interface Fragments {
  readonly isText: boolean;
  readonly data: Buffer[];
  bytes: number;
  count: number;
}

/** Reads the frames of a client (RFC 6455 5) from the chunks of its socket, without an extension. */
export class FrameParser implements HeadChecks {
  readonly #limits: FrameLimits;
  readonly #listener: FrameListener;
  #partial: PartialFrame | undefined;
  #fragments: Fragments | undefined;
  #hasEnded = false;
  #isStopped = false;

  constructor(limits: FrameLimits, listener: FrameListener) {
    this.#limits = limits;
    this.#listener = listener;
  }

  /** Whether nothing more is read: after a close frame, a fault, or {@link end}. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Reads nothing more. */
  end(): void {
    this.#hasEnded = true;
    this.#partial = undefined;
    this.#fragments = undefined;
  }

  /**
   * The memory of a message of which a part was received, and the rest is missing; `undefined` if there is none. A part
   * of a control frame does not count.
   */
  get unfinishedBytes(): number | undefined {
    const { first = 0 } = this.#partial ?? {};
    if (this.#fragments === undefined && (this.#partial === undefined || (first & opcodeBits) >= controlMin)) {
      return undefined;
    }
    const { bytes = 0, pieces = 0 } = this.#partial ?? {};
    const { bytes: fragmentBytes = 0, data = [] } = this.#fragments ?? {};
    return bytes + fragmentBytes + bufferBytes * (pieces + data.length);
  }

  /**
   * Reads the frames of a chunk, and unmasks them in place.
   *
   * @returns the index of the first byte that was not read; below the length only if the listener has stopped it.
   */
  read(chunk: Buffer): number {
    if (this.#hasEnded) return chunk.length;
    this.#isStopped = false;
    let at = this.#partial === undefined ? 0 : this.#continue(this.#partial, chunk, 0);
    const words = wordsOf(chunk);
    while (at < chunk.length && !this.#isStopped && !this.#hasEnded) at = this.#readFrame(chunk, words, at);
    return this.#hasEnded ? chunk.length : at;
  }

  #readFrame(chunk: Buffer, words: Int32Array, at: number): number {
    const first = chunk[at] ?? 0;
    const second = chunk[at + 1] ?? 0;
    let length = second & lengthBits;
    let maskAt = at + shortHeadBytes;
    if (length > controlBytesMax) {
      // A length of 64 bits is for more bytes than a chunk has.
      length = length === 126 ? ((chunk[at + 2] ?? 0) << 8) | (chunk[at + 3] ?? 0) : Number.POSITIVE_INFINITY;
      maskAt = at + longHeadBytes;
    }
    const begin = maskAt + maskBytes;
    const end = begin + length;
    if (end > chunk.length) return this.#continue(new PartialFrame(), chunk, at);
    const fault = this.faultOfStart(first, second) ?? this.faultOfLength(first, length);
    if (fault !== undefined) this.#fail(fault);
    else this.#onFrame(first, chunk, begin, end, unmask(chunk, words, begin, end, chunk, maskAt));
    return end;
  }

  /** Adds a chunk to a frame that arrives in pieces. */
  #continue(partial: PartialFrame, chunk: Buffer, begin: number): number {
    if (partial.pieces >= this.#limits.piecesMax) {
      this.#fail(Faults.pieces);
      return chunk.length;
    }
    const at = partial.add(chunk, begin, this);
    if (partial.fault !== undefined) this.#fail(partial.fault);
    else if (!partial.isComplete) this.#partial = partial;
    else {
      this.#partial = undefined;
      const payload = partial.payload();
      const isAscii = unmask(payload, wordsOf(payload), 0, payload.length, partial.mask, 0);
      this.#onFrame(partial.first ?? 0, payload, 0, payload.length, isAscii);
    }
    return at;
  }

  faultOfStart(first: number, second: number): Fault | undefined {
    // Most frames are whole messages.
    if ((first === wholeText || first === wholeBinary) && second >= maskBit && this.#fragments === undefined) {
      return undefined;
    }
    const opcode = first & opcodeBits;
    const isValid =
      (first & reserved) === 0 &&
      (second & maskBit) !== 0 &&
      (opcode < controlMin
        ? opcode <= Opcode.binary && (opcode === Opcode.continuation) === (this.#fragments !== undefined)
        : opcode <= controlMax && (first & FIN) !== 0 && isControlLength(opcode, second & lengthBits));
    return isValid ? undefined : Faults.protocol;
  }

  faultOfLength(first: number, length: number): Fault | undefined {
    if ((first & opcodeBits) >= controlMin || length === 0) return undefined;
    const bytes = length + (this.#fragments?.bytes ?? 0);
    return bytes > this.#limits.messageBytesMax ? Faults.tooBig : undefined;
  }

  /** A whole frame with a valid head was read and unmasked. */
  #onFrame(first: number, bytes: Buffer, begin: number, end: number, isAscii: boolean): void {
    if (first === wholeBinary || (first === wholeText && isAscii)) {
      this.#isStopped = !this.#listener.onMessage(messageOf(bytes, begin, end, first === wholeText));
    } else if (first === wholeText) {
      this.#onMessage(bytes.subarray(begin, end), true);
    } else if ((first & opcodeBits) >= controlMin) {
      this.#onControl(first & opcodeBits, bytes.subarray(begin, end));
    } else {
      this.#onFragment(first, bytes.subarray(begin, end));
    }
  }

  #onMessage(bytes: Buffer, isText: boolean): void {
    if (isText && !isUtf8(bytes)) this.#fail(Faults.notUtf8);
    else this.#isStopped = !this.#listener.onMessage(new Message(bytes, isText));
  }

  #onFragment(first: number, data: Buffer): void {
    this.#fragments ??= { isText: (first & opcodeBits) === Opcode.text, data: [], bytes: 0, count: 0 };
    const fragments = this.#fragments;
    fragments.count += 1;
    if (fragments.count > this.#limits.fragmentsMax) {
      this.#fail(Faults.fragments);
      return;
    }
    fragments.bytes += data.length;
    const isLast = (first & FIN) !== 0;
    if (data.length > 0) fragments.data.push(isLast ? data : waitingPart(data));
    if (!isLast) return;
    this.#fragments = undefined;
    const [only] = fragments.data;
    const isOne = only !== undefined && fragments.data.length === 1;
    this.#onMessage(isOne ? only : Buffer.concat(fragments.data), fragments.isText);
  }

  #onControl(opcode: number, data: Buffer): void {
    if (opcode === Opcode.close) this.#onCloseFrame(data);
    else this.#isStopped = !(opcode === Opcode.ping ? this.#listener.onPing(data) : this.#listener.onPong(data));
  }

  #onCloseFrame(data: Buffer): void {
    const [upper, lower = 0] = data;
    const code = upper === undefined ? NO_CODE : upper * 256 + lower;
    const reason = data.subarray(2);
    if (upper !== undefined && !isCloseCode(code)) this.#fail(Faults.protocol);
    else if (!isUtf8(reason)) this.#fail(Faults.notUtf8);
    else {
      this.end();
      this.#listener.onCloseFrame(code, reason.toString());
    }
  }

  #fail(fault: Fault): void {
    this.end();
    this.#listener.onFault(fault);
  }
}

function messageOf(chunk: Buffer, begin: number, end: number, isText: boolean): Message {
  return new Message(chunk, isText, undefined, begin, end, decodeBuffer);
}

/** As a `TextDecoder`, but without a view of the slice. The chunks of sockets are buffers. */
const decodeBuffer: DecodeSlice = (chunk, begin, end) => Buffer.prototype.toString.call(chunk, "utf8", begin, end);

/** RFC 6455 5.5, and 5.5.1: a close frame has no body or at least the two bytes of a code. */
function isControlLength(opcode: number, length: number): boolean {
  return length <= controlBytesMax && !(opcode === Opcode.close && length === 1);
}

/** The codes that a close frame may have (RFC 6455 7.4, and the registry of IANA). */
function isCloseCode(code: number): boolean {
  const isPrivate = code >= 3000 && code <= 4999;
  return isPrivate || (code >= 1000 && code <= 1014 && code !== 1004 && code !== NO_CODE && code !== ABNORMAL);
}
