/**
 * The publication with this offset, for the publisher and for the clients that check it: JSON of a fixed length.
 *
 * @param {number} offset @param {number} bytes
 */
export function publicationAt(offset, bytes) {
  const message = { n: 1_000_000_000 + offset, t: "" };
  return { ...message, t: "x".repeat(bytes - JSON.stringify(message).length) };
}
