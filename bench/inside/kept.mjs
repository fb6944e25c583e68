/**
 * A publication that is kept, the same for who publishes it and who expects it: JSON of a fixed length.
 *
 * @param {number} offset @param {number} bytes
 */
export function kept(offset, bytes) {
  const message = { n: 1_000_000_000 + offset, t: "" };
  return { ...message, t: "x".repeat(bytes - JSON.stringify(message).length) };
}
