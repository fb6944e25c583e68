/** The first byte of a batch. A single node message begins with `{`. */
const batchMark = 1;
/** The bytes of the length before each message of a batch. */
export const lengthBytes = 4;

/** Joins node messages into a batch, each preceded by its length. A single message is returned unchanged. */
export function joinNodeMessages(messages: readonly Uint8Array[]): Uint8Array {
  const [first] = messages;
  if (first !== undefined && messages.length === 1) return first;
  const bytes = messages.reduce((sum, { length }) => sum + lengthBytes + length, 1);
  const joined = Buffer.allocUnsafe(bytes);
  let at = joined.writeUInt8(batchMark, 0);
  for (const message of messages) {
    at = joined.writeUInt32BE(message.length, at);
    joined.set(message, at);
    at += message.length;
  }
  return joined;
}

/**
 * Splits a batch into its node messages. Bytes after the last complete one are returned as a message, which is
 * malformed.
 */
export function splitNodeMessages(batch: Uint8Array): readonly Uint8Array[] {
  if (batch[0] !== batchMark) return [batch];
  const bytes = Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength);
  const messages: Uint8Array[] = [];
  for (let at = 1; at < bytes.length; ) {
    const start = at + lengthBytes;
    const end = start > bytes.length ? Number.POSITIVE_INFINITY : start + bytes.readUInt32BE(at);
    if (end > bytes.length) return [...messages, bytes.subarray(at)];
    messages.push(bytes.subarray(start, end));
    at = end;
  }
  return messages;
}
