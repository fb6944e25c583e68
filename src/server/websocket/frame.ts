/** The bit of the last frame of a message (RFC 6455 5.2). */
export const FIN = 0x80;

/** The opcodes (RFC 6455 5.2, 11.8). */
export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** The bytes of the shared memory that frames are written to. */
const slabBytes = 8 * 1024;
/** The most bytes of UTF-8 that a character of a string takes. */
const bytesPerCharacterMax = 3;
/** The bytes of a head with a length of 16 bits. A head with a short length leaves two of them unused. */
const longHeadBytes = 4;
/** A string of so many characters is written without a count of its bytes before. */
const shortTextMax = 512;

let slab = Buffer.allocUnsafeSlow(slabBytes);
let slabUsed = 0;

/**
 * Encodes a message as one unfragmented and unmasked frame of a server (RFC 6455 5.2).
 *
 * A string is encoded as UTF-8. Bytes are copied, so the caller may change them afterwards.
 */
export function encodeFrame(data: string | Uint8Array, opcode: number): Uint8Array {
  if (typeof data === "string" && data.length <= shortTextMax) return encodeShortText(data, opcode);
  const length = typeof data === "string" ? Buffer.byteLength(data) : data.length;
  const start = length < 126 ? 2 : length < 0x1_0000 ? longHeadBytes : 10;
  const frame = Buffer.allocUnsafe(start + length);
  writeHead(frame, 0, opcode, length);
  if (typeof data === "string") frame.write(data, start);
  else frame.set(data, start);
  return frame;
}

/** The text is written first, and the head in front of it: then it is known how many bytes it has. */
function encodeShortText(text: string, opcode: number): Uint8Array {
  const needed = longHeadBytes + bytesPerCharacterMax * text.length;
  if (slabUsed + needed > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    slabUsed = 0;
  }
  const textAt = slabUsed + longHeadBytes;
  const length = slab.write(text, textAt);
  const begin = length < 126 ? slabUsed + 2 : slabUsed;
  writeHead(slab, begin, opcode, length);
  slabUsed = textAt + length;
  return slab.subarray(begin, slabUsed);
}

function writeHead(frame: Buffer, at: number, opcode: number, length: number): void {
  frame[at] = FIN | opcode;
  if (length < 126) {
    frame[at + 1] = length;
  } else if (length < 0x1_0000) {
    frame[at + 1] = 126;
    frame[at + 2] = length >> 8;
    frame[at + 3] = length;
  } else {
    frame[at + 1] = 127;
    frame.writeBigUInt64BE(BigInt(length), at + 2);
  }
}
