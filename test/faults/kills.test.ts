import { afterAll, describe, expect, it } from "vitest";
import { type EngineName, type EngineOptions, startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { ProcessRun } from "./processRun.js";
import type { Tally } from "./publicationLog.js";

/** Twenty kills of each engine with FAULT_RUNS, else only a few. */
const kills = process.env.FAULT_RUNS === undefined ? 3 : 20;
const load = { clients: 30, perSecond: 1_000 };
/** Publications between two kills. */
const between = 1_000;
const perfect = { examples: [], lostUntold: 0, keptNotDelivered: 0, twice: 0, outOfOrder: 0 };

interface Setting {
  readonly what: string;
  readonly engine: EngineName;
  readonly options: EngineOptions;
  readonly backplane?: object;
  /** Whether no client may be told of a loss, since the engine loses nothing. */
  readonly tellsNothing?: boolean;
}

/** A line of the table. */
interface Row {
  readonly what: string;
  /** Publications accepted in a second, some time after each restart. */
  readonly perSecond: number;
  readonly tally: Tally;
}

const settings: readonly Setting[] = [
  { what: "redis, appendfsync everysec", engine: "redis", options: { appendfsync: "everysec" } },
  {
    what: "redis, appendfsync always, durable",
    engine: "redis",
    options: { appendfsync: "always" },
    backplane: { durable: true },
    tellsNothing: true,
  },
  { what: "nats, file store", engine: "nats", options: {} },
];

describe(`an engine killed ${kills} times under 1,000 publications a second to 30 clients on three nodes`, () => {
  const rows: Row[] = [];
  afterAll(() => {
    if (rows.length > 0) console.log(tableOf(rows));
  });

  for (const { what, engine: name, options, backplane, tellsNothing = false } of settings) {
    it.skipIf(missing(name, `kills of ${name}`))(
      `loses nothing untold, and delivers all that is kept, once and in order: ${what}`,
      async () => {
        const engine = await startEngine(name, { durable: true, ...options });
        const run = await ProcessRun.start(engine, { ...load, ...(backplane && { backplane }) });
        let busyMs = 0;
        for (let n = 0; n <= kills; n += 1) {
          if (n > 0) {
            await engine.kill();
            await engine.restart();
            // The nodes do not all come back at the same moment.
            await run.accepts(between / 2);
          }
          const begun = performance.now();
          await run.accepts(between);
          busyMs += performance.now() - begun;
        }
        const { tally, faults } = await run.conclude();
        rows.push({ what, tally, perSecond: (1_000 * (kills + 1) * between) / busyMs });
        expect({ faults, tally }).toEqual({ faults: [], tally: expect.objectContaining(perfect) });
        if (tellsNothing) expect(tally.told).toBe(0);
        expect(tally.acknowledged).toBeGreaterThan(kills * between);
      },
      60_000 + kills * 10_000,
    );
  }
});

function tableOf(rows: readonly Row[]): string {
  const heads = [
    "engine",
    "per second",
    "acknowledged",
    "lost untold",
    "kept but not delivered",
    "twice",
    "out of order",
    "told",
  ];
  const lines = rows.map(({ what, tally, perSecond }) => [
    what,
    perSecond.toFixed(),
    ...[tally.acknowledged, tally.lostUntold, tally.keptNotDelivered, tally.twice, tally.outOfOrder, tally.told].map(
      String,
    ),
  ]);
  const all = [heads, ...lines];
  const widths = heads.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  return all.map((line) => line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ")).join("\n");
}
