import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isBefore, isNext, isUpTo, missedBetween, type Position } from "../../src/wire/position.js";

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

  it("of different epochs have no order, no successor and no known gap", () => {
    checkPairs((one, { offset }) => {
      const other = { epoch: `${one.epoch}x`, offset };
      expect([isNext, isUpTo, isBefore].map((holds) => holds(one, other))).toEqual([false, false, false]);
      expect(missedBetween(one, other)).toBeUndefined();
    });
  });

  it("follow each other exactly when no position lies between them", () => {
    checkPairs((one, other) => {
      expect(isNext(one, other)).toBe(isBefore(one, other) && missedBetween(one, other) === 0);
      expect(isNext(one, positionAfter(one, 1))).toBe(true);
    });
  });
});

describe("the gap between two positions", () => {
  it("is the number of publications that would fill it one by one", () => {
    fc.assert(
      fc.property(positions, fc.nat({ max: 50 }), (last, missed) => {
        const next = positionAfter(last, missed + 1);
        let filled = last;
        let count = 0;
        // Bounded, so that a wrong isNext fails instead of looping forever.
        for (; !isNext(filled, next) && count <= missed; count += 1) filled = positionAfter(filled, 1);
        expect(missedBetween(last, next)).toBe(count);
        expect(count).toBe(missed);
      }),
    );
  });

  it("is zero for a position that was reached already", () => {
    checkPairs((reached, position) => {
      if (isUpTo(reached, position)) expect(missedBetween(reached, position)).toBe(0);
    });
  });
});

describe("a reader", () => {
  it("that accepts only new positions sees each offset once, in order, and counts every gap", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 12 })), (offsets) => {
        let reached: Position = { epoch: "a", offset: 0 };
        const seen: number[] = [];
        let missed = 0;
        for (const offset of offsets) {
          const position = { epoch: "a", offset };
          if (isUpTo(reached, position)) continue;
          missed += missedBetween(reached, position) ?? Number.NaN;
          reached = position;
          seen.push(offset);
        }
        expect(seen).toEqual([...new Set(seen)].sort((one, other) => one - other));
        expect(seen.length + missed).toBe(reached.offset);
      }),
    );
  });
});
