import { describe, expect, it } from "vitest";
import { Dice } from "../support/dice.js";
import { type EngineName, startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { RequestLoad } from "./requestLoad.js";

/** All requests with FAULT_RUNS, as `npm run test:faults` sets it; FAULT_SEED repeats a run. */
const { FAULT_SEED, FAULT_RUNS } = process.env;
const seed = FAULT_SEED === undefined ? Math.floor(Math.random() * 1_000_000) : Number(FAULT_SEED);
const count = FAULT_RUNS === undefined ? 1_000 : 10_000;
const none: readonly string[] = [];

for (const name of ["redis", "nats"] as const satisfies readonly EngineName[]) {
  describe.skipIf(missing(name, `requests over flapping links with ${name}`))(`requests over ${name}`, () => {
    it.each([seed])(
      `run once and get their replies over flapping links to three nodes, ${count} of them: seed %i`,
      async (one) => {
        const load = await RequestLoad.start(await startEngine(name), new Dice(one));
        const { outcomes, repeated, cuts } = await load.send(count);
        expect(load.runs.size).toBe(count);
        expect([...load.runs].filter(([, runs]) => runs > 1)).toEqual(none);
        expect(outcomes.filter((outcome) => outcome !== "replied")).toEqual(none);
        expect(outcomes).toHaveLength(count);
        // The faults did hit requests.
        expect(cuts).toBeGreaterThan(count / 50);
        expect(repeated).toBeGreaterThan(count / 100);
      },
      240_000,
    );

    it.each([seed])(
      `never run twice if the nodes' connections to the engine break as well, ${count} of them: seed %i`,
      async (one) => {
        const load = await RequestLoad.start(await startEngine(name), new Dice(one), true);
        const { outcomes, outages } = await load.send(count);
        expect([...load.runs].filter(([, runs]) => runs > 1)).toEqual(none);
        const expected = ["replied", "duplicate", "unavailable"];
        expect(outcomes.filter((outcome) => !expected.includes(outcome))).toEqual(none);
        expect(outcomes).toHaveLength(count);
        expect(load.runs.size).toBeGreaterThanOrEqual(outcomes.filter((outcome) => outcome === "replied").length);
        expect(outages).toBeGreaterThan(count / 500);
      },
      240_000,
    );
  });
}
