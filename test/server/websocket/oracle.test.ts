import { describe, expect, it } from "vitest";
import { conformanceCases } from "../../../hostile/rows/wire/conformanceCases.js";
import type { FrameLimits } from "../../../src/server/websocket/direct/frameParser.js";
import { Dice } from "../../support/dice.js";
import { FrameCases, slicesOf } from "./oracle/frameCases.js";
import { DirectReader, WsReader } from "./oracle/frameReaders.js";

/** `ORACLE_SEED=7 ORACLE_CASES=100000 npx vitest run test/server/websocket/oracle.test.ts` repeats the random cases. */
const { ORACLE_SEED, ORACLE_CASES } = process.env;
const seed = Number(ORACLE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const cases = Number(ORACLE_CASES ?? 1_000_000);

const unlimited = Number.POSITIVE_INFINITY;
const most = { messageBytesMax: 65_536, fragmentsMax: 256, piecesMax: 2_048 };
/** Each reader unmasks its bytes in place, so each has a copy, which begins at any place of the memory. */
const memory = [new ArrayBuffer(256 * 1024), new ArrayBuffer(256 * 1024)] as const;

/** Both read the same bytes in the same slices. Returns the outcomes, or throws at the first slice that differs. */
function compare(bytes: Buffer, ends: readonly number[], limits: FrameLimits, dice: Dice): readonly string[] {
  const offset = dice.from(0, 8);
  const [ours, theirs] = memory.map((buffer) => Buffer.from(buffer, offset, bytes.length));
  if (ours === undefined || theirs === undefined) throw new Error("there is no memory");
  bytes.copy(ours);
  bytes.copy(theirs);
  const stopsOften = dice.from(0, 2) === 0;
  const direct = new DirectReader(limits, () => !stopsOften || dice.from(0, 2) === 0);
  const oracle = new WsReader(limits);
  let begin = 0;
  let compared = 0;
  for (const end of ends) {
    const wasMidFragments = oracle.isMidFragments;
    direct.read(ours.subarray(begin, end));
    oracle.read(theirs.subarray(begin, end));
    compared = compareFrom(compared, direct.outcomes, oracle.outcomes);
    if (direct.isMidMessage !== oracle.isMidMessage) throw new Error(`mid-message: ws says ${oracle.isMidMessage}`);
    if (wasMidFragments && !oracle.isMidFragments) seen.add("end of fragments");
    begin = end;
  }
  return oracle.outcomes;
}

/** Returns the number of outcomes that are equal: all of them. */
function compareFrom(begin: number, ours: readonly string[], theirs: readonly string[]): number {
  for (let at = begin; at < ours.length || at < theirs.length; at += 1) {
    if (ours[at] !== theirs[at]) {
      throw new Error(`outcome ${at}: expected ${JSON.stringify(theirs[at])}, came ${JSON.stringify(ours[at])}`);
    }
  }
  return theirs.length;
}

/** Counts kinds of outcomes. */
class Counts {
  readonly byKind: Record<string, number> = {};

  add(kind: string): void {
    this.byKind[kind] = (this.byKind[kind] ?? 0) + 1;
  }

  addOutcome(outcome: string): void {
    const end = outcome.indexOf(":");
    const kind = outcome.slice(0, end);
    this.add(kind === "fault" ? outcome : outcome.startsWith("close:1005:") ? "close without a code" : kind);
  }
}

const seen = new Counts();

function piecesOf(length: number, step: number): number[] {
  return Array.from({ length: Math.ceil(length / step) }, (_, at) => Math.min(length, (at + 1) * step));
}

describe("the parser reads what ws reads, and fails where ws fails", () => {
  it.each(conformanceCases().map((one) => [one.name, one.bytes] as const))("%s", (_name, bytes) => {
    const dice = new Dice(seed);
    const check = (ends: readonly number[]) => compare(bytes, ends, most, dice);
    const whole = check([bytes.length]);
    expect(whole.length).toBeGreaterThan(0);
    // A long case in single bytes is in more pieces than the limit allows; both have to find that, too.
    check(piecesOf(bytes.length, 1));
    expect(check(piecesOf(bytes.length, Math.ceil(bytes.length / 1_000)))).toEqual(whole);
    for (let times = 0; times < 10; times += 1) check(slicesOf(bytes.length, dice));
  });

  it(`${cases} random and mutated cases`, { timeout: 600_000 }, async () => {
    console.info(`frames: ORACLE_SEED=${seed}`);
    const dice = new Dice(seed);
    const frames = new FrameCases(dice);
    const { stackTraceLimit } = Error;
    // ws makes an error for most cases, and a stack takes longer than the case.
    Error.stackTraceLimit = 0;
    for (let n = 0; n < cases; n += 1) {
      const limits = {
        messageBytesMax: dice.of([200, 200, 64, 125, 126, 1_000, unlimited]) ?? 0,
        fragmentsMax: dice.of([4, 4, 1, 2, 100]) ?? 0,
        piecesMax: dice.of([3, 1, 2, 20, 1_000, 1_000, 1_000, 1_000]) ?? 0,
      };
      const bytes = frames.next(dice.from(0, 4));
      const ends = slicesOf(bytes.length, dice);
      try {
        for (const outcome of compare(bytes, ends, limits, dice)) seen.addOutcome(outcome);
      } catch (error) {
        const place = `ORACLE_SEED=${seed} case ${n} ${JSON.stringify(limits)}`;
        throw new Error(`${place}: ${error}\n${bytes.toString("hex")}\ncut at ${ends}`);
      }
      // ws has one task for each close, which holds its receiver.
      if (n % 5_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    Error.stackTraceLimit = stackTraceLimit;
    console.info(seen.byKind);
    for (const kind of kinds) expect(seen.byKind[kind] ?? 0, kind).toBeGreaterThan(cases / 2_000);
  });
});

const kinds = [
  ...["text", "binary", "end of fragments", "ping", "pong", "close", "close without a code"],
  ...["fault:1002:protocol error", "fault:1009:message too big", "fault:1007:text is not UTF-8"],
  ...["fault:1008:too many fragments", "fault:1008:message in too many pieces"],
];
