import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Position, Room } from "../../src/index.js";
import type { TestClient } from "../../src/testing/index.js";
import { type OpenEngine, openEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { nodeOf, startCluster, type TestCluster, until } from "./cluster.js";

/** The next messages of a client, parsed. */
async function read(client: TestClient, count: number): Promise<unknown[]> {
  const values: unknown[] = [];
  for (let n = 0; n < count; n += 1) values.push(await client.readJSON());
  return values;
}

/** Opens one client per node, in the same room. */
async function everywhere({ nodes }: TestCluster, path: string): Promise<TestClient[]> {
  return Promise.all(nodes.map((node) => node.open(path)));
}

async function firstOf(room: Room): Promise<unknown> {
  for await (const { data } of room.subscribe({ replay: 10 })) return data;
  return undefined;
}

/** Keeps the event loop busy. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

for (const name of ["memory", "redis", "redis-cluster", "redis-sentinel", "nats"] as const) {
  const part = name === "nats" ? "nats" : "redis";
  const isSkipped = name !== "memory" && missing(part, `the ${name} backplane`);
  describe.skipIf(isSkipped)(`a backplane over ${name}`, () => {
    // Many servers take seconds to start, so the tests share them, each under a prefix of its own.
    let shared: OpenEngine | undefined;
    let tests = 0;
    beforeAll(async () => {
      if (name === "redis-cluster" || name === "redis-sentinel") shared = await openEngine(name);
    });
    afterAll(() => shared?.remove());
    const start = () => {
      tests += 1;
      const own = shared === undefined ? {} : { on: shared.engine, backplane: { prefix: `test-${tests}` } };
      return startCluster(name, name === "memory" ? 1 : 3, own);
    };

    it.each(["/plain/a", "/kept/a"])(
      "delivers once to every member of %s on every node, in the order of the calls",
      async (path) => {
        const cluster = await start();
        const clients = await everywhere(cluster, path);
        const room = nodeOf(cluster, 0).app.registry.room(path);
        for (const n of numbers(200)) room.sendJSON(n);
        for (const client of clients) expect(await read(client, 200)).toEqual(numbers(200));
        room.sendJSON("last");
        for (const client of clients) expect(await client.readJSON()).toBe("last");
      },
    );

    it("keeps text, bytes, policies and exceptions unchanged", async () => {
      const cluster = await start();
      const [first, ...others] = await everywhere(cluster, "/kept/a");
      const { registry } = nodeOf(cluster, 0).app;
      const except = registry.connections.map(({ id }) => id);
      const room = registry.room("/kept/a");
      room.sendText("häh?\n\u2028");
      room.sendBinary(new Uint8Array([0, 10, 255]), { policy: { kind: "latest", key: "k" } });
      room.sendJSON("not for the first", { except });
      room.sendJSON("for all");
      for (const client of others) {
        expect(await client.readText()).toBe("häh?\n\u2028");
        expect([...(await client.read()).bytes]).toEqual([0, 10, 255]);
        expect(await read(client, 2)).toEqual(["not for the first", "for all"]);
      }
      expect(await first?.readText()).toBe("häh?\n\u2028");
      await first?.read();
      expect(await first?.readJSON()).toBe("for all");
    });

    it("gives every member of a room with history the same order, from any publishing node", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, "/kept/a");
      const positions = new Map<number, unknown>();
      await Promise.all(
        cluster.nodes.flatMap(({ app }, node) =>
          numbers(100).map(async (n) => {
            const value = [node, n];
            const position = await app.registry.room("/kept/a").publish(value);
            positions.set(position?.offset ?? -1, value);
          }),
        ),
      );
      const count = 100 * cluster.nodes.length;
      const order = numbers(count).map((n) => positions.get(n + 1));
      for (const client of clients) expect(await read(client, count)).toEqual(order);
      const kept = await nodeOf(cluster, 0).app.registry.room("/kept/a").history();
      expect(kept.map(({ data }) => data)).toEqual(order);
      expect(kept.map(({ position }) => position?.offset)).toEqual(numbers(count).map((n) => n + 1));
    });

    it("loses no publication that a node sends to a room right after it has opened it", async () => {
      const cluster = await start();
      const { registry } = nodeOf(cluster, 0).app;
      const opened = numbers(100).map(async (n) => {
        const room = registry.room(`/kept/new-${n}`);
        const subscription = room.subscribe();
        const position = await room.publish(n);
        expect((await subscription.next()).value?.position).toEqual(position);
        await subscription.return();
      });
      await Promise.all(opened);
    });

    it("delivers a publication to its own publisher, and not before it is published", async () => {
      const cluster = await start();
      const { app } = nodeOf(cluster, 0);
      const received: unknown[] = [];
      const subscription = app.registry.room("/kept/quiet").subscribe();
      const listening = (async () => {
        for await (const { data } of subscription) received.push(data);
      })();
      const publishing = app.registry.room("/kept/quiet").publish("mine");
      expect(received).toEqual([]);
      await publishing;
      await until(() => received.length > 0);
      expect(received).toEqual(["mine"]);
      await subscription.return();
      await listening;
    });

    it("reaches the members of trees, channels, users and all, each connection once", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, "/org/7/a?user=ann");
      const below = await everywhere(cluster, "/org/7");
      const plain = await everywhere(cluster, "/plain/a");
      const { app } = nodeOf(cluster, cluster.nodes.length - 1);
      app.registry.sendJSONToRoom("/org/7/**", "tree");
      app.registry.sendJSONToUser("ann", "user");
      app.channel("plain").sendJSON("channel");
      app.registry.sendJSONToAll("all");
      // Different topics have no common order.
      for (const client of clients) expect(new Set(await read(client, 3))).toEqual(new Set(["tree", "user", "all"]));
      for (const client of below) expect(new Set(await read(client, 2))).toEqual(new Set(["tree", "all"]));
      for (const client of plain) expect(new Set(await read(client, 2))).toEqual(new Set(["channel", "all"]));
    });

    it("distinguishes users with ids that look alike in UTF-8", async () => {
      const cluster = await start();
      const [client] = await everywhere(cluster, "/plain/a?user=%EF%BF%BD");
      const { registry } = nodeOf(cluster, cluster.nodes.length - 1).app;
      registry.sendJSONToUser("\ud800", "not for the replacement character");
      registry.sendJSONToUser("\ufffd", "for it");
      expect(await client?.readJSON()).toBe("for it");
    });

    it("closes rooms, users and channels on every node, after delivering earlier messages", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, "/kept/a");
      const users = await everywhere(cluster, "/plain/a?user=ann");
      const { registry } = nodeOf(cluster, 0).app;
      registry.room("/kept/a").sendJSON("bye");
      registry.room("/kept/a").close(4001, "closed");
      for (const client of clients) {
        expect(await client.readJSON()).toBe("bye");
        expect(await client.closed).toMatchObject({ code: 4001, reason: "closed" });
      }
      registry.user("ann").close(4501, "revoked");
      for (const client of users) expect(await client.closed).toMatchObject({ code: 4501, reason: "revoked" });
    });

    it.each(["/plain/a", "/kept/a"])(
      "removes a user or a connection from %s on every node, after earlier messages, and closes no connection",
      async (path) => {
        const cluster = await start();
        const [anns, bobs] = [
          await everywhere(cluster, `${path}?user=ann`),
          await everywhere(cluster, `${path}?user=bob`),
        ];
        const bobsHere = nodeOf(cluster, 0).app.registry.user("bob").members();
        const elsewhere = nodeOf(cluster, cluster.nodes.length - 1).app.registry;
        const room = elsewhere.room(path);
        const sizes = () => cluster.nodes.map(({ app }) => app.registry.room(path).size);
        room.sendJSON("before");
        room.evict({ user: "ann" }, { reason: "kicked" });
        room.sendJSON("after");
        await until(() => sizes().every((size) => size === 1));
        elsewhere.user("ann").sendJSON("still connected");
        for (const client of anns) expect(await read(client, 2)).toEqual(["before", "still connected"]);
        for (const client of bobs) expect(await read(client, 2)).toEqual(["before", "after"]);
        for (const { id } of bobsHere) room.evict(id);
        await until(() => sizes()[0] === 0);
        room.sendJSON("for the others");
        elsewhere.user("bob").sendJSON("end");
        expect(await bobs[0]?.readJSON()).toBe("end");
        for (const client of bobs.slice(1)) {
          expect(new Set(await read(client, 2))).toEqual(new Set(["for the others", "end"]));
        }
        for (const { errors } of cluster.nodes) expect(errors).toEqual([]);
      },
    );

    it("gives a subscription to a tree its publications from all nodes, and those of open rooms here", async () => {
      const cluster = await start();
      const { registry } = nodeOf(cluster, 0).app;
      const received: unknown[] = [];
      const subscription = registry.subscribe("/kept/**");
      const listening = (async () => {
        for await (const { room, data, position } of subscription) received.push([room, data, position?.offset]);
      })();
      const expected = new Set<string>();
      await nodeOf(cluster, 0).open("/kept/a");
      for (const [n, { app }] of cluster.nodes.entries()) {
        const position = await app.registry.room("/kept/a").publish(n);
        expected.add(JSON.stringify(["/kept/a", n, position?.offset]));
      }
      // Opened after the subscription, and after earlier publications to it.
      for (const { app } of cluster.nodes) app.registry.sendJSONToRoom("/plain/b", "outside");
      await nodeOf(cluster, 0).open("/kept/later");
      const elsewhere = nodeOf(cluster, cluster.nodes.length - 1).app.registry;
      await elsewhere.room("/kept/later").publish("later");
      expected.add(JSON.stringify(["/kept/later", "later", 1]));
      elsewhere.sendJSONToRoom("/kept/**", "tree");
      expected.add(JSON.stringify(["/kept/**", "tree", undefined]));
      await until(() => received.length >= expected.size);
      await subscription.return();
      await listening;
      expect(new Set(received.map((one) => JSON.stringify(one)))).toEqual(expected);
      expect(received).toHaveLength(expected.size);
      expect(registry.rooms.map(({ path }) => path).toSorted()).toEqual(["/kept/a", "/kept/later"]);
    });

    // A single node has no rooms elsewhere.
    if (name !== "memory") {
      it("gives a subscription to a tree no publications to rooms that only other nodes have open", async () => {
        const cluster = await start();
        const subscription = nodeOf(cluster, 0).app.registry.subscribe("/plain/**");
        const [elsewhere, client] = [nodeOf(cluster, 1).app.registry, await nodeOf(cluster, 1).open("/plain/a")];
        elsewhere.sendJSONToRoom("/plain/a", "not heard");
        expect(await client.readJSON()).toBe("not heard");
        elsewhere.sendJSONToRoom("/plain/**", "heard");
        expect((await subscription.next()).value).toEqual({ room: "/plain/**", data: "heard" });
        await subscription.return();
      });
    }

    it("reads history: the last publications, those after a position, and all for another epoch", async () => {
      const cluster = await start();
      const room = nodeOf(cluster, 0).app.registry.room("/kept/read");
      const positions: Position[] = [];
      for (const n of numbers(5)) {
        const position = await room.publish(n);
        if (position !== undefined) positions.push(position);
      }
      const elsewhere = nodeOf(cluster, cluster.nodes.length - 1).app.registry.room("/kept/read");
      const data = async (options: object) => (await elsewhere.history(options)).map((one) => one.data);
      expect(await data({})).toEqual([0, 1, 2, 3, 4]);
      expect(await data({ limit: 2 })).toEqual([3, 4]);
      expect(await data({ limit: 0 })).toEqual([]);
      expect(await data({ since: positions[2] })).toEqual([3, 4]);
      expect(await data({ since: positions[0], limit: 2 })).toEqual([1, 2]);
      expect(await data({ since: positions[4] })).toEqual([]);
      expect(await data({ since: { epoch: "another", offset: 3 } })).toEqual([0, 1, 2, 3, 4]);
    });

    it("gives a new client the history and then live messages, without a gap or a duplicate", async () => {
      const cluster = await start();
      const { app } = nodeOf(cluster, 0);
      const elsewhere = nodeOf(cluster, cluster.nodes.length - 1);
      const room = app.registry.room("/kept/busy");
      const total = 600;
      const publishing = (async () => {
        for (const n of numbers(total)) await room.publish(n);
      })();
      const newcomers = numbers(10).map(async () => {
        const subscription = elsewhere.app.registry.room("/kept/busy").subscribe({ replay: total });
        const received: unknown[] = [];
        for await (const { data } of subscription) {
          received.push(data);
          if (data === total - 1) return received;
        }
        return received;
      });
      await publishing;
      for (const received of await Promise.all(newcomers)) expect(received).toEqual(numbers(total));
    });

    it("gives the first publication of a room to a subscription that begins at the same time", async () => {
      const cluster = await start();
      const publisher = nodeOf(cluster, 0).app.registry;
      const reader = nodeOf(cluster, cluster.nodes.length - 1).app.registry;
      const rooms = numbers(100).map((n) => `/kept/born-${n}`);
      const firsts: Promise<unknown>[] = [];
      for (const [n, path] of rooms.entries()) {
        firsts.push(firstOf(reader.room(path)));
        await new Promise((resolve) => setImmediate(resolve));
        // Answers and publications of many rooms wait for this process, and are read at once.
        if (n % 20 === 19) block(5);
        publisher.room(path).sendJSON("first");
        publisher.room(path).sendJSON("second");
      }
      expect(await Promise.all(firsts)).toEqual(rooms.map(() => "first"));
    });
  });
}
