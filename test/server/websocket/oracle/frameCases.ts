import type { Dice } from "../../../support/dice.js";

const casesBytesMax = 4_096;
const words = ["a", "Zz", "é", "ß ", "€", "你好", "👋", "hello world ", "\u0000", "0123456789".repeat(7)].map((word) =>
  Buffer.from(word),
);
const codes = [1000, 1001, 1002, 1007, 1014, 3000, 4999, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000];
const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const FIN = 0x80;

/** Makes the bytes of random clients: some frames that are mostly valid, and then some mutations. */
export class FrameCases {
  readonly #dice: Dice;
  #bytes = Buffer.alloc(casesBytesMax);
  #spare = Buffer.alloc(casesBytesMax);
  #length = 0;
  readonly #payload = Buffer.alloc(512);
  /** Where frames begin. */
  #begins: number[] = [];

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** The bytes of one client. They are valid until the next call. */
  next(mutations: number): Buffer {
    this.#length = 0;
    this.#begins = [];
    for (let frames = this.#dice.from(1, 7); frames > 0; frames -= 1) this.#addAny();
    for (let times = mutations; times > 0; times -= 1) this.#mutate();
    return this.#bytes.subarray(0, this.#length);
  }

  #addAny(): void {
    const kind = this.#dice.from(0, 12);
    if (kind < 3) this.#addFrame(FIN | opcodes.text, 0, this.#fillText());
    else if (kind < 5) this.#addFrame(FIN | opcodes.binary, 0, this.#fillBinary(this.#anyLength()));
    else if (kind < 8) this.#addFragments();
    else if (kind < 11) this.#addControl();
    else if (this.#dice.from(0, 2) === 0) this.#addClose();
  }

  #addFragments(): void {
    const isText = this.#dice.from(0, 3) > 0;
    const bytes = isText ? this.#fillText() : this.#fillBinary(this.#anyLength());
    const message = Buffer.from(this.#payload.subarray(0, bytes));
    let begin = 0;
    for (let left = this.#dice.from(1, 6), isFirst = true; left > 0; left -= 1, isFirst = false) {
      const end = left === 1 ? bytes : this.#dice.from(begin, bytes + 1);
      const opcode = isFirst ? (isText ? opcodes.text : opcodes.binary) : opcodes.continuation;
      message.copy(this.#payload);
      this.#addFrame((left === 1 ? FIN : 0) | opcode, begin, end);
      begin = end;
      if (this.#dice.from(0, 5) === 0) this.#addControl();
    }
  }

  #addControl(): void {
    const opcode = this.#dice.from(0, 2) === 0 ? opcodes.ping : opcodes.pong;
    this.#addFrame(FIN | opcode, 0, this.#fillBinary(this.#dice.from(0, this.#dice.from(0, 10) === 0 ? 126 : 12)));
  }

  #addClose(): void {
    const length = this.#dice.from(0, 3) === 0 ? 0 : 2 + this.#fillText(2, 30);
    if (length > 0) this.#payload.writeUInt16BE(this.#dice.of(codes) ?? 0);
    this.#addFrame(FIN | opcodes.close, 0, length);
  }

  /** Mostly short, and sometimes up to 300. */
  #anyLength(): number {
    const size = this.#dice.from(0, 8);
    return this.#dice.from(0, size === 0 ? 301 : size < 3 ? 140 : 24);
  }

  /** Fills the payload from `begin` on with valid UTF-8. Returns how many bytes. */
  #fillText(begin = 0, most = this.#anyLength()): number {
    let at = begin;
    for (;;) {
      const word = words[this.#dice.from(0, words.length)];
      if (word === undefined || at - begin + word.length > most) return at - begin;
      at += word.copy(this.#payload, at);
    }
  }

  #fillBinary(length: number): number {
    for (let at = 0; at < length; at += 1) this.#payload[at] = (this.#dice.roll() * 256) | 0;
    return length;
  }

  /** Adds a frame with the bytes of the payload from `begin` to `end`. */
  #addFrame(first: number, begin: number, end: number): void {
    const length = end - begin;
    if (this.#length + length + 14 > casesBytesMax / 2) return;
    this.#begins.push(this.#length);
    const shortest = length < 126 ? 7 : 16;
    const bits = this.#dice.from(0, 12) > 0 ? shortest : this.#dice.from(0, 2) === 0 ? 16 : 64;
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at] = first;
    bytes[at + 1] = 0x80 | (bits === 7 ? length : bits === 16 ? 126 : 127);
    at += 2;
    if (bits === 16) at = bytes.writeUInt16BE(length, at);
    if (bits === 64) at = bytes.writeUInt32BE(length, bytes.writeUInt32BE(0, at));
    const key = this.#dice.from(0, 20) === 0 ? 0 : (this.#dice.roll() * 2 ** 32) >>> 0;
    const maskAt = at;
    at = bytes.writeUInt32BE(key, at);
    for (let n = 0; n < length; n += 1)
      bytes[at + n] = (this.#payload[begin + n] ?? 0) ^ (bytes[maskAt + (n & 3)] ?? 0);
    this.#length = at + length;
  }

  #mutate(): void {
    if (this.#length === 0) return;
    const at = this.#anyPosition();
    const way = this.#dice.from(0, 10);
    if (way < 5) this.#bytes[at] = (this.#bytes[at] ?? 0) ^ (1 << this.#dice.from(0, 8));
    else if (way === 5) this.#bytes[at] = this.#dice.from(0, 256);
    else if (way === 6) this.#splice(at, Math.min(this.#length - at, this.#dice.from(1, 6)), 0);
    else if (way === 7) this.#splice(at, 0, Math.min(this.#length - at, this.#dice.from(1, 20)));
    else if (way === 8) this.#insertNoise(at);
    else this.#swapFrames();
  }

  /** Mostly in the head of a frame. */
  #anyPosition(): number {
    const begin = this.#begins[this.#dice.from(0, this.#begins.length)] ?? 0;
    if (this.#dice.from(0, 2) === 0) return this.#dice.from(0, this.#length);
    return Math.min(this.#length - 1, begin + this.#dice.from(0, 8));
  }

  /** Deletes bytes, or puts a copy of those that follow at their place. */
  #splice(at: number, deleted: number, copied: number): void {
    if (this.#length + copied > casesBytesMax) return;
    this.#bytes.copyWithin(at + copied, at + deleted, this.#length);
    this.#length += copied - deleted;
  }

  #insertNoise(at: number): void {
    const count = this.#dice.from(1, 6);
    if (this.#length + count > casesBytesMax) return;
    this.#bytes.copyWithin(at + count, at, this.#length);
    for (let n = 0; n < count; n += 1) this.#bytes[at + n] = this.#dice.from(0, 256);
    this.#length += count;
  }

  #swapFrames(): void {
    const [one, two, three] = this.#begins.slice(this.#dice.from(0, Math.max(1, this.#begins.length - 2)));
    if (one === undefined || two === undefined || three === undefined || three > this.#length) return;
    const spare = this.#spare;
    this.#bytes.copy(spare, 0, one, three);
    spare.copy(this.#bytes, one, two - one, three - one);
    spare.copy(this.#bytes, one + three - two, 0, two - one);
  }
}

/** Where a case is cut: the ends of its slices. */
export function slicesOf(length: number, dice: Dice): number[] {
  const way = dice.from(0, 4);
  if (way === 0) return [length];
  // Pieces of up to so many bytes, or single bytes.
  const most = way === 1 ? 1 : way === 2 ? dice.from(2, 9) : dice.from(10, 200);
  const ends: number[] = [];
  for (let at = 0; at < length; ends.push(at)) at = Math.min(length, at + (most === 1 ? 1 : dice.from(1, most + 1)));
  return ends;
}
