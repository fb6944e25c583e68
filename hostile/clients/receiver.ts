/**
 * A second opinion: what RFC 6455 says about bytes that a client has sent, with the default limits of the server. It
 * shares no code with the library or with ws.
 */
const messageBytesMax = 64 * 1024;
const fragmentsMax = 256;

/** What a server must answer. */
export interface Verdict {
  /** The frames that it reads, up to the end. */
  readonly frames: number;
  /** The frames that it must send, up to the end: echoes and pongs. */
  readonly answers: number;
  /** The codes of which it must close with one. `undefined`: it must stay open and wait for more bytes. */
  readonly codes: readonly number[] | undefined;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function isText(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** RFC 6455 7.4: the codes that an endpoint may send. */
function mayBeSent(code: number): boolean {
  return (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
}

/** Reads the frames of a client one after another, until one of them must end the connection. */
class Receiver {
  #frames = 0;
  #answers = 0;
  #at = 0;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #isTextMessage = false;
  #inMessage = false;
  /** A length that is not in its shortest form is a violation that many servers accept. */
  #isLenient = false;

  constructor(readonly bytes: Buffer) {}

  run(): Verdict {
    for (;;) {
      const codes = this.#frame();
      const read = { frames: this.#frames, answers: this.#answers };
      if (codes === "more") return { ...read, codes: undefined };
      // After a length in a longer form than needed, 1002 is right as well.
      if (codes !== undefined) return { ...read, codes: this.#isLenient ? [...codes, 1002] : codes };
      this.#frames += 1;
    }
  }

  #frame(): readonly number[] | "more" | undefined {
    const { bytes } = this;
    const [first, second] = [bytes[this.#at], bytes[this.#at + 1]];
    if (first === undefined || second === undefined) return "more";
    const opcode = first & 15;
    const form = second & 0x7f;
    const problem = this.#headProblem(first, opcode, form, second >= 0x80);
    if (problem) return [1002];
    const start = this.#at + (form < 126 ? 2 : form === 126 ? 4 : 10);
    if (bytes.length < start) return "more";
    const length = form < 126 ? form : form === 126 ? bytes.readUInt16BE(this.#at + 2) : this.#longLength();
    if (form === 126 && length < 126) this.#isLenient = true;
    if (form === 127 && length < 65_536) this.#isLenient = true;
    // The highest bit of a length must be 0 (RFC 6455 5.2), which makes it a violation too.
    if (length > Number.MAX_SAFE_INTEGER) return [1009, 1002];
    const isData = opcode < 8;
    if (isData && this.#partBytes + length > messageBytesMax) return [1009];
    if (isData && length > 0 && this.#parts.length >= fragmentsMax) return [1008, 1009];
    if (bytes.length < start + 4 + length) return "more";
    const payload = unmasked(bytes, start, length);
    this.#at = start + 4 + length;
    return isData ? this.#data(opcode, first >= 0x80, payload) : this.#control(opcode, payload);
  }

  #headProblem(first: number, opcode: number, form: number, isMasked: boolean): boolean {
    if ((first & 0x70) !== 0 || !isMasked) return true;
    if (opcode > 10 || (opcode > 2 && opcode < 8)) return true;
    if (opcode >= 8) return first < 0x80 || form > 125 || (opcode === 8 && form === 1);
    return opcode === 0 ? !this.#inMessage : this.#inMessage;
  }

  #longLength(): number {
    return Number(this.bytes.readBigUInt64BE(this.#at + 2));
  }

  #data(opcode: number, isFinal: boolean, payload: Uint8Array): readonly number[] | undefined {
    if (opcode !== 0) this.#isTextMessage = opcode === 1;
    this.#inMessage = !isFinal;
    // The parts count with their bytes; empty ones may be free.
    if (payload.length > 0) this.#parts.push(payload);
    this.#partBytes += payload.length;
    if (!isFinal) return undefined;
    const whole = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#partBytes = 0;
    if (this.#isTextMessage && !isText(whole)) return [1007];
    this.#answers += 1;
    return undefined;
  }

  #control(opcode: number, payload: Buffer): readonly number[] | undefined {
    if (opcode === 9) this.#answers += 1;
    if (opcode !== 8) return undefined;
    if (payload.length === 0) return [1005];
    const code = payload.readUInt16BE(0);
    if (!mayBeSent(code)) return [1002];
    return isText(payload.subarray(2)) ? [code] : [1007];
  }
}

function unmasked(bytes: Buffer, start: number, length: number): Buffer {
  const payload = Buffer.from(bytes.subarray(start + 4, start + 4 + length));
  for (let at = 0; at < length; at += 1) payload[at] = (payload[at] ?? 0) ^ (bytes[start + (at & 3)] ?? 0);
  return payload;
}

/** What a server must answer to these bytes, sent after the handshake. */
export function verdictOf(bytes: Buffer): Verdict {
  return new Receiver(bytes).run();
}
