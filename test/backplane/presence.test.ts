import { describe, expect, it } from "vitest";
import { type App, type PresenceChange, type PresentUser, WebSocketHandler } from "../../src/index.js";
import { ManualClock, type TestClient } from "../../src/testing/index.js";
import type { EngineServer } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { type ClusterNode, nodeOf, startCluster, type TestCluster, until } from "./cluster.js";

const path = "/kept/a";
const v1 = { protocols: ["enfilade.v1"] };
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const tick = () => new Promise((resolve) => setImmediate(resolve));

function engineOf({ engine }: TestCluster): EngineServer {
  if (engine === undefined) throw new Error("there is no engine");
  return engine;
}

const presenceOf = ({ app }: ClusterNode, room = path) => app.registry.room(room).presence();
const open = (node: ClusterNode, user: string) => node.open(`${path}?user=${user}`);

/** The connections of each present user. */
async function countsOf(node: ClusterNode): Promise<Record<string, number>> {
  const { users } = await presenceOf(node);
  return Object.fromEntries(users.map(({ id, connections }) => [id, connections]).toSorted());
}

/** Resolves when each of the nodes has exactly these users, with these numbers of connections. */
async function agree(nodes: readonly ClusterNode[], expected: Record<string, number>): Promise<void> {
  const wanted = JSON.stringify(Object.fromEntries(Object.entries(expected).toSorted()));
  for (const node of nodes) while (JSON.stringify(await countsOf(node)) !== wanted) await tick();
}

/** The joins and leaves that a node reports, as "+id" and "-id". */
function watch({ app }: ClusterNode): { readonly reported: string[]; readonly changes: PresenceChange[] } {
  const [reported, changes]: [string[], PresenceChange[]] = [[], []];
  app.registry.on("presence", ({ path: room }, change) => {
    if (room !== path) return;
    changes.push(change);
    const ids = (sign: string, users: readonly PresentUser[]) => users.map(({ id }) => sign + id);
    reported.push(...ids("+", change.joined), ...ids("-", change.left));
  });
  return { reported, changes };
}

/** The same for several nodes, from a time when all earlier changes are known. */
async function watchAll(nodes: readonly ClusterNode[]): Promise<ReturnType<typeof watch>[]> {
  await tick();
  return nodes.map(watch);
}

/** Closes a client, and waits until its node has noticed. */
async function leave({ app }: ClusterNode, client: TestClient): Promise<void> {
  const before = app.registry.counts.local.connections;
  client.terminate();
  await until(() => app.registry.counts.local.connections < before);
}

interface PresenceFrame {
  readonly type: string;
  readonly version: number;
  readonly count: number;
  readonly users?: readonly { id: string }[];
  readonly joined?: readonly { id: string }[];
  readonly left?: readonly string[];
}

/** A client of `enfilade.v1` that keeps the roster as PROTOCOL.md describes, and records mismatches. */
class Watcher {
  readonly ids = new Set<string>();
  readonly faults: string[] = [];
  /** All frames that it received, as text. */
  text = "";
  version: number | undefined;
  rosters = 0;

  constructor(readonly client: TestClient) {
    this.#follow().catch((error) => this.faults.push(String(error)));
  }

  async #follow(): Promise<void> {
    for await (const message of this.client) {
      this.text += message.text;
      // Frames of a server are JSON objects with a type.
      const frame = message.json() as PresenceFrame;
      if (frame.type === "presence") this.#take(frame);
    }
  }

  #take(frame: PresenceFrame): void {
    if (frame.users !== undefined) this.#begin(frame);
    else if (this.version === undefined) this.faults.push("a change came before the roster");
    else this.#change(frame, this.version);
    this.version = frame.version;
    if (frame.count !== this.ids.size) this.faults.push(`counted ${frame.count}, has ${[...this.ids].join()}`);
  }

  #begin({ users = [], version }: PresenceFrame): void {
    const ids = users.map(({ id }) => id);
    const isSame = version === this.version && ids.length === this.ids.size && ids.every((id) => this.ids.has(id));
    if (version === this.version && !isSame) this.faults.push(`version ${version} was ${[...this.ids]}, is ${ids}`);
    this.rosters += 1;
    this.ids.clear();
    for (const id of ids) this.ids.add(id);
  }

  #change({ version, joined = [], left = [] }: PresenceFrame, last: number): void {
    if (version !== last + 1) this.faults.push(`version ${version} came after ${last}`);
    for (const id of left) if (!this.ids.delete(id)) this.faults.push(`${id} left who was not there`);
    for (const { id } of joined) {
      if (this.ids.has(id)) this.faults.push(`${id} joined who was there`);
      this.ids.add(id);
    }
  }
}

/** Shows only the name of a user. */
class NameOnly extends WebSocketHandler {
  override authorize() {
    const id = this.query.get("user") ?? "unnamed";
    return { id, name: `Name of ${id}`, secret: `secret of ${id}` };
  }
  override onConnect() {
    this.sendJSON("hello");
  }
  onMessage() {
    return undefined;
  }
}

function addNameOnly({ app }: { readonly app: App }): void {
  const show = (user: { name: string }) => ({ name: user.name, deep: { list: [1, "two", null] } });
  app.route("/shown/:name", NameOnly, { presence: { mode: "full", leaveGraceMs: 0, show } });
}

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `presence over ${name}`))(`presence over ${name}`, () => {
    const atOnce = { leaveGraceMs: 0 };
    const patient = { leaveGraceMs: 60_000 };

    it("counts a user with tabs on several nodes once, with all connections", async () => {
      const cluster = await startCluster(name, 3, atOnce);
      const [first, second, third] = [nodeOf(cluster, 0), nodeOf(cluster, 1), nodeOf(cluster, 2)];
      const tabs = [await open(first, "ann"), await open(first, "ann")];
      await open(second, "ann");
      await open(third, "bob");
      await agree(cluster.nodes, { ann: 3, bob: 1 });
      for (const node of cluster.nodes) expect(await presenceOf(node)).toMatchObject({ count: 2 });
      for (const tab of tabs) await leave(first, tab);
      await open(first, "cy");
      await agree(cluster.nodes, { ann: 1, bob: 1, cy: 1 });
    });

    it("counts anonymous connections of all nodes, each by its id", async () => {
      const cluster = await startCluster(name, 2, atOnce);
      await nodeOf(cluster, 0).open(path);
      const gone = await nodeOf(cluster, 1).open(path);
      const ids = cluster.nodes.flatMap(({ app }) => app.registry.connections.map(({ id }) => id));
      await agree(cluster.nodes, Object.fromEntries(ids.map((id) => [id, 1])));
      await leave(nodeOf(cluster, 1), gone);
      await agree([nodeOf(cluster, 0)], { [ids[0] ?? ""]: 1 });
      expect(ids).toHaveLength(2);
    });

    it("accepts __proto__ and similar ids, and ids that JSON has to escape", async () => {
      const cluster = await startCluster(name, 2, atOnce);
      const ids = ["__proto__", "constructor", "toString", "user:", "\u2028", "ä\u0000\n", "\ufffd", "x".repeat(1_000)];
      for (const [index, id] of ids.entries()) await open(nodeOf(cluster, index % 2), encodeURIComponent(id));
      for (const node of cluster.nodes) {
        let found: string[] = [];
        while (found.length < ids.length) {
          found = (await presenceOf(node)).users.map(({ id }) => id);
          await tick();
        }
        expect(found.toSorted()).toEqual(ids.toSorted());
      }
    });

    it("reports each join and each leave once on every node, with versions that count up by one", async () => {
      const cluster = await startCluster(name, 3, atOnce);
      for (const [index, node] of cluster.nodes.entries()) await open(node, `watcher ${index}`);
      await agree(cluster.nodes, { "watcher 0": 1, "watcher 1": 1, "watcher 2": 1 });
      const watched = await watchAll(cluster.nodes);
      const tabs: [ClusterNode, TestClient][] = [];
      for (const node of [...cluster.nodes, ...cluster.nodes]) tabs.push([node, await open(node, "ann")]);
      await agree(cluster.nodes, { ann: 6, "watcher 0": 1, "watcher 1": 1, "watcher 2": 1 });
      for (const [node, tab] of tabs) await leave(node, tab);
      await until(() => watched.every(({ reported }) => reported.includes("-ann")));
      await open(nodeOf(cluster, 0), "last");
      await until(() => watched.every(({ reported }) => reported.includes("+last")));
      for (const { reported, changes } of watched) {
        expect(reported).toEqual(["+ann", "-ann", "+last"]);
        const [{ version: first } = { version: 0 }] = changes;
        expect(changes.map(({ version }) => version)).toEqual([first, first + 1, first + 2]);
        expect(changes.map(({ count }) => count)).toEqual([4, 3, 4]);
      }
    });

    it("shows no change for a user who moves between nodes within the grace period", async () => {
      const cluster = await startCluster(name, 3, patient);
      for (const [index, node] of cluster.nodes.entries()) await open(node, `watcher ${index}`);
      const watched = await watchAll(cluster.nodes);
      let tab = await open(nodeOf(cluster, 0), "ann");
      for (const n of numbers(12)) {
        await leave(nodeOf(cluster, n % 3), tab);
        tab = await open(nodeOf(cluster, (n + 1) % 3), "ann");
      }
      await open(nodeOf(cluster, 1), "last");
      await agree(cluster.nodes, { ann: 1, last: 1, "watcher 0": 1, "watcher 1": 1, "watcher 2": 1 });
      await until(() => watched.every(({ reported }) => reported.includes("+last")));
      for (const { reported } of watched) {
        expect(reported.filter((one) => one.endsWith("ann"))).toEqual(["+ann"]);
        expect(reported.filter((one) => one.startsWith("-"))).toEqual([]);
      }
    });

    it("shows no change for a user who joins a node before leaving another, without a grace period", async () => {
      const cluster = await startCluster(name, 3, atOnce);
      const watchers = { "watcher 0": 1, "watcher 1": 1, "watcher 2": 1 };
      for (const [index, node] of cluster.nodes.entries()) await open(node, `watcher ${index}`);
      const watched = await watchAll(cluster.nodes);
      let tab = await open(nodeOf(cluster, 0), "ann");
      for (const n of numbers(9)) {
        const next = await open(nodeOf(cluster, (n + 1) % 3), "ann");
        await agree(cluster.nodes, { ann: 2, ...watchers });
        await leave(nodeOf(cluster, n % 3), tab);
        await agree(cluster.nodes, { ann: 1, ...watchers });
        tab = next;
      }
      for (const { reported } of watched) expect(reported.filter((one) => one.endsWith("ann"))).toEqual(["+ann"]);
    });

    it("reports the leave of a user only after the grace period, on every node", async () => {
      const clock = new ManualClock();
      const cluster = await startCluster(name, 2, { leaveGraceMs: 2_000, app: { clock } });
      for (const [index, node] of cluster.nodes.entries()) await open(node, `watcher ${index}`);
      const ann = await open(nodeOf(cluster, 0), "ann");
      const watchers = { "watcher 0": 1, "watcher 1": 1 };
      await agree(cluster.nodes, { ann: 1, ...watchers });
      const watched = await watchAll(cluster.nodes);
      await leave(nodeOf(cluster, 0), ann);
      await agree(cluster.nodes, { ann: 0, ...watchers });
      clock.advance(1_999);
      await tick();
      for (const node of cluster.nodes) expect(await countsOf(node)).toEqual({ ann: 0, ...watchers });
      for (const { reported } of watched) expect(reported).toEqual([]);
      clock.advance(1);
      await tick();
      for (const node of cluster.nodes) expect(await countsOf(node)).toEqual(watchers);
      for (const { reported } of watched) expect(reported).toEqual(["-ann"]);
    });

    it("keeps a user who returns to another node just before the grace period ends", async () => {
      const clock = new ManualClock();
      const cluster = await startCluster(name, 2, { leaveGraceMs: 2_000, app: { clock } });
      for (const [index, node] of cluster.nodes.entries()) await open(node, `watcher ${index}`);
      const watchers = { "watcher 0": 1, "watcher 1": 1 };
      const ann = await open(nodeOf(cluster, 0), "ann");
      await agree(cluster.nodes, { ann: 1, ...watchers });
      const watched = await watchAll(cluster.nodes);
      await leave(nodeOf(cluster, 0), ann);
      await agree(cluster.nodes, { ann: 0, ...watchers });
      clock.advance(1_999);
      await open(nodeOf(cluster, 1), "ann");
      await agree(cluster.nodes, { ann: 1, ...watchers });
      clock.advance(2_500);
      await tick();
      for (const node of cluster.nodes) expect(await countsOf(node)).toEqual({ ann: 1, ...watchers });
      for (const { reported } of watched) expect(reported).toEqual([]);
    });

    it("removes the users of a node that closes after the grace period, in one change", async () => {
      const clock = new ManualClock();
      const cluster = await startCluster(name, 3, { leaveGraceMs: 2_000, app: { clock } });
      const [closing, ...staying] = cluster.nodes;
      if (closing === undefined) throw new Error("there is no node");
      for (const id of ["ann", "bob", "cy"]) await open(closing, id);
      for (const [index, node] of staying.entries()) await open(node, `watcher ${index}`);
      await open(nodeOf(cluster, 1), "cy");
      await agree(cluster.nodes, { ann: 1, bob: 1, cy: 2, "watcher 0": 1, "watcher 1": 1 });
      const watched = await watchAll(staying);
      await closing.close();
      await agree(staying, { ann: 0, bob: 0, cy: 1, "watcher 0": 1, "watcher 1": 1 });
      await until(() => staying.every(({ app }) => app.status().backplane.nodes === 2));
      for (const { reported } of watched) expect(reported).toEqual([]);
      clock.advance(2_000);
      await tick();
      for (const { reported, changes } of watched) {
        expect(reported.toSorted()).toEqual(["-ann", "-bob"]);
        expect(changes).toMatchObject([{ count: 3, joined: [] }]);
      }
      for (const node of staying) expect(await countsOf(node)).toEqual({ cy: 1, "watcher 0": 1, "watcher 1": 1 });
    });

    it.each(["cut", "stall"] as const)(
      "removes the users of a node behind a %s, and agrees again when it is back",
      async (way) => {
        const limits = { nodeHeartbeatMs: 200, backplaneMs: 500 };
        const cluster = await startCluster(name, 2, { limits, leaveGraceMs: 50 });
        const proxy = await startProxy(engineOf(cluster).port);
        const far = await cluster.add(`${name}://127.0.0.1:${proxy.port}`);
        const all = [...cluster.nodes, far];
        const ann = await open(nodeOf(cluster, 0), "ann");
        await open(nodeOf(cluster, 1), "bob");
        await open(far, "bob");
        const fay = await open(far, "fay");
        await agree(all, { ann: 1, bob: 2, fay: 1 });
        await tick();
        const near = watch(nodeOf(cluster, 1));
        proxy[way]();
        await agree(cluster.nodes, { ann: 1, bob: 1 });
        // The node keeps its last knowledge of the others, and the current state of its own.
        expect(await countsOf(far)).toEqual({ ann: 1, bob: 2, fay: 1 });
        await open(far, "gil");
        await leave(far, fay);
        await open(nodeOf(cluster, 0), "hal");
        await leave(nodeOf(cluster, 0), ann);
        await agree(cluster.nodes, { bob: 1, hal: 1 });
        proxy.open();
        await agree(all, { bob: 2, gil: 1, hal: 1 });
        expect(near.reported.filter((one) => one.endsWith("bob"))).toEqual([]);
        expect(near.reported.filter((one) => one.endsWith("gil"))).toEqual(["+gil"]);
        await open(far, "last");
        await agree(all, { bob: 2, gil: 1, hal: 1, last: 1 });
      },
    );

    it("agrees again after the engine was away while users came and left on each node", async () => {
      const cluster = await startCluster(name, 2, { limits: { nodeHeartbeatMs: 500 }, leaveGraceMs: 0 });
      const [first, second] = [nodeOf(cluster, 0), nodeOf(cluster, 1)];
      const [ann, bob] = [await open(first, "ann"), await open(second, "bob")];
      await open(first, "stays");
      await open(second, "stays");
      await agree(cluster.nodes, { ann: 1, bob: 1, stays: 2 });
      await engineOf(cluster).kill();
      await until(() => cluster.nodes.every(({ app }) => app.status().backplane.state === "away"));
      await leave(first, ann);
      await leave(second, bob);
      await open(first, "cy");
      await open(second, "cy");
      await engineOf(cluster).restart();
      await agree(cluster.nodes, { cy: 2, stays: 2 });
      for (const node of cluster.nodes) expect(await presenceOf(node)).toMatchObject({ count: 2 });
    });

    it("is known to a new node, and to a node that opens a room for the first time", async () => {
      const cluster = await startCluster(name, 2, atOnce);
      for (const [index, node] of cluster.nodes.entries()) {
        for (const n of numbers(20)) await open(node, `user ${index} ${n}`);
      }
      const newcomer = await cluster.add();
      const reported = watch(newcomer);
      await open(newcomer, "new");
      const users = numbers(2).flatMap((index) => numbers(20).map((n) => [`user ${index} ${n}`, 1] as const));
      await agree([...cluster.nodes, newcomer], { ...Object.fromEntries(users), new: 1 });
      await until(() => reported.reported.length === 41);
      expect(reported.reported.toSorted()).toEqual([...users.map(([id]) => `+${id}`), "+new"].toSorted());
    });

    it("shows on other nodes the result of presence.show, and nothing else of the user", async () => {
      const cluster = await startCluster(name, 2, atOnce);
      for (const node of cluster.nodes) addNameOnly(node);
      const [here, there] = [nodeOf(cluster, 0), nodeOf(cluster, 1)];
      const watcher = new Watcher(await there.open("/shown/a?user=bob", v1));
      await here.open("/shown/a?user=ann");
      await until(() => watcher.ids.has("ann"));
      const { users } = await presenceOf(there, "/shown/a");
      const shown = { name: "Name of ann", deep: { list: [1, "two", null] } };
      expect(users.find(({ id }) => id === "ann")).toMatchObject({ connections: 1 });
      expect(users.find(({ id }) => id === "ann")?.user).toEqual(shown);
      expect(users.find(({ id }) => id === "bob")?.user).toMatchObject({ secret: "secret of bob" });
      expect(watcher.text).toContain("Name of ann");
      expect(watcher.text).not.toContain("secret");
      expect(watcher.faults).toEqual([]);
      const late = new Watcher(await there.open("/shown/a?user=cy", v1));
      await until(() => late.rosters > 0);
      expect(late.text).toContain(JSON.stringify(shown));
      expect(late.text).not.toContain("secret");
    });

    it("gives v1 clients rosters and changes with matching versions, across nodes", async () => {
      const cluster = await startCluster(name, 3, atOnce);
      const watchers: Watcher[] = [];
      for (const [index, node] of cluster.nodes.entries()) {
        watchers.push(new Watcher(await node.open(`${path}?user=watcher${index}`, v1)));
      }
      const tabs = numbers(3).map((): TestClient[] => []);
      for (const n of numbers(60)) {
        const [node, own] = [nodeOf(cluster, n % 3), tabs[n % 3] ?? []];
        if (n % 4 === 3) own.shift()?.terminate();
        else own.push(await open(node, `user${n % 7}`));
        if (n % 10 === 9) for (const { client } of watchers) client.sendJSON({ type: "watch" });
      }
      for (const one of tabs.flat()) one.terminate();
      await open(nodeOf(cluster, 0), "last");
      await agree(cluster.nodes, { last: 1, watcher0: 1, watcher1: 1, watcher2: 1 });
      const expected = ["last", "watcher0", "watcher1", "watcher2"];
      for (const [index, watcher] of watchers.entries()) {
        // The last change is sent, with its version, in the tick.
        await tick();
        const { version } = await presenceOf(nodeOf(cluster, index));
        await until(() => watcher.version === version);
        expect(watcher.faults).toEqual([]);
        expect([...watcher.ids].toSorted()).toEqual(expected);
        expect(watcher.rosters).toBeGreaterThan(1);
      }
    });

    it("is counted in registry.counts per node and in total, without nodes that have left", async () => {
      const cluster = await startCluster(name, 2, { limits: { nodeHeartbeatMs: 200 } });
      const [first, second] = [nodeOf(cluster, 0), nodeOf(cluster, 1)];
      await open(first, "ann");
      await open(first, "bob");
      await open(second, "ann");
      await second.open("/plain/b");
      const isFour = ({ app }: ClusterNode) => app.registry.counts.cluster.connections === 4;
      await until(() => cluster.nodes.every(isFour));
      const everyone = { connections: 4, rooms: 3, users: 3 };
      expect(first.app.registry.counts).toEqual({ local: { connections: 2, rooms: 1, users: 2 }, cluster: everyone });
      expect(second.app.registry.counts).toEqual({ local: { connections: 2, rooms: 2, users: 1 }, cluster: everyone });
      expect(first.app.status()).toMatchObject({ connections: 2, cluster: everyone, backplane: { nodes: 2 } });
      await second.close();
      await until(() => first.app.status().backplane.nodes === 1);
      expect(first.app.registry.counts.cluster).toEqual(first.app.registry.counts.local);
    });

    it("has no stale users in a room that a node closes and opens again", async () => {
      const cluster = await startCluster(name, 2, atOnce);
      const [first, second] = [nodeOf(cluster, 0), nodeOf(cluster, 1)];
      const early = await open(second, "early");
      for (const n of numbers(15)) {
        const client = await open(first, `round ${n}`);
        if (n % 2 === 0) await agree(cluster.nodes, { early: 1, [`round ${n}`]: 1 });
        await leave(first, client);
      }
      await agree([second], { early: 1 });
      await open(second, "later");
      await leave(second, early);
      await open(first, "again");
      await agree(cluster.nodes, { again: 1, later: 1 });
      for (const node of cluster.nodes) expect(await presenceOf(node)).toMatchObject({ count: 2 });
    });

    it("of a room is available on a node without members in it", async () => {
      const cluster = await startCluster(name, 3);
      await open(nodeOf(cluster, 0), "ann");
      await open(nodeOf(cluster, 1), "ann");
      await open(nodeOf(cluster, 1), "bob");
      const empty = nodeOf(cluster, 2);
      await until(() => empty.app.status().backplane.nodes === 3);
      const users = [
        { id: "ann", user: undefined, connections: 2 },
        { id: "bob", user: undefined, connections: 1 },
      ];
      const presence = await presenceOf(empty);
      expect({ ...presence, users: presence.users.toSorted((a, b) => a.id.localeCompare(b.id)) }).toEqual({
        count: 2,
        version: 0,
        users,
      });
      expect(empty.app.status().rooms).toBe(0);
      expect(await presenceOf(empty, "/kept/empty")).toEqual({ count: 0, version: 0, users: [] });
    });

    it("of a room is available on a node that only subscribes to it", async () => {
      const cluster = await startCluster(name, 2);
      await open(nodeOf(cluster, 0), "ann");
      const listening = nodeOf(cluster, 1).app;
      await until(() => listening.status().backplane.nodes === 2);
      const subscription = listening.registry.room(path).subscribe();
      expect(await presenceOf(nodeOf(cluster, 1))).toMatchObject({ count: 1, users: [{ id: "ann" }] });
      await subscription.return();
    });

    it("keeps a user who returns to an otherwise empty node while others are on other nodes", async () => {
      const cluster = await startCluster(name, 2, { leaveGraceMs: 2_000 });
      await open(nodeOf(cluster, 1), "ann");
      const bob = await open(nodeOf(cluster, 0), "bob");
      await agree(cluster.nodes, { ann: 1, bob: 1 });
      const [first, second] = await watchAll(cluster.nodes);
      await leave(nodeOf(cluster, 0), bob);
      const again = await open(nodeOf(cluster, 0), "bob");
      await agree(cluster.nodes, { ann: 1, bob: 1 });
      expect([first?.reported.filter((one) => one.startsWith("-")), second?.reported]).toEqual([[], []]);
      await leave(nodeOf(cluster, 0), again);
      await until(() => (second?.changes.length ?? 0) > 0);
      expect(second?.changes.map(({ left }) => left)).toMatchObject([[{ id: "bob" }]]);
    });

    it("has no stale users when the application closes rooms on all nodes and members return at once", async () => {
      const cluster = await startCluster(name, 3, atOnce);
      for (const round of numbers(8)) {
        const clients: TestClient[] = [];
        for (const [index, node] of cluster.nodes.entries()) clients.push(await open(node, `${round} ${index}`));
        nodeOf(cluster, round % 3)
          .app.registry.room(path)
          .close(4000, "over");
        await Promise.all(clients.map(({ closed }) => closed));
      }
      for (const node of cluster.nodes) await open(node, "ann");
      await agree(cluster.nodes, { ann: 3 });
      for (const node of cluster.nodes) expect((await presenceOf(node)).users.map(({ id }) => id)).toEqual(["ann"]);
    });
  });
}
