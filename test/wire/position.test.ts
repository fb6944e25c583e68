import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Epoch,
  epochAt,
  epochId,
  epochTime,
  gapBetween,
  isBefore,
  isNext,
  isUpTo,
  offsetAfter,
  type Position,
  positionText,
  readPosition,
} from "../../src/wire/position.js";

/** Few epochs and mostly small offsets, so that equal and adjacent positions are common. */
const positions: fc.Arbitrary<Position> = fc.record({
  epoch: fc.constantFrom("a", "b"),
  offset: fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: Number.MAX_SAFE_INTEGER - 100 })),
});

/** Checks a property for many pairs; a failure prints its seed. */
function checkPairs(property: (one: Position, other: Position) => void): void {
  fc.assert(fc.property(positions, positions, property), { numRuns: 300 });
}

function positionAfter({ epoch, offset }: Position, count: number): Position {
  return { epoch, offset: offset + count };
}

describe("two positions", () => {
  it("of one epoch are ordered one way: equal, before, or after", () => {
    checkPairs((one, other) => {
      const orders = [isBefore(one, other), isBefore(other, one), isUpTo(one, other) && isUpTo(other, one)];
      expect(orders.filter(Boolean)).toHaveLength(one.epoch === other.epoch ? 1 : 0);
    });
  });

  it("of different epochs have no order and no successor", () => {
    checkPairs((one, { offset }) => {
      const other = { epoch: `${one.epoch}x`, offset };
      expect([isNext, isUpTo, isBefore].map((holds) => holds(one, other))).toEqual([false, false, false]);
    });
  });

  it("follow each other exactly when no position lies between them", () => {
    checkPairs((one, other) => {
      expect(isNext(one, other)).toBe(isBefore(one, other) && other.offset - one.offset === 1);
      expect(isNext(one, positionAfter(one, 1))).toBe(true);
    });
  });
});

function at(text: string): Position {
  const [epoch = "", offset] = text.split(":");
  return { epoch, offset: Number(offset) };
}

/** Epoch `a` published 1 to 7 and lost 6 and 7; `b` published 6 to 12 and lost 10 to 12; `c` published 10 to 15. */
const epochs: readonly Epoch[] = [
  { epoch: "a", base: 0, lost: undefined },
  { epoch: "b", base: 5, lost: 2 },
  { epoch: "c", base: 9, lost: 3 },
];
const top = 15;

/** Epoch `a` published 1 to 5, and `b` published 6 and 7. Then 4 to 7 were lost, so that `c` began with another 4. */
const rewound: readonly Epoch[] = [
  { epoch: "a", base: 0, lost: undefined },
  { epoch: "b", base: 5, lost: 0 },
  { epoch: "c", base: 3, lost: 4 },
];

describe("the epoch of an offset", () => {
  it.each([
    [0, "a"],
    [1, "a"],
    [5, "a"],
    [6, "b"],
    [9, "b"],
    [10, "c"],
    [1_000, "c"],
  ])("at %d is %s", (offset, epoch) => {
    expect(epochAt(epochs, offset)).toBe(epoch);
  });

  it("before the first known epoch is the first, and empty in a room without publications", () => {
    expect(epochAt(epochs.slice(1), 3)).toBe("b");
    expect(epochAt([], 3)).toBe("");
  });
});

describe("the time of an epoch", () => {
  it("is the one that its id was made with, for as long as clocks count", () => {
    const unique = fc.stringMatching(/^[\w-]{1,12}$/);
    fc.assert(
      fc.property(fc.nat({ max: 36 ** 9 - 1 }), unique, (timeMs, suffix) => {
        expect(epochTime(epochId(timeMs, suffix))).toBe(timeMs);
      }),
    );
  });

  it.each(["", "-", "-1", "abc", "abc_1", "Qm3x-1", "q m3-1", "0123456789-1"])("is not known for the id %j", (id) => {
    expect(epochTime(id)).toBeUndefined();
  });
});

describe("the offset after which a reader reads", () => {
  it.each([
    ["of the position in the first epoch", "a:3", 3],
    ["of the last position that its epoch has left", "a:5", 5],
    ["of the end of its epoch, if it has seen publications that were lost", "a:7", 5],
    ["of the end of its epoch, however far behind it the reader is", "a:99", 5],
    ["of the position in an epoch between others", "b:8", 8],
    ["of the end of an epoch between others", "b:12", 9],
    ["of the position in the last epoch", "c:12", 12],
    ["of the top of the room", "c:15", 15],
    ["where the last epoch began, if the position is not reached yet", "c:16", 9],
    ["where the last epoch began, if the epoch is not known", "x:3", 9],
  ])("is that %s", (_what, since, offset) => {
    expect(offsetAfter(at(since), epochs, top)).toBe(offset);
  });

  it("is the smallest at which a later epoch began", () => {
    expect(offsetAfter(at("a:4"), rewound, 10)).toBe(3);
    expect(offsetAfter(at("b:6"), rewound, 10)).toBe(3);
  });

  it("is 0 in a room without publications", () => {
    expect(offsetAfter(at("x:3"), [], 0)).toBe(0);
  });

  it("is where the first epoch began that is not older than the unknown one of the reader", () => {
    const timed: readonly Epoch[] = [
      { epoch: "untimed", base: 0, lost: undefined },
      { epoch: epochId(1_000, "a"), base: 3, lost: 0 },
      { epoch: epochId(2_000, "b"), base: 5, lost: 0 },
      { epoch: epochId(3_000, "c"), base: 7, lost: 0 },
    ];
    const times = [1, 1_000, 1_001, 2_000, 2_001, 3_001];
    const offsets = times.map((time) => offsetAfter({ epoch: epochId(time, "x"), offset: 1 }, timed, 9));
    expect(offsets).toEqual([3, 3, 5, 5, 7, 7]);
  });
});

describe("the gap between a reader and its next publication", () => {
  it.each<[what: string, last: string, next: string, missed: number | undefined]>([
    ["all between them in one epoch", "a:3", "a:6", 2],
    ["all between them in an epoch that is not known", "x:3", "x:6", 2],
    ["nothing for a publication that the reader has", "a:3", "a:3", 0],
    ["nothing for one before it", "a:3", "a:1", 0],
    ["what the old epoch lost", "a:5", "b:6", 2],
    ["what the old epoch still has, and what it lost", "a:3", "b:6", 4],
    ["what the new epoch has before the publication, too", "a:5", "b:8", 4],
    ["what the old epoch lost, without the part that the reader has", "a:6", "b:6", 1],
    ["nothing if the reader has all that was lost", "a:7", "b:6", 0],
    ["nothing if the reader has more than is known to be lost", "a:9", "b:6", 0],
    ["what the second change lost", "b:9", "c:10", 3],
    ["a whole epoch, and what both changes lost", "a:5", "c:10", 9],
    ["that without the part that the reader has", "a:7", "c:10", 7],
    ["an unknown number for an epoch before that of the reader", "b:6", "a:7", undefined],
    ["an unknown number for a reader of an unknown epoch", "x:6", "a:1", undefined],
    ["an unknown number for a publication of an unknown epoch", "a:5", "x:6", undefined],
  ])("has %s", (_what, last, next, missed) => {
    const { epoch, offset } = at(next);
    expect(gapBetween(at(last), at(next), epochs)).toEqual({ position: { epoch, offset: offset - 1 }, missed });
  });

  it("does not exist for the publication that directly follows", () => {
    expect(gapBetween(at("a:3"), at("a:4"), epochs)).toBeUndefined();
  });

  it.each(["b", "c"])("has an unknown number if that of one change is not known: %s", (unknown) => {
    const partly = epochs.map((one) => (one.epoch === unknown ? { ...one, lost: undefined } : one));
    expect(gapBetween(at("a:5"), at("c:10"), partly)).toEqual({ position: at("c:9"), missed: undefined });
  });

  it("has an unknown number for a reader of an epoch that is no longer known", () => {
    expect(gapBetween(at("a:5"), at("b:6"), epochs.slice(1))).toEqual({ position: at("b:5"), missed: undefined });
  });

  it("is a change of the epoch alone if nothing was lost", () => {
    const complete = epochs.map((epoch) => ({ ...epoch, lost: 0 }));
    expect(gapBetween(at("a:5"), at("b:6"), complete)).toEqual({ position: at("b:5"), missed: 0 });
  });

  it("counts from the smallest offset at which a later epoch began", () => {
    expect(gapBetween(at("a:3"), at("c:4"), rewound)).toEqual({ position: at("c:3"), missed: 4 });
    expect(gapBetween(at("a:5"), at("c:4"), rewound)).toEqual({ position: at("c:3"), missed: 2 });
  });
});

describe("a position as text", () => {
  it.each([
    ["Qm3x-1:0", { epoch: "Qm3x-1", offset: 0 }],
    [`${"e".repeat(64)}:9007199254740991`, { epoch: "e".repeat(64), offset: 9_007_199_254_740_991 }],
    ["_-9:12", { epoch: "_-9", offset: 12 }],
  ])("%s is read and written", (text, position) => {
    expect(readPosition(text)).toEqual(position);
    expect(positionText(position)).toBe(text);
  });

  it.each([
    "",
    ":",
    "e:",
    ":1",
    "e:x",
    "e:-1",
    "e:1 ",
    " e:1",
    "e:1:2",
    "é:1",
    "e e:1",
    `${"e".repeat(65)}:1`,
    "e:12345678901234567",
    "e:9007199254740992",
  ])("%o is none", (text) => {
    expect(readPosition(text)).toBeUndefined();
  });
});
