import { expect, it } from "vitest";
import { unmask, wordsOf } from "../../../src/server/websocket/direct/unmask.js";
import { Dice } from "../../support/dice.js";

const dice = new Dice(1);
const lengthMax = 300;
/** Bytes before and after the payload. */
const around = 16;

it("unmasks each length at each offset as RFC 6455 5.3 says, touches no other byte, and knows ASCII", () => {
  const wrong: unknown[] = [];
  for (let length = 0; length <= lengthMax; length += 1) {
    for (let offset = 0; offset < 8; offset += 1) {
      for (const kind of ["ASCII", "one byte above", "any"] as const) {
        const plain = payloadOf(kind, length);
        const mask = Buffer.from([9, 9, ...Array.from({ length: 4 }, () => dice.from(0, 256)), 9]);
        const bytes = Buffer.from(new ArrayBuffer(lengthMax + 2 * around + 8), offset).fill(0xa5);
        const [begin, end] = [around, around + length];
        for (let at = 0; at < length; at += 1) bytes[begin + at] = (plain[at] ?? 0) ^ (mask[2 + (at % 4)] ?? 0);
        const isAscii = unmask(bytes, wordsOf(bytes), begin, end, mask, 2);
        const isRight =
          bytes.subarray(begin, end).equals(plain) &&
          isAscii === plain.every((byte) => byte < 0x80) &&
          [...bytes.subarray(0, begin), ...bytes.subarray(end)].every((byte) => byte === 0xa5);
        if (!isRight) wrong.push({ length, offset, kind });
      }
    }
  }
  expect(wrong).toEqual([]);
});

function payloadOf(kind: "ASCII" | "one byte above" | "any", length: number): Buffer {
  const bytes = Buffer.from(Array.from({ length }, () => dice.from(0, kind === "any" ? 256 : 128)));
  if (kind === "one byte above" && length > 0) bytes[dice.from(0, length)] = dice.from(0x80, 256);
  return bytes;
}
