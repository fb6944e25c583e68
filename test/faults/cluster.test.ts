import { describe, expect, it } from "vitest";
import { Dice } from "../support/dice.js";
import { missing } from "../support/parts.js";
import { startChild } from "./clusterChild.js";
import { forget } from "./clusterFaults.js";
import { Flood } from "./clusterFlood.js";
import { Load, waitFor } from "./clusterRun.js";

/** As in faults.test.ts, but one seed for twenty there, because each takes half a minute. */
const { FAULT_SEED, FAULT_RUNS = "20" } = process.env;
const first = FAULT_SEED === undefined ? Math.floor(Math.random() * 1_000_000) : Number(FAULT_SEED);
const runs = FAULT_SEED === undefined ? Math.ceil(Number(FAULT_RUNS) / 20) : 1;
const seeds = Array.from({ length: runs }, (_, n) => first + n);
const kills = 20;
/** An engine knows the last 16 epochs of a room. Positions of older ones are those of the oldest one that is known. */
const killsWithData = 15;

const cuts = 8;
const losses = 8;
const rounds = 5;
/** Publications that take many heartbeats over a slow connection. */
const heartbeats = 5_000;
const kept = 20;
const reads = 20;

/** Ends and restarts the engine repeatedly. */
async function killOften(load: Load, count = kills): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await load.accepts(load.dice.from(1, 80));
    load.moveSomebody();
    await load.engine.kill();
    if (load.dice.roll() < 0.3) load.moveSomebody();
    await load.engine.restart();
  }
}

/** Breaks one node's connections to the engine in one of two ways, and restores them before or after it is noticed. */
async function breakConnections(load: Load): Promise<void> {
  for (let n = 0; n < cuts; n += 1) {
    await load.accepts(load.dice.from(1, 80));
    if (load.dice.roll() < 0.5) load.moveSomebody();
    const isStalled = load.dice.roll() < 0.5;
    if (isStalled) load.proxy.stall();
    else load.proxy.cut();
    if (load.dice.roll() < 0.5) load.moveSomebody();
    if (load.dice.roll() < 0.5) await load.isAway(load.far);
    await load.accepts(load.dice.from(1, 80));
    load.proxy.open();
    if (load.dice.roll() < 0.5) await load.isUp(load.far);
  }
}

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `faults of the ${name} backplane`))(`faults of a cluster over ${name}`, () => {
    it.each(seeds)(
      "reports every loss when the engine crashes repeatedly and loses its data: seed %i",
      async (seed) => {
        const load = await Load.start(name, seed);
        await killOften(load);
        expect(await load.conclude()).toEqual([]);
        expect(load.publicationLog.accepted).toBeGreaterThan(kills);
      },
      90_000,
    );

    it.each(seeds)(
      "reports every loss when an engine that stores everything on disk crashes repeatedly: seed %i",
      async (seed) => {
        const load = await Load.start(name, seed, { engine: { durable: true } });
        await killOften(load, killsWithData);
        expect(await load.conclude()).toEqual([]);
        expect(load.publicationLog.accepted).toBeGreaterThan(kills);
      },
      90_000,
    );

    it.each(seeds)(
      "reports every loss when a node's connections are cut or stall, and come back: seed %i",
      async (seed) => {
        const load = await Load.start(name, seed);
        await breakConnections(load);
        expect(await load.conclude()).toEqual([]);
        expect(load.publicationLog.accepted).toBeGreaterThan(cuts);
      },
      60_000,
    );

    it.each(seeds)(
      "reports every loss when the history is deleted from the engine: seed %i",
      async (seed) => {
        const load = await Load.start(name, seed);
        for (let n = 0; n < losses; n += 1) {
          await load.accepts(load.dice.from(1, 80));
          if (load.dice.roll() < 0.5) load.moveSomebody();
          await forget(load.engine);
        }
        expect(await load.conclude()).toEqual([]);
        expect(load.publicationLog.accepted).toBeGreaterThan(losses);
      },
      60_000,
    );

    it.each(seeds)(
      "never takes a part of the history for all of it when the connection breaks during a read: seed %i",
      async (seed) => {
        const load = await Load.start(name, seed, { publishes: false });
        await load.publishFirst(kept);
        for (let n = 0; n < reads; n += 1) {
          await load.isUp(load.far);
          expect(await load.readAndCut(kept, 80)).toMatch(/^(all|ERR_BACKPLANE)$/);
        }
        expect(await load.conclude()).toEqual([]);
      },
      60_000,
    );

    it.each(seeds)(
      "refuses publications that a slow engine cannot take, holds no more, and delivers the rest: seed %i",
      async (seed) => {
        const flood = await Flood.start(name, new Dice(seed), 5_000);
        for (let round = 0; round < rounds; round += 1) {
          const { accepted, refused } = await flood.burst(round);
          expect(refused).toBeGreaterThan(0);
          expect(accepted.length).toBeGreaterThan(0);
          expect(accepted.length * flood.size).toBeLessThanOrEqual(flood.bytesMax);
          expect(accepted.length + refused).toBe(flood.count);
        }
        expect(flood.codes).toEqual(new Set(["ERR_BACKPLANE"]));
        expect(await flood.conclude()).toEqual([]);
      },
      60_000,
    );

    it.each(seeds)(
      "does not take a node for lost that publishes more than its engine takes: seed %i",
      async (seed) => {
        const flood = await Flood.start(name, new Dice(seed), 200);
        expect(await flood.sustain(heartbeats)).toBe(flood.nodes.length);
        expect(flood.errors).toEqual([]);
        expect(flood.refused).toBeGreaterThan(0);
      },
      60_000,
    );

    it.each(seeds)(
      "reports the users of a killed node as left in one change, and disturbs no other node: seed %i",
      async (seed) => {
        const load = await Load.start(name, seed);
        const child = await startChild(load);
        const users = ["bob", "carl", "dora"];
        for (const user of [...users, "user-0-0"]) await child.open(user);
        await load.hasPresent([...load.users, ...users]);
        for (const user of users) await child.reported(user);
        // Presence changes are reported in the next turn of the event loop.
        await new Promise((resolve) => setImmediate(resolve));
        const changes = load.presenceChanges();
        const leaves = load.reportedLeaves();
        await load.accepts(load.dice.from(1, 80));
        child.kill();
        await load.hasPresent(load.users);
        expect(await load.conclude()).toEqual([]);
        const left = { joined: [], left: users };
        expect(changes).toEqual(load.nodes.map(() => [left]));
        await waitFor("the leaves are reported", () => leaves.length >= users.length);
        expect(leaves.toSorted()).toEqual(users);
        for (const { app } of load.nodes) expect(app.status().backplane).toMatchObject({ lagged: 0, unpublished: 0 });
      },
      60_000,
    );
  });
}
