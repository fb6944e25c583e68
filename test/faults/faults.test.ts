import { describe, expect, it } from "vitest";
import { receiverOf, runFaults } from "./run.js";

/** `FAULT_SEED=7 npm run test:faults` repeats one seed. FAULT_RUNS is the number of runs, from a random seed on. */
const { FAULT_SEED, FAULT_RUNS } = process.env;
const first = FAULT_SEED === undefined ? Math.floor(Math.random() * 1_000_000) : Number(FAULT_SEED);

function seedsOf(runs: number): [seed: number, receiver: string][] {
  const length = FAULT_SEED === undefined ? Number(FAULT_RUNS ?? runs) : 1;
  return Array.from({ length }, (_, n) => [first + n, receiverOf(first + n)]);
}

describe.each([
  ["websocket", 12],
  ["http", 12],
  ["shared websockets", 4],
] as const)("over %s", (way, runs) => {
  it.each(seedsOf(runs))(
    "every client sees each publication once and in order, or gets a report of the loss: seed %i, receiver %s",
    async (seed) => {
      const { faults, cuts } = await runFaults(seed, way);
      expect(faults).toEqual([]);
      expect(Object.keys(cuts).length).toBeGreaterThan(0);
    },
    60_000,
  );
});
