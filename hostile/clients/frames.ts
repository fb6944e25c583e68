/** The parts of a frame (RFC 6455 5.2). What is not given is as a well-behaved client sends it. */
export interface FrameParts {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  readonly isFinal?: boolean;
  /** The three reserved bits, as a number from 0 to 7. */
  readonly reserved?: number;
  readonly isMasked?: boolean;
  /** The form of the length. Default: the shortest. */
  readonly lengthBits?: 7 | 16 | 64;
  /** The length that the header declares. Default: that of the payload. */
  readonly declared?: number | bigint;
}

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const mask = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** The bytes of a frame of a client, valid or not. */
export function frame(parts: FrameParts): Buffer {
  const { opcode, isFinal = true, reserved = 0, isMasked = true } = parts;
  const payload = Buffer.from(parts.payload ?? "");
  const declared = BigInt(parts.declared ?? payload.length);
  const shortest = declared < 126n ? 7 : declared < 65_536n ? 16 : 64;
  const bits = parts.lengthBits ?? shortest;
  const head = Buffer.alloc(2 + (bits === 7 ? 0 : bits / 8) + (isMasked ? 4 : 0));
  head[0] = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = (isMasked ? 0x80 : 0) | (bits === 7 ? Number(declared) : bits === 16 ? 126 : 127);
  if (bits === 16) head.writeUInt16BE(Number(declared), 2);
  if (bits === 64) head.writeBigUInt64BE(declared, 2);
  if (!isMasked) return Buffer.concat([head, payload]);
  mask.copy(head, head.length - 4);
  return Buffer.concat([head, xor(payload)]);
}

function xor(bytes: Buffer): Buffer {
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = (bytes[at] ?? 0) ^ (mask[at & 3] ?? 0);
  return bytes;
}

export const textFrame = (text: string | Uint8Array) => frame({ opcode: Opcode.text, payload: text });
export const binaryFrame = (bytes: Uint8Array) => frame({ opcode: Opcode.binary, payload: bytes });
export const jsonFrame = (value: unknown) => textFrame(JSON.stringify(value));

/** The payload of a close frame. */
export function closePayload(code: number, reason: Uint8Array | string = ""): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(code);
  return Buffer.concat([bytes, Buffer.from(reason)]);
}

export const closeFrame = (code: number, reason?: Uint8Array | string) =>
  frame({ opcode: Opcode.close, payload: closePayload(code, reason) });

/** A frame of a server. */
export interface ServerFrame {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly reserved: number;
  readonly payload: Buffer;
}

/** Reads the frames of a server, which are not masked. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);
  /** What the server did wrong. */
  fault: string | undefined;

  /** The frames that are complete with these bytes. */
  read(chunk: Buffer): ServerFrame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: ServerFrame[] = [];
    for (;;) {
      const one = this.#next();
      if (one === undefined) return frames;
      frames.push(one);
    }
  }

  #next(): ServerFrame | undefined {
    const bytes = this.#rest;
    const [first, second] = bytes;
    if (first === undefined || second === undefined) return undefined;
    if ((second & 0x80) !== 0) this.fault = "the server sent a masked frame";
    const form = second & 0x7f;
    const start = form < 126 ? 2 : form === 126 ? 4 : 10;
    if (bytes.length < start) return undefined;
    const length = form < 126 ? form : form === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < start + length) return undefined;
    this.#rest = bytes.subarray(start + length);
    return {
      opcode: first & 15,
      isFinal: first >= 0x80,
      reserved: (first >> 4) & 7,
      payload: bytes.subarray(start, start + length),
    };
  }
}
