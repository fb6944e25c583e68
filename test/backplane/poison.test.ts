import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats, headers, type NatsConnection } from "@nats-io/transport-node";
import fc from "fast-check";
import { Redis } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import type { PresenceState } from "../../src/index.js";
import type { TestClient } from "../../src/testing/index.js";
import type { EngineName } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { nodeOf, startCluster, type TestCluster, until } from "./cluster.js";

type Bytes = string | Uint8Array;

/** A foreign program on the same server, which may publish anything. */
interface ForeignProgram {
  /** Resolves when the server has accepted it. */
  publish(channel: string, bytes: Bytes): Promise<unknown>;
  /** Publishes a message that claims to be the publication of a room at this position. */
  claim(room: string, epoch: string, offset: string, bytes: Bytes): Promise<unknown>;
  /** Calls `listener` with each message published to a channel from now on. */
  listen(channel: string, listener: (bytes: Uint8Array) => void): Promise<unknown>;
  /** One round trip to the server. */
  ping(): Promise<unknown>;
}

/** Commands that the test sends to Redis itself. */
function redisClient({ engine }: TestCluster): Redis {
  const client = new Redis(engine?.url ?? "");
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

async function natsClient({ engine }: TestCluster): Promise<NatsConnection> {
  const client = await connectNats({ servers: engine?.url ?? "", reconnect: false });
  onTestFinished(() => client.close());
  return client;
}

const redisName = (channel: string) => `enfilade:{${channel}}`;
const natsName = (channel: string) => `enfilade.${Buffer.from(channel).toString("base64url")}`;

function connectForeignRedis(cluster: TestCluster): ForeignProgram {
  const [client, hearing] = [redisClient(cluster), redisClient(cluster)];
  return {
    publish: (channel, bytes) => client.publish(redisName(channel), Buffer.from(bytes)),
    claim: (room, epoch, offset, bytes) =>
      client.publish(redisName(room), Buffer.concat([Buffer.from(`p${epoch}:${offset}\n`), Buffer.from(bytes)])),
    listen: (channel, listener) => {
      hearing.on("messageBuffer", (name: Buffer, bytes: Buffer) => {
        if (name.toString() === redisName(channel)) listener(bytes);
      });
      return hearing.subscribe(redisName(channel));
    },
    ping: () => client.ping(),
  };
}

async function connectForeignNats(cluster: TestCluster): Promise<ForeignProgram> {
  const client = await natsClient(cluster);
  const publish = (channel: string, bytes: Bytes, marks = headers()) => {
    client.publish(`${natsName(channel)}.plain`, Buffer.from(bytes), { headers: marks });
    return client.flush();
  };
  return {
    publish: (channel, bytes) => publish(channel, bytes),
    claim: (room, epoch, offset, bytes) => {
      const marks = headers();
      if (epoch !== "") marks.set("Nats-Subject", `enfilade.log.room.${epoch}`);
      marks.set("Nats-Sequence", offset);
      return publish(room, bytes, marks);
    },
    listen: (channel, listener) => {
      client.subscribe(`${natsName(channel)}.*`, { callback: (_error, { data }) => listener(data) });
      return client.flush();
    },
    ping: () => client.flush(),
  };
}

async function connectForeign(name: EngineName, cluster: TestCluster): Promise<ForeignProgram> {
  return name === "redis" ? connectForeignRedis(cluster) : connectForeignNats(cluster);
}

const line = (header: unknown, body: Bytes = "x") =>
  Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), Buffer.from(body)]);
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
const garbage = Buffer.from([0, 255, 254, 10, 13, 0, 128, 10, 123, 34]);

/** Malformed on every channel: neither a message nor a signal. */
const nonsense: readonly Bytes[] = [
  ...["", "\n", "\n\n\n", "hello", "hello\nworld", "{", "{}", "{}\n", "null", "null\n", "[]\nx", "1\nx", '"x"\nx'],
  ...[garbage, Buffer.alloc(900_000, 0xff), Buffer.alloc(900_000, "["), `${nested(100_000)}\nx`],
  ...[`{"v":2,"deep":${nested(100_000)}}\nx`, '{"__proto__":{"v":1,"k":"text","t":"heartbeat"}}\nx'],
  ...[line({ v: 2, k: "text", t: "/" }), line({ v: "1", k: "text", t: "/" }), line({ k: "text", t: "/" })],
  ...[line({ v: [1], k: "text" }), line({ v: null, k: "text" }), line({ v: 1.5, k: "text" })],
];

/** Invalid headers of this version, with a path in `t` that is right for its channel. */
function badNodeMessages(t: string | undefined): Bytes[] {
  const headersOfText = [
    ...[{ x: "all" }, { x: [1] }, { x: {} }, { x: null }, { x: [["a"]] }],
    ...[{ p: null }, { p: 1 }, { p: "skip" }, { p: {} }, { p: { kind: "__proto__" } }, { p: { kind: "latest" } }],
    ...[{ p: { kind: "latest", key: 1 } }, { t: null }, { t: 1 }, { t: "" }, { t: "plain/a" }, { t: ["/plain/a"] }],
  ];
  const kinds = ["frame", "", "TEXT", "__proto__", "constructor", "toString", "hasOwnProperty", 1, null, {}, []];
  const closings = [
    ...[{}, { code: 1000 }, { reason: "" }, { code: "1000", reason: "" }, { code: null, reason: "" }],
    ...[0, -1, 999, 1001, 1005, 1006, 2999, 5000, 1e300].map((code) => ({ code, reason: "" })),
    ...[1, null, {}, []].map((reason) => ({ code: 1000, reason })),
  ];
  const evictions = [
    ...[{}, { reason: "" }, { connection: "a" }, { user: "a" }, { connection: "a", user: "b", reason: "" }],
    ...[1, null, {}, []].flatMap((id) => [
      { connection: id, reason: "" },
      { user: id, reason: "" },
      { user: "ann", reason: id },
    ]),
    { user: "ann", reason: "x".repeat(124) },
  ];
  const noJSON = ["", "{", "undefined", "NaN", "'a'", '"\n"', "1 2", "[".repeat(100_000), garbage];
  return [
    ...headersOfText.map((fields) => line({ v: 1, t, k: "text", ...fields })),
    ...kinds.map((k) => line({ v: 1, t, k }, "{}")),
    ...closings.map((closing) => line({ v: 1, t, k: "close", ...closing })),
    ...evictions.map((eviction) => line({ v: 1, t, k: "evict", ...eviction })),
    ...noJSON.map((body) => line({ v: 1, t, k: "json" }, body)),
    JSON.stringify({ v: 1, t, k: "text" }),
  ];
}

const counts = { connections: 0, rooms: 0, users: 0 };

/** Signals of this version that are malformed on every channel of signals. */
const badSignals: readonly Bytes[] = [
  ...[undefined, null, 1, {}, [], "", "heartbeats", "__proto__", "constructor", "toString"].map((t) => ({ v: 2, t })),
  ...[
    { v: 2, t: "heartbeat" },
    { v: 2, t: "heartbeat", node: 1, counts, presence: [] },
    { v: 2, t: "leave" },
  ],
  ...[
    { v: 2, t: "leave", node: 1 },
    { v: 2, t: "state" },
    { v: 2, t: "ask" },
    { v: 2, t: "change", node: null },
  ],
].map((signal) => JSON.stringify(signal));

const badHeartbeats: readonly Bytes[] = [
  ...[null, [], {}, 1, { connections: 1 }, { ...counts, users: -1 }, { ...counts, rooms: 1.5 }].map((value) => ({
    counts: value,
  })),
  ...[{ counts: { ...counts, connections: "1" } }, { presence: undefined }, { presence: {} }, { presence: [1] }],
  ...[{ presence: [["/kept/a"]] }, { presence: [["/kept/a", "1"]] }, { presence: [[1, 1]] }, { presence: [[]] }],
].map((fields) => JSON.stringify({ v: 2, t: "heartbeat", node: "foreign", counts, presence: [], ...fields }));

const ghost = { id: "ghost", connections: 1 };
const badEntries: readonly Bytes[] = [
  ...[undefined, null, {}, "x", [1], [null], [[]], [["k"]], [[1, ghost]], [["k", 1]], [["k", []]], [["k", {}]]],
  ...[[["k", { id: "ghost" }]], [["k", { connections: 1 }]], [["k", { id: 1, connections: 1 }]]],
  ...[0, -1, 1.5, "1", null, 1e300].map((connections) => [["__proto__", { id: "ghost", connections }]]),
]
  .flatMap((entries) => ["state", "change"].map((t) => ({ v: 2, t, node: "foreign", seq: 1, entries })))
  .concat(
    ...[undefined, null, "1", 1.5, -0.5, {}].map((seq): never[] => [
      { v: 2, t: "state", node: "foreign", seq, entries: [["k", ghost]] } as never,
    ]),
    [{ v: 2, t: "nonsense", node: "foreign", seq: 1, entries: [] }],
  )
  .map((signal) => JSON.stringify(signal));

const badPresence: readonly Bytes[] = [
  ...badEntries,
  ...[
    ...[undefined, null, "k", [1], ["k"], [["k"]], [["k", 1]], [[1, true]]].map((keys) => ({ t: "claim", keys })),
    ...[undefined, null, [["k", "maybe"]], [[1, "claims"]]].map((answers) => ({ t: "answer", answers })),
    ...[null, "k", [1], {}].map((reporting) => ({ t: "state", seq: 1, entries: [], reporting })),
    ...[null, ["k"], [["k", "x"]], [["k", true]]].map((reporting) => ({ t: "change", seq: 1, entries: [], reporting })),
    ...[null, "k", [1], {}].map((reportedLeaves) => ({ t: "state", seq: 1, entries: [], reportedLeaves })),
  ].map((fields) => JSON.stringify({ v: 2, node: "foreign", round: 1, ...fields })),
];

const path = "/kept/a";
let marks = 0;

/** The messages to a client up to and including `mark`. */
async function readUpTo(client: TestClient, mark: string): Promise<string[]> {
  const received: string[] = [];
  for (let text = await client.readText(); text !== JSON.stringify(mark); text = await client.readText()) {
    received.push(text);
  }
  return received;
}

/** Publishes from each node to everyone, and returns the messages that arrived before the last of these. */
async function publishNormally(cluster: TestCluster, to: string, clients: readonly TestClient[]): Promise<string[]> {
  const received: string[] = [];
  for (const { app } of cluster.nodes) {
    marks += 1;
    const mark = `mark ${marks}`;
    await app.registry.room(to).publish(mark);
    for (const client of clients) received.push(...(await readUpTo(client, mark)));
  }
  return received;
}

const malformed = ({ nodes }: TestCluster) => nodes.map(({ app }) => app.status().backplane.malformed);

/** Each node has reported once that it received an unknown message, and nothing else. */
function expectOneReport({ nodes }: TestCluster): void {
  for (const { errors } of nodes) {
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining("does not understand")]);
    expect(errors).toMatchObject([{ code: "ERR_BACKPLANE" }]);
  }
}

async function everywhere({ nodes }: TestCluster, target: string): Promise<TestClient[]> {
  return Promise.all(nodes.map((node) => node.open(target)));
}

/** The names of nodes, from their heartbeats. */
async function nodeNames(stranger: ForeignProgram, count: number): Promise<string[]> {
  const names = new Set<string>();
  await stranger.listen("nodes", (bytes) => {
    const [, node] = /"node":"([\w-]+)"/.exec(Buffer.from(bytes).toString()) ?? [];
    if (node !== undefined && names.size < count) names.add(node);
  });
  await until(() => names.size === count);
  return [...names];
}

const presenceOf = (cluster: TestCluster, index: number): Promise<PresenceState> =>
  nodeOf(cluster, index).app.registry.room(path).presence();

/** Resolves when each node has `id` among the users of the room. */
async function waitUntilPresent(cluster: TestCluster, id: string): Promise<void> {
  for (const index of cluster.nodes.keys()) {
    let state = await presenceOf(cluster, index);
    while (!state.users.some((user) => user.id === id)) {
      await new Promise((resolve) => setImmediate(resolve));
      state = await presenceOf(cluster, index);
    }
  }
}

/** The work that foreign round trips cause in the engine: commands of scripts, or requests to JetStream. */
async function worker(name: EngineName, cluster: TestCluster): Promise<() => Promise<number>> {
  if (name === "redis") {
    const client = redisClient(cluster);
    return async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info("commandstats"))?.[1] ?? 0);
  }
  const client = await natsClient(cluster);
  let questions = 0;
  client.subscribe("$JS.API.>", {
    callback: () => {
      questions += 1;
    },
  });
  return async () => {
    await client.flush();
    return questions;
  };
}

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `foreign messages over ${name}`))(`foreign messages over ${name}`, () => {
    const limits = { nodeHeartbeatMs: 1_000 };
    const start = () => startCluster(name, 2, { limits });

    it.each([
      ["/plain/a", "/plain/a", undefined],
      ["/kept/a", "/kept/a", undefined],
      ["trees", "/plain/a", "/plain"],
      ["all", "/plain/a", undefined],
      ["channel:plain", "/plain/a", undefined],
      ["user:ann", "/plain/a", undefined],
    ])("are ignored, counted and reported once if they are not of this library, on %s", async (channel, room, tree) => {
      const cluster = await start();
      const clients = await everywhere(cluster, `${room}?user=ann`);
      const stranger = await connectForeign(name, cluster);
      const poison = [...nonsense, ...badNodeMessages(tree)];
      for (const bytes of poison) await stranger.publish(channel, bytes);
      expect(await publishNormally(cluster, room, clients)).toEqual([]);
      expect(malformed(cluster)).toEqual(cluster.nodes.map(() => poison.length));
      expectOneReport(cluster);
    });

    it("are malformed on the channel of trees if they name no tree", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, "/plain/a");
      const stranger = await connectForeign(name, cluster);
      await stranger.publish("trees", line({ v: 1, k: "text" }, "for whom?"));
      await stranger.publish("trees", line({ v: 1, k: "close", code: 1000, reason: "" }));
      for (const t of ["/__proto__", "/constructor/x", "//", "/plain/a/", "/%zz", `/${"x/".repeat(5_000)}`]) {
        await stranger.publish("trees", line({ v: 1, t, k: "text" }, "for no room"));
      }
      expect(await publishNormally(cluster, "/plain/a", clients)).toEqual([]);
      expect(malformed(cluster)).toEqual([2, 2]);
      expectOneReport(cluster);
    });

    it("are malformed if they evict from a path that is not a room", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, "/plain/a?user=ann");
      const stranger = await connectForeign(name, cluster);
      const evict = { v: 1, k: "evict", user: "ann", reason: "" };
      for (const channel of ["all", "channel:plain", "user:ann", "trees"]) await stranger.publish(channel, line(evict));
      await stranger.publish("trees", line({ ...evict, t: "/plain" }));
      expect(await publishNormally(cluster, "/plain/a", clients)).toEqual([]);
      expect(malformed(cluster)).toEqual([5, 5]);
      expectOneReport(cluster);
    });

    it("are ignored among the heartbeats, and the nodes still know each other", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, `${path}?user=ann`);
      const stranger = await connectForeign(name, cluster);
      const ids = await nodeNames(stranger, cluster.nodes.length);
      const poison = [...nonsense, ...badSignals];
      for (const channel of ["nodes", ...ids.map((id) => `node:${id}`)]) {
        for (const bytes of poison) await stranger.publish(channel, bytes);
      }
      for (const bytes of badHeartbeats) await stranger.publish("nodes", bytes);
      expect(await publishNormally(cluster, path, clients)).toEqual([]);
      const expected = 2 * poison.length + badHeartbeats.length;
      expect(malformed(cluster)).toEqual(cluster.nodes.map(() => expected));
      expectOneReport(cluster);
      expect(cluster.nodes.map(({ app }) => app.status().backplane.nodes)).toEqual([2, 2]);
      await nodeOf(cluster, 1).open(`${path}?user=bob`);
      await waitUntilPresent(cluster, "bob");
    });

    it("are ignored among presence messages, and add no user", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, `${path}?user=ann`);
      const stranger = await connectForeign(name, cluster);
      const poison = [...nonsense, ...badSignals, ...badPresence];
      for (const bytes of poison) await stranger.publish(`presence:${path}`, bytes);
      expect(await publishNormally(cluster, path, clients)).toEqual([]);
      expect(malformed(cluster)).toEqual(cluster.nodes.map(() => poison.length));
      expectOneReport(cluster);
      await nodeOf(cluster, 1).open(`${path}?user=bob`);
      await waitUntilPresent(cluster, "bob");
      for (const index of [0, 1]) expect(await presenceOf(cluster, index)).toMatchObject({ count: 2 });
    });

    it("with a user nested too deeply to be written again harm no watcher and no new client", async () => {
      const cluster = await start();
      const node = nodeOf(cluster, 0);
      await node.open(`${path}?user=ann`, { protocols: ["enfilade.v1"] });
      const stranger = await connectForeign(name, cluster);
      const entry = `{"id":"deep","connections":1,"shown":${nested(100_000)}}`;
      const uncaught: unknown[] = [];
      const others = process.listeners("uncaughtException");
      process.removeAllListeners("uncaughtException");
      process.on("uncaughtException", (error) => uncaught.push(error));
      try {
        await stranger.publish(
          `presence:${path}`,
          `{"v":2,"t":"state","node":"foreign","seq":1,"entries":[["k",${entry}]]}`,
        );
        await nodeOf(cluster, 1).open(`${path}?user=bob`);
        await waitUntilPresent(cluster, "bob");
        expect(uncaught).toEqual([]);
        const newcomer = await node.open(`${path}?user=cy`, { protocols: ["enfilade.v1"] });
        expect(await newcomer.readJSON()).toMatchObject({ type: "presence" });
      } finally {
        process.removeAllListeners("uncaughtException");
        for (const listener of others) process.on("uncaughtException", listener);
      }
    });

    it("with an incomplete close command are malformed, and close no connection", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, "/plain/a");
      const stranger = await connectForeign(name, cluster);
      const codes = [3000.5, 4000.25, 4998.999];
      for (const code of codes) await stranger.publish("/plain/a", line({ v: 1, k: "close", code, reason: "" }));
      expect(await publishNormally(cluster, "/plain/a", clients)).toEqual([]);
      expectOneReport(cluster);
      expect(malformed(cluster)).toEqual([codes.length, codes.length]);
    });

    it("with an invalid position are malformed", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, path);
      const stranger = await connectForeign(name, cluster);
      const message = line({ v: 1, k: "text" }, "forged");
      const positions = [
        ...[
          ["", "1"],
          ["e e", "1"],
          ["e\u00e4", "1"],
          ["e".repeat(65), "1"],
          ["__proto__:1", "1"],
          ["e", "x"],
        ],
        ...[
          ["e", "-1"],
          ["e", "1.5"],
          ["e", "1e3"],
          ["e", "0x1"],
          ["e", "1".repeat(17)],
          ["e", "__proto__"],
        ],
      ];
      for (const [epoch = "", offset = ""] of positions) await stranger.claim(path, epoch, offset, message);
      await stranger.claim(path, "e", "1", "no message");
      await stranger.claim(path, "e", "1", "");
      expect(await publishNormally(cluster, path, clients)).toEqual([]);
      expect(malformed(cluster)).toEqual(cluster.nodes.map(() => positions.length + 2));
      expectOneReport(cluster);
    });

    it.each([
      ["far ahead in the same epoch", "same", "4000"],
      ["beyond what is a safe integer", "same", "9999999999999999"],
      ["of an epoch that there is not", "another", "1"],
      ["of an epoch named like a prototype", "__proto__", "3"],
    ])("with a position %s cost no client a publication, and the nodes become stable", async (_name, epoch, offset) => {
      const cluster = await start();
      const clients = await everywhere(cluster, path);
      await publishNormally(cluster, path, clients);
      const [newest] = await nodeOf(cluster, 0).app.registry.room(path).history({ limit: 1 });
      const stranger = await connectForeign(name, cluster);
      const claimed = epoch === "same" ? (newest?.position?.epoch ?? "") : epoch;
      for (let round = 0; round < 20; round += 1) {
        await stranger.claim(path, claimed, offset, line({ v: 1, k: "text" }, "forged"));
        expect(await publishNormally(cluster, path, clients)).toEqual([]);
      }
      const work = await worker(name, cluster);
      const before = await work();
      for (let n = 0; n < 300; n += 1) await stranger.ping();
      // Each node reads the room once or a few times, not in every turn of its event loop.
      expect((await work()) - before).toBeLessThan(50);
    });

    it("of random bytes and random headers are harmless", async () => {
      const cluster = await start();
      const clients = await everywhere(cluster, `${path}?user=ann`);
      const stranger = await connectForeign(name, cluster);
      const [id] = await nodeNames(stranger, cluster.nodes.length);
      const channel = fc.constantFrom(path, "trees", "nodes", `node:${id}`, `presence:${path}`, "all", "user:ann");
      const text = fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", path, "/", "\u0000", "\ud800"));
      const value = fc.oneof(text, fc.integer(), fc.double(), fc.constant(null), fc.jsonValue());
      const header = fc.dictionary(fc.constantFrom("v", "t", "k", "x", "p", "node", "seq", "entries", "counts"), value);
      const version = fc.constantFrom(1, 2);
      const bytes = fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ maxLength: 60 }).map((rest) => Buffer.concat([Buffer.from("p"), rest])),
        fc
          .tuple(version, header, fc.uint8Array({ maxLength: 60 }))
          .map(([v, fields, body]) => line({ v, ...fields }, body)),
        fc.tuple(header, value).map(([fields, body]) => line({ v: 1, k: "json", ...fields }, JSON.stringify(body))),
      );
      const seed = Number(process.env.POISON_SEED ?? Math.floor(Math.random() * 2 ** 31));
      console.info(`foreign messages over ${name}: POISON_SEED=${seed}`);
      const property = fc.asyncProperty(
        fc.array(fc.tuple(channel, bytes), { minLength: 20, maxLength: 60 }),
        async (all) => {
          for (const [to, foreign] of all) await stranger.publish(to, foreign);
          await publishNormally(cluster, path, clients);
        },
      );
      await fc.assert(property, { seed, numRuns: 30, endOnFailure: true });
      for (const node of cluster.nodes) expect(node.app.status().backplane).toMatchObject({ state: "up" });
      expectOneReport(cluster);
    });
  });
}

/** Opens the room on every node and publishes a number of messages, so that there is a log to write into. */
async function keptRoom(name: EngineName, publications: number, historySize = 100) {
  const cluster = await startCluster(name, 2, { historySize });
  const clients = await everywhere(cluster, path);
  const room = nodeOf(cluster, 0).app.registry.room(path);
  for (let n = 0; n < publications; n += 1) await room.publish(n);
  for (const client of clients) for (let n = 0; n < publications; n += 1) await client.readJSON();
  return { cluster, clients, room };
}

describe.skipIf(missing("redis", "entries by hand"))("foreign entries in the log of a room in Redis", () => {
  const [log, meta] = [`${redisName(path)}:log`, `${redisName(path)}:meta`];
  const cases: [string, number, string[]][] = [
    ["the first of a room, with other fields", 0, ["1-0", "x", "y"]],
    ["the next of a room, with other fields", 2, ["3-0", "x", "y"]],
    ["the next of a room, with one field", 2, ["3-0", "d", "garbage"]],
    ["between the offsets of a room", 2, ["2-7", "d", "garbage", "t", "1"]],
    ["at an id of Redis's own choice", 2, ["*", "name", "value"]],
    ["whose time is no number", 2, ["3-0", "d", "garbage", "t", "yesterday"]],
  ];

  it.each(cases)(
    "%s: publications still arrive everywhere, and the history can be read",
    async (_name, count, args) => {
      const { cluster, clients, room } = await keptRoom("redis", count);
      await redisClient(cluster).call("XADD", log, ...args);
      expect(await publishNormally(cluster, path, clients)).toEqual([]);
      const kept = await room.history();
      expect(kept.slice(-2).map(({ data }) => data)).toEqual([`mark ${marks - 1}`, `mark ${marks}`]);
    },
  );

  it.each([
    ["without a time", ["2-7", "d", "garbage"]],
    ["with a time that is none", ["2-7", "d", "garbage", "t", "yesterday"]],
    ["with other fields", ["2-7", "x", "y", "z", "0"]],
  ])("%s are removed with older publications when those are trimmed", async (_name, args) => {
    const { cluster, clients, room } = await keptRoom("redis", 2, 2);
    await redisClient(cluster).call("XADD", log, ...args);
    for (let n = 0; n < 3; n += 1) expect(await publishNormally(cluster, path, clients)).toEqual([]);
    expect((await room.history()).map(({ data }) => data)).toEqual([`mark ${marks - 1}`, `mark ${marks}`]);
  });

  it("are skipped, reported as lost, counted, and reported once", async () => {
    const { cluster, clients, room } = await keptRoom("redis", 2);
    const client = redisClient(cluster);
    const lost: unknown[] = [];
    nodeOf(cluster, 1).app.registry.on("lagged", (_room, missed) => lost.push(missed));
    for (const [offset, d] of [
      ["3", "garbage"],
      ["4", line({ v: 2, k: "text" })],
      ["5", ""],
    ] as const) {
      await client.call("XADD", log, `${offset}-0`, "d", d, "t", String(Date.now()));
    }
    await client.hset(meta, "o", "5");
    expect(await publishNormally(cluster, path, clients)).toEqual([]);
    expect(lost).toEqual([3]);
    expect((await room.history()).map(({ data }) => data)).toEqual([0, 1, `mark ${marks - 1}`, `mark ${marks}`]);
    for (const count of malformed(cluster)) expect(count).toBeGreaterThanOrEqual(3);
    expectOneReport(cluster);
  });

  it("no longer matter when a value of another type replaces the log", async () => {
    const { cluster, clients, room } = await keptRoom("redis", 1);
    const client = redisClient(cluster);
    await client.del(log);
    await client.set(log, "a string");
    expect(await room.publish("in its place")).toMatchObject({ offset: 2 });
    const both = clients.map(() => JSON.stringify("in its place"));
    expect(await publishNormally(cluster, path, clients)).toEqual(both);
    expect((await room.history()).at(-1)?.data).toBe(`mark ${marks}`);
  });
});

describe.skipIf(missing("nats", "messages by hand"))("foreign messages in the stream of a room in NATS", () => {
  it("are skipped, reported as lost, counted, and reported once", async () => {
    const { cluster, clients, room } = await keptRoom("nats", 2);
    const client = await natsClient(cluster);
    const lost: unknown[] = [];
    nodeOf(cluster, 1).app.registry.on("lagged", (_room, missed) => lost.push(missed));
    const manager = await jetstreamManager(client);
    const { config } = await manager.streams.info(`enfilade-room-${Buffer.from(path).toString("base64url")}`);
    const [subject = ""] = config.subjects;
    for (const bytes of ["garbage", "", line({ v: 2, k: "text" })]) await client.request(subject, Buffer.from(bytes));
    expect(await publishNormally(cluster, path, clients)).toEqual([]);
    expect(lost).toEqual([3]);
    expect((await room.history()).map(({ data }) => data)).toEqual([0, 1, `mark ${marks - 1}`, `mark ${marks}`]);
    for (const count of malformed(cluster)) expect(count).toBeGreaterThanOrEqual(3);
    expectOneReport(cluster);
  });
});
