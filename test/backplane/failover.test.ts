import { describe, expect, it } from "vitest";
import { ProcessRun, runPath } from "../faults/processRun.js";
import { startRedisCluster, startRedisSentinel } from "../support/engines.js";
import { missing } from "../support/parts.js";

/** Publications between faults. */
const between = 300;
/** The master of a room's keys changes. */
const key = `enfilade:{${runPath}}`;
const unawaited = { clients: 6, perSecond: 300 };
const load = { ...unawaited, awaitEach: 10 };
const perfect = { examples: [], lostUntold: 0, keptNotDelivered: 0, twice: 0, outOfOrder: 0 };

describe.skipIf(missing("redis", "failovers of Redis"))(
  "under steady publishers on three nodes, nothing is lost untold, twice or out of order",
  () => {
    it.each([
      ["waits for each tenth answer", load],
      ["waits for no answer", unawaited],
    ])(
      "when the master of a Redis cluster is killed, and a publisher %s",
      async (_way, options) => {
        const engine = await startRedisCluster();
        const run = await ProcessRun.start(engine, options);
        await run.accepts(between);
        await engine.failOver(key);
        await run.accepts(between);
        const { tally, faults } = await run.conclude();
        expect(faults).toEqual([]);
        expect(tally).toMatchObject(perfect);
      },
      60_000,
    );

    it("when a master of a Redis cluster hands over to its replica, as planned", async () => {
      const engine = await startRedisCluster();
      const run = await ProcessRun.start(engine, load);
      for (let n = 0; n < 3; n += 1) {
        await run.accepts(between);
        await engine.switchOver(key);
      }
      await run.accepts(between);
      const { tally, faults } = await run.conclude();
      expect(faults).toEqual([]);
      expect(tally).toMatchObject(perfect);
    }, 60_000);

    it("when the master behind sentinels is killed", async () => {
      const engine = await startRedisSentinel();
      const run = await ProcessRun.start(engine, load);
      await run.accepts(between);
      await engine.failOver();
      await run.accepts(between);
      const { tally, faults } = await run.conclude();
      expect(faults).toEqual([]);
      expect(tally).toMatchObject(perfect);
    }, 60_000);
  },
);
