/** The first byte of a batch; a node message by itself begins with `{`. */
const batchMark = 1;
const lengthBytes = 4;

/** One message that carries several node messages, each after its length; one by itself is sent as it is. */
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

/** The node messages of a batch. Bytes after the last whole one are returned as one that cannot be decoded. */
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
