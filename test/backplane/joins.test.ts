import { describe, expect, it } from "vitest";
import { ManualClock, type TestClient } from "../../src/testing/index.js";
import { Dice } from "../support/dice.js";
import type { EngineName } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { type ClusterNode, nodeOf, startCluster, until } from "./cluster.js";

const path = "/kept/a";
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const open = (node: ClusterNode, user: string) => node.open(`${path}?user=${user}`);
const tick = () => new Promise((resolve) => setImmediate(resolve));

/** The reports of all nodes, as "+id" and "-id". */
class Reports {
  readonly all: string[] = [];

  add({ app: { registry } }: ClusterNode): this {
    registry.on("join", (room, { id }) => room.path === path && this.all.push(`+${id}`));
    registry.on("leave", (room, { id }) => room.path === path && this.all.push(`-${id}`));
    return this;
  }

  static of(nodes: readonly ClusterNode[]): Reports {
    const reports = new Reports();
    for (const node of nodes) reports.add(node);
    return reports;
  }

  /** The reports about one user, in order. */
  about(user: string): string[] {
    return this.all.filter((one) => one.slice(1) === user);
  }

  has(report: string, count = 1): boolean {
    return this.all.filter((one) => one === report).length >= count;
  }

  /** Resolves when the join of a new user has been reported, so that all earlier changes are reported too. */
  async settle(nodes: readonly ClusterNode[], name: string): Promise<void> {
    for (const [index, node] of nodes.entries()) {
      await open(node, `${name}${index}`);
      await until(() => this.has(`+${name}${index}`));
    }
  }
}

/** Ends connections, and waits until their nodes have noticed. */
async function leave(nodes: readonly ClusterNode[], clients: readonly TestClient[]): Promise<void> {
  const count = () => nodes.reduce((sum, { app }) => sum + app.registry.counts.local.connections, 0);
  const left = count() - clients.length;
  for (const client of clients) client.terminate();
  await until(() => count() === left);
}

async function knowEachOther(nodes: readonly ClusterNode[]): Promise<void> {
  await until(() => nodes.every(({ app }) => app.status().backplane.nodes === nodes.length));
}

describe("joins and leaves on one node", () => {
  it("are reported once per tick, with the whole user", async () => {
    const cluster = await startCluster("memory", 1, { leaveGraceMs: 0 });
    const { nodes } = cluster;
    const node = nodeOf(cluster, 0);
    const reported: unknown[] = [];
    node.app.registry.on("join", (room, user) => reported.push(["join", room.path, user]));
    node.app.registry.on("leave", (room, user) => reported.push(["leave", room.path, user]));
    const ann = await open(node, "ann");
    await tick();
    await leave(nodes, [ann]);
    const user = { id: "ann", name: "Name of ann" };
    expect(reported).toEqual([
      ["join", path, { id: "ann", user, connections: 1 }],
      ["leave", path, { id: "ann", user, connections: 0 }],
    ]);
  });

  it("are reported in the tick of the change, and the leave of the last user before the room is freed", async () => {
    const clock = new ManualClock();
    const cluster = await startCluster("memory", 1, { leaveGraceMs: 2_000, app: { clock } });
    const { registry } = nodeOf(cluster, 0).app;
    const reported: string[] = [];
    registry.on("join", (_room, { id }) => reported.push(`+${id}`));
    registry.on("leave", (room, { id }) => reported.push(`-${id} ${room.size}`));
    registry.on("room-empty", () => reported.push("empty"));
    const tabs = [await open(nodeOf(cluster, 0), "ann"), await open(nodeOf(cluster, 0), "ann")];
    await tick();
    expect(reported).toEqual(["+ann"]);
    await leave(cluster.nodes, tabs);
    clock.advance(1_999);
    await tick();
    expect(reported).toEqual(["+ann"]);
    clock.advance(1);
    expect(reported).toEqual(["+ann", "-ann 0", "empty"]);
  });
});

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `joins and leaves over ${name}`))(`joins and leaves over ${name}`, () => {
    it("are each reported by exactly one node when users join and leave two nodes at the same moment", async () => {
      const seed = Number(process.env.JOINS_SEED ?? Math.floor(Math.random() * 2 ** 31));
      console.info(`joins over ${name}: JOINS_SEED=${seed}`);
      const dice = new Dice(seed);
      const cluster = await startCluster(name, 3, { leaveGraceMs: 50 });
      const { nodes } = cluster;
      await knowEachOther(nodes);
      const reports = Reports.of(nodes);
      const users = numbers(40).map((n) => `user-${n}`);
      for (const round of numbers(3)) {
        const clients = await Promise.all(
          users.flatMap((user) => {
            const first = dice.from(0, 3);
            const second = (first + dice.from(1, 3)) % 3;
            return [first, second].map((index) => open(nodeOf(cluster, index), user));
          }),
        );
        await until(() => users.every((user) => reports.has(`+${user}`, round + 1)));
        await leave(nodes, clients);
        await until(() => users.every((user) => reports.has(`-${user}`, round + 1)));
      }
      await reports.settle(nodes, "last");
      for (const user of users) {
        expect(reports.about(user)).toEqual(numbers(3).flatMap(() => [`+${user}`, `-${user}`]));
      }
    });

    it.each([0, 20])(
      "are each reported once when users join and leave two nodes in one tick, with a grace of %i ms",
      async (leaveGraceMs) => {
        const seed = Number(process.env.JOINS_SEED ?? Math.floor(Math.random() * 2 ** 31));
        console.info(`joins in one tick over ${name}: JOINS_SEED=${seed}`);
        const dice = new Dice(seed);
        const cluster = await startCluster(name, 3, { leaveGraceMs });
        const { nodes } = cluster;
        await knowEachOther(nodes);
        const reports = Reports.of(nodes);
        await reports.settle(nodes.slice(0, 1), "watcher");
        const users = numbers(30).map((n) => `user-${n}`);
        for (const { open: connect } of nodes) for (const user of users) await connect(`/plain/lobby?user=${user}`);
        const connections = nodes.map(({ app }) =>
          app.registry.connections.filter(({ request }) => request.path !== path),
        );
        for (const round of numbers(5)) {
          const moves = users.map(() => dice.from(0, 3)).map((first) => [first, (first + dice.from(1, 3)) % 3]);
          const each = (move: (node: ClusterNode, n: number, index: number) => void) => {
            for (const [n, to] of moves.entries()) for (const index of to) move(nodeOf(cluster, index), n, index);
          };
          const connection = (index: number, n: number) => {
            const found = connections[index]?.[n];
            if (found === undefined) throw new Error("every user is in the lobby of every node");
            return found;
          };
          each(({ app }, n, index) => app.registry.join(connection(index, n), path));
          await until(() => users.every((user) => reports.has(`+${user}`, round + 1)));
          each(({ app }, n, index) => app.registry.leave(connection(index, n), path));
          await until(() => users.every((user) => reports.has(`-${user}`, round + 1)));
        }
        await reports.settle(nodes, "last");
        for (const user of users) {
          expect(reports.about(user)).toEqual(numbers(5).flatMap(() => [`+${user}`, `-${user}`]));
        }
      },
    );

    it("are not reported for tabs, moves between nodes and returns within the grace period", async () => {
      const { nodes } = await startCluster(name, 3, { leaveGraceMs: 60_000 });
      await knowEachOther(nodes);
      const reports = Reports.of(nodes);
      await reports.settle(nodes, "watcher");
      let tab: TestClient | undefined;
      for (const n of numbers(6)) {
        const node = nodes[n % 3];
        if (node === undefined) throw new Error("there are three nodes");
        if (tab !== undefined) await leave(nodes, [tab]);
        tab = await open(node, "ann");
      }
      await reports.settle(nodes, "last");
      expect(reports.about("ann")).toEqual(["+ann"]);
      expect(reports.all.filter((one) => one.startsWith("-"))).toEqual([]);
    });

    it("are reported after the grace period of the last user, who moves to another node", async () => {
      const { nodes } = await startCluster(name, 2, { leaveGraceMs: 60_000 });
      await knowEachOther(nodes);
      const reports = Reports.of(nodes);
      const [first, second] = nodes;
      if (first === undefined || second === undefined) throw new Error("there are two nodes");
      const ann = await open(first, "ann");
      await until(() => reports.has("+ann"));
      await leave(nodes, [ann]);
      expect(first.app.status().rooms).toBe(1);
      await open(second, "ann");
      // The first node no longer needs the room once the user is on the second.
      await until(() => first.app.status().rooms === 0);
      await reports.settle([second, first], "last");
      expect(reports.about("ann")).toEqual(["+ann"]);
    });

    it("are each reported once when the node that reported the joins closes", async () => {
      const cluster = await startCluster(name, 3, { leaveGraceMs: 50 });
      const [closing, ...staying] = cluster.nodes;
      if (closing === undefined) throw new Error("there is no node");
      await knowEachOther(cluster.nodes);
      const reports = Reports.of(cluster.nodes);
      for (const id of ["ann", "bob"]) await open(closing, id);
      await until(() => reports.has("+ann") && reports.has("+bob"));
      await reports.settle(staying, "watcher");
      await open(nodeOf(cluster, 1), "bob");
      await closing.close();
      await until(() => reports.has("-ann"));
      await reports.settle(staying, "last");
      expect(reports.about("ann")).toEqual(["+ann", "-ann"]);
      expect(reports.about("bob")).toEqual(["+bob"]);
    });

    it("are each reported once for users who come and leave while the engine is away", async () => {
      const cluster = await startCluster(name, 2, { leaveGraceMs: 0, limits: { nodeHeartbeatMs: 500 } });
      const { nodes, engine } = cluster;
      const [first, second] = nodes;
      if (first === undefined || second === undefined || engine === undefined) throw new Error("there are two nodes");
      await knowEachOther(nodes);
      const reports = Reports.of(nodes);
      await reports.settle(nodes, "watcher");
      const [ann, bob] = [await open(first, "ann"), await open(second, "bob")];
      await until(() => reports.has("+ann") && reports.has("+bob"));
      await engine.kill();
      await until(() => nodes.every(({ app }) => app.status().backplane.state === "away"));
      await leave(nodes, [ann, bob]);
      // Both users come to both nodes, and one returns. No node can know of the other one.
      for (const node of nodes) for (const user of ["cy", "dan"]) await open(node, user);
      await open(second, "ann");
      await tick();
      expect(reports.all.filter((one) => !one.startsWith("+watcher")).toSorted()).toEqual(["+ann", "+bob"]);
      await engine.restart();
      await until(() => reports.has("+cy") && reports.has("+dan") && reports.has("-bob"));
      await reports.settle(nodes, "last");
      for (const user of ["cy", "dan", "ann"]) expect(reports.about(user)).toEqual([`+${user}`]);
      expect(reports.about("bob")).toEqual(["+bob", "-bob"]);
    });

    it.each(["cut", "stall"] as const)(
      "are each reported once for the users of a node that a %s separates, that is taken for lost, and that comes back",
      async (way) => {
        const limits = { nodeHeartbeatMs: 200, backplaneMs: 1_500 };
        const cluster = await startCluster(name, 2, { limits, leaveGraceMs: 50 });
        const proxy = await startProxy(cluster.engine?.port ?? 0);
        const far = await cluster.add(`${name as EngineName}://127.0.0.1:${proxy.port}`);
        const nodes = [...cluster.nodes, far];
        await knowEachOther(nodes);
        const reports = Reports.of(nodes);
        await reports.settle(cluster.nodes, "watcher");
        await open(far, "ann");
        const bob = await open(far, "bob");
        await open(far, "cy");
        await open(nodeOf(cluster, 0), "cy");
        await until(() => ["+ann", "+bob", "+cy"].every((one) => reports.has(one)));
        proxy[way]();
        await until(() => reports.has("-ann") && reports.has("-bob"));
        await leave([far], [bob]);
        await open(far, "dan");
        proxy.open();
        // The user never left its node, so it joins again where its leave was reported.
        await until(() => reports.has("+ann", 2) && reports.has("+dan"));
        await reports.settle(nodes, "last");
        expect(reports.about("ann")).toEqual(["+ann", "-ann", "+ann"]);
        expect(reports.about("bob")).toEqual(["+bob", "-bob"]);
        expect(reports.about("cy")).toEqual(["+cy"]);
        expect(reports.about("dan")).toEqual(["+dan"]);
      },
    );
  });
}
