import { endianness } from "node:os";

/** A shorter payload is unmasked byte by byte. */
const wordsBytesMin = 32;
/** In a shorter chunk, a view of words costs more than it saves. */
const viewBytesMin = 256;
const nonAsciiByte = 0x80;
const nonAsciiWord = 0x8080_8080 | 0;
const isLittleEndian = endianness() === "LE";

const noWords = new Int32Array();

/** The memory of `bytes` as words of 4 bytes, without those at its ends that are not whole; empty if it is small. */
export function wordsOf({ buffer, byteOffset, length }: Uint8Array): Int32Array {
  if (length < viewBytesMin || !isLittleEndian) return noWords;
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
  const key =
    (mask[maskAt] ?? 0) |
    ((mask[maskAt + 1] ?? 0) << 8) |
    ((mask[maskAt + 2] ?? 0) << 16) |
    ((mask[maskAt + 3] ?? 0) << 24);
  if (words.length === 0 || end - begin < wordsBytesMin) {
    return (unmaskBytes(bytes, begin, end, key) & nonAsciiByte) === 0;
  }
  const lead = (words.byteOffset - bytes.byteOffset - begin) & 3;
  let seen = unmaskBytes(bytes, begin, begin + lead, key);
  const wordKey = (key >>> (8 * lead)) | (lead === 0 ? 0 : key << (32 - 8 * lead));
  const firstWord = (bytes.byteOffset + begin + lead - words.byteOffset) >> 2;
  const count = (end - begin - lead) >> 2;
  const seenWords = unmaskWords(words, firstWord, firstWord + count, wordKey);
  seen |= unmaskBytes(bytes, begin + lead + 4 * count, end, wordKey);
  return (seen & nonAsciiByte) === 0 && (seenWords & nonAsciiWord) === 0;
}

/** Returns all bits that are set in any of the bytes. The lowest byte of `key` is for the first of them. */
function unmaskBytes(bytes: Uint8Array, begin: number, end: number, key: number): number {
  const key1 = key >>> 8;
  const key2 = key >>> 16;
  const key3 = key >>> 24;
  let seen = 0;
  let at = begin;
  for (; at + 3 < end; at += 4) {
    const byte0 = (bytes[at] ?? 0) ^ (key & 0xff);
    const byte1 = (bytes[at + 1] ?? 0) ^ (key1 & 0xff);
    const byte2 = (bytes[at + 2] ?? 0) ^ (key2 & 0xff);
    const byte3 = (bytes[at + 3] ?? 0) ^ key3;
    bytes[at] = byte0;
    bytes[at + 1] = byte1;
    bytes[at + 2] = byte2;
    bytes[at + 3] = byte3;
    seen |= byte0 | byte1 | byte2 | byte3;
  }
  for (let shift = 0; at < end; at += 1, shift += 8) {
    const byte = (bytes[at] ?? 0) ^ ((key >>> shift) & 0xff);
    bytes[at] = byte;
    seen |= byte;
  }
  return seen;
}

/** Returns all bits that are set in any of the words. */
function unmaskWords(words: Int32Array, begin: number, end: number, key: number): number {
  let seen = 0;
  for (let at = begin; at < end; at += 1) {
    const word = (words[at] ?? 0) ^ key;
    words[at] = word;
    seen |= word;
  }
  return seen;
}
