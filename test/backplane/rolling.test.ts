import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { type ClientRoom, connect, type Lost } from "../../src/client/index.js";
import { missing } from "../support/parts.js";
import { startBalancer } from "./balancer.js";
import { type ClusterNode, startCluster, until } from "./cluster.js";

const clients = 24;
const publicationsBetween = 200;

/** A client, its messages, and the largest number of users that it saw once all were present. */
interface TestUser {
  readonly room: ClientRoom;
  readonly received: number[];
  readonly lost: Lost[];
  readonly counts: number[];
}

function connectUser(port: number, user: string): TestUser {
  const room = connect(`ws://127.0.0.1:${port}/kept/lobby?user=${user}`, { WebSocket });
  const guest: TestUser = { room, received: [], lost: [], counts: [] };
  room.on("message", ({ data }) => {
    if (typeof data === "number") guest.received.push(data);
  });
  room.on("lost", (lost) => guest.lost.push(lost));
  room.on("presence", (presence) => guest.counts.push(presence?.count ?? 0));
  onTestFinished(() => room.close());
  return guest;
}

describe.each(["redis", "nats"] as const)("a rolling restart over %s", (name) => {
  it.skipIf(missing(name, `the ${name} backplane`))(
    "loses nothing, delivers nothing twice, and shows no user as left",
    async () => {
      const cluster = await startCluster(name, 3, { leaveGraceMs: 10_000 });
      const balancer = await startBalancer(cluster.nodes);
      const guests = Array.from({ length: clients }, (_, n) => connectUser(balancer.port, `user-${n}`));
      await until(() => guests.every(({ counts }) => counts.at(-1) === clients));
      for (const { counts } of guests) counts.length = 0;
      const left: string[] = [];
      const watchLeaves = ({ app }: ClusterNode) =>
        app.registry.on("presence", (_, change) => left.push(...change.left.map(({ id }) => id)));
      for (const node of cluster.nodes) watchLeaves(node);

      let published = 0;
      let isOver = false;
      const publishing = (async () => {
        while (!isOver) {
          const node = balancer.nodes[published % balancer.nodes.length];
          await node?.app.registry.room("/kept/lobby").publish(published);
          published += 1;
        }
      })();
      for (const old of cluster.nodes) {
        const next = await cluster.add();
        await until(() => next.app.status().ready && next.app.status().backplane.nodes === 4);
        watchLeaves(next);
        balancer.nodes.push(next);
        balancer.nodes.splice(balancer.nodes.indexOf(old), 1);
        const before = published;
        await until(() => published > before + publicationsBetween);
        expect(await old.app.drain({ withinMs: 4_000, settleMs: 0 })).toMatchObject({ remaining: [] });
        expect(old.app.status().connections).toBe(0);
        await old.close();
      }
      isOver = true;
      await publishing;
      await until(() => guests.every(({ received }) => received.length >= published));

      const expected = Array.from({ length: published }, (_, n) => n);
      for (const { received } of guests) expect(received).toEqual(expected);
      expect(guests.flatMap(({ lost }) => lost)).toEqual([]);
      expect(left).toEqual([]);
      for (const { counts } of guests) expect(counts.filter((count) => count !== clients)).toEqual([]);
      expect(published).toBeGreaterThan(cluster.nodes.length * publicationsBetween);
    },
    60_000,
  );
});
