/** The first byte of several parcels in one message; one alone begins with `{`. */
const severalMark = 1;
const lengthBytes = 4;

/** One message that carries parcels, each behind its length; one alone goes as it is. */
export function joinNodeMessages(parcels: readonly Uint8Array[]): Uint8Array {
  const [first] = parcels;
  if (first !== undefined && parcels.length === 1) return first;
  const bytes = parcels.reduce((sum, { length }) => sum + lengthBytes + length, 1);
  const joined = Buffer.allocUnsafe(bytes);
  let at = joined.writeUInt8(severalMark, 0);
  for (const parcel of parcels) {
    at = joined.writeUInt32BE(parcel.length, at);
    joined.set(parcel, at);
    at += parcel.length;
  }
  return joined;
}

/** The parcels of a message; what is behind the last whole one is one that nobody can read. */
export function splitNodeMessages(message: Uint8Array): readonly Uint8Array[] {
  if (message[0] !== severalMark) return [message];
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const parcels: Uint8Array[] = [];
  for (let at = 1; at < bytes.length; ) {
    const start = at + lengthBytes;
    const end = start > bytes.length ? Number.POSITIVE_INFINITY : start + bytes.readUInt32BE(at);
    if (end > bytes.length) return [...parcels, bytes.subarray(at)];
    parcels.push(bytes.subarray(start, end));
    at = end;
  }
  return parcels;
}
