/** Bytes as base64 text (RFC 4648, section 4), without a copy of the bytes. */
export function base64({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}
