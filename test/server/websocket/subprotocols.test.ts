import { expect, it } from "vitest";
import * as ws from "ws";
import { offeredSubprotocols } from "../../../src/server/websocket/subprotocols.js";
import { Dice } from "../../support/dice.js";

// @types/ws has no parser of subprotocols. ws exports it, and the first call fails if it should not any more.
const { subprotocol } = ws as unknown as { readonly subprotocol: { parse(header: string): Set<string> } };

/** What ws finds in a header; `undefined` where it throws. */
function offeredToWs(header: string): readonly string[] | undefined {
  try {
    return [...subprotocol.parse(header)];
  } catch {
    return undefined;
  }
}

const parts = [
  "a",
  "chat.v1",
  "!#$%&'*+-.^_`|~",
  "é",
  "\u00a0",
  '"',
  "/",
  "(",
  " ",
  "\t",
  ",",
  ", ",
  ",,",
  "\x7f",
  "a",
];

it("reads the same subprotocols as ws from 100,000 random headers, and refuses the same ones", () => {
  const dice = new Dice(1);
  let valid = 0;
  for (let n = 0; n < 100_000; n += 1) {
    // Node removes whitespace at both ends.
    const header = Array.from({ length: dice.from(0, 7) }, () => dice.of(parts)).join("");
    const trimmed = header.replace(/^[ \t]+|[ \t]+$/g, "");
    const names = offeredSubprotocols(trimmed);
    expect(names, JSON.stringify(trimmed)).toEqual(offeredToWs(trimmed));
    if (names !== undefined) valid += 1;
  }
  expect(valid).toBeGreaterThan(5_000);
});

it("takes no time that grows with the square of a header", () => {
  const start = performance.now();
  for (let n = 0; n < 20; n += 1) expect(offeredSubprotocols(`a${" ".repeat(15_000)}b`)).toBeUndefined();
  // Quadratic time takes more than a second; this takes a few milliseconds.
  expect(performance.now() - start).toBeLessThan(500);
});
