/** A shorter payload is unmasked byte by byte. */
const wordsBytesMin = 32;
const nonAsciiByte = 0x80;
const nonAsciiWord = 0x8080_8080 | 0;

const keyBytes = new Uint8Array(4);
const keyWord = new Int32Array(keyBytes.buffer);

const noWords = new Int32Array();

/** The memory of `bytes` as words of 4 bytes, without those at its ends that are not whole. */
export function wordsOf({ buffer, byteOffset, length }: Uint8Array): Int32Array {
  if (length < wordsBytesMin) return noWords;
  const begin = (byteOffset + 3) & ~3;
  return new Int32Array(buffer, begin, (byteOffset + length - begin) >> 2);
}

/**
 * Undoes the masking (RFC 6455 5.3) of the bytes from `begin` to `end`, in place. The masking key is at `maskAt`.
 *
 * @param words The same memory as `bytes`, see {@link wordsOf}.
 * @returns whether all of them are ASCII, which is then also known to be UTF-8.
 */
export function unmask(
  bytes: Uint8Array,
  words: Int32Array,
  begin: number,
  end: number,
  mask: Uint8Array,
  maskAt: number,
): boolean {
  keyBytes[0] = mask[maskAt] ?? 0;
  keyBytes[1] = mask[maskAt + 1] ?? 0;
  keyBytes[2] = mask[maskAt + 2] ?? 0;
  keyBytes[3] = mask[maskAt + 3] ?? 0;
  if (end - begin < wordsBytesMin) return (unmaskBytes(bytes, begin, end) & nonAsciiByte) === 0;
  const lead = (words.byteOffset - bytes.byteOffset - begin) & 3;
  let seen = unmaskBytes(bytes, begin, begin + lead);
  rotateKey(lead);
  const firstWord = (bytes.byteOffset + begin + lead - words.byteOffset) >> 2;
  const count = (end - begin - lead) >> 2;
  const seenWords = unmaskWords(words, firstWord, firstWord + count);
  seen |= unmaskBytes(bytes, begin + lead + 4 * count, end);
  return (seen & nonAsciiByte) === 0 && (seenWords & nonAsciiWord) === 0;
}

/** The key as it continues after `lead` bytes. */
function rotateKey(lead: number): void {
  if (lead === 0) return;
  const key0 = keyBytes[0] ?? 0;
  const key1 = keyBytes[1] ?? 0;
  const key2 = keyBytes[2] ?? 0;
  const key3 = keyBytes[3] ?? 0;
  keyBytes[-lead & 3] = key0;
  keyBytes[(1 - lead) & 3] = key1;
  keyBytes[(2 - lead) & 3] = key2;
  keyBytes[(3 - lead) & 3] = key3;
}

/** Returns all bits that are set in any of the bytes. */
function unmaskBytes(bytes: Uint8Array, begin: number, end: number): number {
  let seen = 0;
  for (let at = begin; at < end; at += 1) {
    const byte = (bytes[at] ?? 0) ^ (keyBytes[(at - begin) & 3] ?? 0);
    bytes[at] = byte;
    seen |= byte;
  }
  return seen;
}

/** Returns all bits that are set in any of the words. */
function unmaskWords(words: Int32Array, begin: number, end: number): number {
  const key = keyWord[0] ?? 0;
  let seen = 0;
  for (let at = begin; at < end; at += 1) {
    const word = (words[at] ?? 0) ^ key;
    words[at] = word;
    seen |= word;
  }
  return seen;
}
