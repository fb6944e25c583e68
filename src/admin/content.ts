const shownCharsMax = 4_096;
/** As many bytes as {@link shownCharsMax} characters of base64 hold. */
const shownBytesMax = (shownCharsMax / 4) * 3;

/** The content of a message as pages show it, cut to 4,096 characters; bytes in base64. `bytes` is its whole size. */
export function shownContent(data: string | Uint8Array): { readonly text: string; readonly bytes: number } {
  if (typeof data === "string") return { text: data.slice(0, shownCharsMax), bytes: Buffer.byteLength(data) };
  const { buffer, byteOffset, length } = data;
  return { text: Buffer.from(buffer, byteOffset, Math.min(length, shownBytesMax)).toString("base64"), bytes: length };
}
