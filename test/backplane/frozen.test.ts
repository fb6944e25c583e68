import { describe, expect, it } from "vitest";
import { waitFor } from "../faults/clusterRun.js";
import { startEngine } from "../support/engines.js";
import { NodeProcess } from "../support/nodeProcess.js";
import { missing } from "../support/parts.js";
import { SequenceClient } from "../support/sequenceClient.js";

const path = "/kept/a";
const flat = (changes: readonly { readonly joined: readonly string[]; readonly left: readonly string[] }[]) => ({
  joined: changes.flatMap(({ joined }) => joined).toSorted(),
  left: changes.flatMap(({ left }) => left).toSorted(),
});

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `a frozen node over ${name}`))(`a node process that is frozen, over ${name}`, () => {
    it.each([
      [3, 0],
      [3, 300],
      [150, 300],
    ])(
      "has its %i users leave in one change, on every other node, after %i ms of grace",
      async (count, leaveGraceMs) => {
        const users = Array.from({ length: count }, (_, n) => `user-${1_000 + n}`);
        const engine = await startEngine(name);
        const settings = {
          engine: engine.address,
          backplane: name === "nats" ? { storage: "memory" } : {},
          limits: { nodeHeartbeatMs: 300, backplaneMs: 1_000 },
          routes: { "/kept/:name": { history: { size: 100 }, presence: { mode: "full", leaveGraceMs } } },
        } as const;
        const [frozen, ...others] = await Promise.all([1, 2, 3].map(() => NodeProcess.start(settings)));
        if (frozen === undefined) throw new Error("there are three nodes");
        const open = (node: NodeProcess, user: string) => SequenceClient.open(`${node.url}${path}?user=${user}`, user);
        const watchers = await Promise.all(others.map((node, n) => open(node, `watcher-${n}`)));
        await Promise.all(users.map((user) => open(frozen, user)));
        const present = () => watchers.map(({ room }) => room.presence.users.length);
        await waitFor("all are present", () => present().every((count) => count === users.length + watchers.length));
        const counts: number[][] = watchers.map(() => []);
        for (const [n, { room }] of watchers.entries())
          room.on("presence", ({ users: all }) => counts[n]?.push(all.length));
        await waitFor("all joins are reported", () =>
          others.every(({ changes }) => users.every((user) => flat(changes).joined.includes(user))),
        );
        for (const { changes } of others) changes.length = 0;
        frozen.freeze();
        await waitFor("the users have left", () =>
          others.every(({ changes }) => flat(changes).left.length >= users.length),
        );
        // The next change shows that no other one is under way.
        for (const [n, node] of others.entries()) await open(node, `later-${n}`);
        await waitFor("later users have come", () =>
          others.every(({ changes }) => flat(changes).joined.length >= others.length),
        );
        for (const { changes } of others) {
          const leaves = changes.filter(({ left }) => left.length > 0);
          expect(leaves.map(({ left }) => left.length)).toEqual([count]);
          expect(flat(leaves)).toEqual({ joined: [], left: users });
        }
        for (const all of counts) expect(all[0]).toBe(watchers.length);
      },
    );
  });
}
