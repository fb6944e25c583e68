/** A shorter payload is unmasked byte by byte: a view of 4-byte words costs more. */
const wordsBytesMin = 64;
const nonAsciiByte = 0x80;
const nonAsciiWord = 0x8080_8080 | 0;

const keyBytes = new Uint8Array(4);
const keyWord = new Int32Array(keyBytes.buffer);

/**
 * Undoes the masking (RFC 6455 5.3) of the bytes from `begin` to `end`, in place. The masking key is at `maskAt`.
 *
 * @returns whether all of them are ASCII, which is then also known to be UTF-8.
 */
export function unmask(bytes: Uint8Array, begin: number, end: number, mask: Uint8Array, maskAt: number): boolean {
  const key0 = mask[maskAt] ?? 0;
  const key1 = mask[maskAt + 1] ?? 0;
  const key2 = mask[maskAt + 2] ?? 0;
  const key3 = mask[maskAt + 3] ?? 0;
  if (end - begin < wordsBytesMin) return (unmaskBytes(bytes, begin, end, key0, key1, key2, key3) & nonAsciiByte) === 0;
  // The words of the view begin at a multiple of 4 in the memory.
  const lead = -(bytes.byteOffset + begin) & 3;
  const count = (end - begin - lead) >> 2;
  const wordsEnd = begin + lead + 4 * count;
  let seen = unmaskBytes(bytes, begin, begin + lead, key0, key1, key2, key3);
  // The key as it continues after the lead.
  keyBytes[(0 - lead) & 3] = key0;
  keyBytes[(1 - lead) & 3] = key1;
  keyBytes[(2 - lead) & 3] = key2;
  keyBytes[(3 - lead) & 3] = key3;
  const word = keyWord[0] ?? 0;
  const seenWords = unmaskWords(new Int32Array(bytes.buffer, bytes.byteOffset + begin + lead, count), word);
  const [rest0 = 0, rest1 = 0, rest2 = 0, rest3 = 0] = keyBytes;
  seen |= unmaskBytes(bytes, wordsEnd, end, rest0, rest1, rest2, rest3);
  return (seen & nonAsciiByte) === 0 && (seenWords & nonAsciiWord) === 0;
}

/** Returns all bits that are set in any of the bytes. */
function unmaskBytes(
  bytes: Uint8Array,
  begin: number,
  end: number,
  key0: number,
  key1: number,
  key2: number,
  key3: number,
): number {
  let seen = 0;
  let at = begin;
  for (; at + 3 < end; at += 4) {
    const byte0 = (bytes[at] ?? 0) ^ key0;
    const byte1 = (bytes[at + 1] ?? 0) ^ key1;
    const byte2 = (bytes[at + 2] ?? 0) ^ key2;
    const byte3 = (bytes[at + 3] ?? 0) ^ key3;
    bytes[at] = byte0;
    bytes[at + 1] = byte1;
    bytes[at + 2] = byte2;
    bytes[at + 3] = byte3;
    seen |= byte0 | byte1 | byte2 | byte3;
  }
  for (let left = 0; at < end; at += 1, left += 1) {
    const byte = (bytes[at] ?? 0) ^ (left === 0 ? key0 : left === 1 ? key1 : key2);
    bytes[at] = byte;
    seen |= byte;
  }
  return seen;
}

/** Returns all bits that are set in any of the words. */
function unmaskWords(words: Int32Array, key: number): number {
  let seen = 0;
  for (let at = 0; at < words.length; at += 1) {
    const word = (words[at] ?? 0) ^ key;
    words[at] = word;
    seen |= word;
  }
  return seen;
}
