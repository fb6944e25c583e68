/** The bit of the last frame of a message (RFC 6455 5.2). */
export const FIN = 0x80;

/** The opcodes (RFC 6455 5.2, 11.8). */
export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/**
 * Encodes a message as one unfragmented and unmasked frame of a server (RFC 6455 5.2).
 *
 * A string is encoded as UTF-8. Bytes are copied, so the caller may change them afterwards.
 */
export function encodeFrame(data: string | Uint8Array, opcode: number): Uint8Array {
  const length = typeof data === "string" ? Buffer.byteLength(data) : data.length;
  const start = length < 126 ? 2 : length < 0x1_0000 ? 4 : 10;
  const frame = Buffer.allocUnsafe(start + length);
  frame[0] = FIN | opcode;
  if (start === 2) {
    frame[1] = length;
  } else if (start === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  if (typeof data === "string") frame.write(data, start);
  else frame.set(data, start);
  return frame;
}
