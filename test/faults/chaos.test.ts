import { describe, expect, it } from "vitest";
import { Dice } from "../support/dice.js";
import { type EngineName, startEngine } from "../support/engines.js";
import { cutTail, wipe } from "../support/natsStore.js";
import { missing } from "../support/parts.js";
import { ProcessRun } from "./processRun.js";

/** As in faults.test.ts, but one seed unless FAULT_RUNS is set, because each takes about twenty seconds. */
const { FAULT_SEED, FAULT_RUNS = "1" } = process.env;
const first = FAULT_SEED === undefined ? Math.floor(Math.random() * 1_000_000) : Number(FAULT_SEED);
const runs = FAULT_SEED === undefined ? Number(FAULT_RUNS) : 1;
const seeds = Array.from({ length: runs }, (_, n) => first + n);

const faultCount = 12;
const load = { clients: 30, perSecond: 300 };
const perfect = { examples: [], lostUntold: 0, keptNotDelivered: 0, twice: 0, outOfOrder: 0 };

type Fault = (run: ProcessRun) => Promise<void> | void;

const restart =
  (damage: Fault): Fault =>
  async (run) => {
    await run.engine.kill();
    await damage(run);
    await run.engine.restart();
  };

const indexOf = ({ dice, places }: ProcessRun) => dice.from(0, places.length);

/** Breaks the way of one node to the engine, and repairs it before or after it is noticed. */
const breakWay =
  (how: "cut" | "stall"): Fault =>
  async (run) => {
    const way = run.places[indexOf(run)]?.way;
    way?.[how]();
    await run.accepts(run.dice.from(1, 500));
    way?.open();
  };

/** Breaks some of the clients' connections in one way. */
const breakLinks =
  (how: "reset" | "silence" | "mid-frame" | "slow"): Fault =>
  ({ dice, clientWay }) => {
    // Of its own: the number of connections depends on the time, and the next fault must not.
    const own = new Dice(dice.from(0, 1_000_000));
    for (const connection of clientWay?.connections ?? []) {
      if (own.roll() < 0.6) continue;
      if (how === "reset") connection.reset();
      else if (how === "silence") connection.silence();
      else if (how === "mid-frame") connection.cutAfter(own.from(1, 400));
      else connection.slowDown(own.from(500, 5_000), own.from(200, 2_000));
    }
  };

const common: Readonly<Record<string, Fault>> = {
  "the engine is killed": restart(() => undefined),
  "the engine is killed and loses all data": restart(({ engine }) => wipe(engine)),
  "a node is killed": (run) => run.replace(indexOf(run), async () => undefined),
  "a node is drained": (run) =>
    run.replace(indexOf(run), async (node) => {
      await run.drain(node);
      await node.close();
    }),
  "a node's way to the engine is cut": breakWay("cut"),
  "a node's way to the engine is stalled": breakWay("stall"),
  "clients lose their connection": breakLinks("reset"),
  "clients lose their connection within a frame": breakLinks("mid-frame"),
  "clients have half-open connections": breakLinks("silence"),
  "clients have slow connections": breakLinks("slow"),
};

const faultsOf: Readonly<Record<EngineName, Readonly<Record<string, Fault>>>> = {
  redis: common,
  nats: { ...common, "the engine is killed and loses its last writes": restart(({ engine }) => void cutTail(engine)) },
};

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `chaos over ${name}`))(`chaos of three node processes over ${name}`, () => {
    it.each(seeds)(
      "loses nothing untold, delivers all that is kept, nothing twice, and all in order: seed %i",
      async (seed) => {
        const engine = await startEngine(name, { durable: true, appendfsync: "everysec" });
        const run = await ProcessRun.start(engine, { ...load, seed, throughProxies: true });
        const happened: string[] = [];
        for (let n = 0; n < faultCount; n += 1) {
          await run.accepts(run.dice.from(1, 200));
          const [what, fault] = run.dice.of(Object.entries(faultsOf[name])) ?? [];
          happened.push(String(what));
          await fault?.(run);
        }
        const { tally, faults } = await run.conclude();
        const problems = [...faults, ...tally.examples];
        // The trace, since the same seed may not fail again.
        const trace = problems.length === 0 ? [] : run.traceOf(tally.examples);
        if (problems.length > 0) console.log([`${name}, seed ${seed}:`, ...happened, ...problems, ...trace].join("\n"));
        expect({ faults, tally }).toEqual({ faults: [], tally: expect.objectContaining(perfect) });
        expect(tally.acknowledged).toBeGreaterThan(faultCount);
      },
      120_000,
    );
  });
}
