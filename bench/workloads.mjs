/**
 * The workloads: for each one the behaviour of the server, the settings of the generator, and the reported figures.
 *
 * A load has settings of the generator (see `want` in generator.c) or of the program in inside/.
 *
 * @typedef {"rooms" | "members" | "flight" | "random" | "bytes" | "burst" | "json" | "drivers" | "rate"} TrafficName
 * @typedef {"stall" | "idle" | "measureMs" | "roomsEach" | "v1" | "clients" | "missed" | "everyMs"} ClientName
 * @typedef {TrafficName | ClientName | "kept" | "nodes" | "width" | "rounds" | "count"} NumberName
 * @typedef {Partial<Record<NumberName, number> & Record<"prefix" | "suffix" | "engine", string>>} Load
 *
 * @typedef {object} Figure
 * @property {string} name
 * @property {(run: import("./measure.mjs").Run) => number} of
 * @property {"ws" | "base"} [against] What the ratio refers to: naive ws, or the same peer under `base`.
 * @property {{ least: number, aim: number }} [atLeast] Target for Enfilade.
 * @property {{ most: number, aim: number }} [atMost] Target for Enfilade.
 *
 * @typedef {object} Workload
 * @property {string} name
 * @property {string} what
 * @property {import("./peers/contract.mjs").Serve} [serve]
 * @property {import("./peers/contract.mjs").Observer} [observer] The baseline has none.
 * @property {string} [inside] A program in inside/ that replaces server and generator and also measures `base`.
 * @property {boolean} [alone] Without peers: Enfilade is compared with itself, or not at all.
 * @property {Load} load
 * @property {Load} [quick] Changes to the load with --quick.
 * @property {{ name: string, serve?: import("./peers/contract.mjs").Serve, load?: Load }} [base]
 *   The changes that make this workload its baseline, for every peer.
 * @property {boolean} [deflate]
 * @property {Figure[]} figures
 * @property {string} [note]
 */
const deliveries = { name: "deliveries/s", of: (run) => run.perSecond, against: "ws" };
const cpu = { name: "CPU µs/delivery", of: (run) => run.cpuUs, against: "ws" };
const cpuOverBase = { ...cpu, against: "base" };
/** The ratio to ws is that of the processor times, the larger the better. */
const perCpu = { name: "deliveries per CPU ms", of: (run) => 1_000 / run.cpuUs, against: "ws" };

/**
 * Bound and aim are for the processor time: it is steadier than the throughput.
 *
 * @param {number} least @param {number} aim @returns {Figure[]}
 */
const throughput = (least, aim) => [deliveries, cpu, { ...perCpu, atLeast: { least, aim } }];

const fanout = { rooms: 1, members: 1000, flight: 1, bytes: 64 };
const echo = { rooms: 100, members: 1, flight: 1, bytes: 64 };

/**
 * Publications through a backplane, compared with the bare client of its engine.
 *
 * @param {"redis" | "nats"} engine @param {0 | 1} kept @returns {Workload}
 */
function engineWorkload(engine, kept) {
  return {
    name: kept ? `${engine}-history` : engine,
    what: `64 bytes through ${engine}, 1,000 in flight${kept ? ", with history" : ""}; compared with its bare client`,
    inside: "engine.mjs",
    alone: true,
    load: { engine, kept, width: 1000, bytes: 64 },
    base: { name: "bare" },
    figures: [
      {
        name: "received/s",
        of: (run) => run.perSecond,
        against: "base",
        atLeast: { least: 0.6, aim: 0.9 },
      },
    ],
    note: "One process publishes and subscribes, and alternates with the bare client. The engine has the other core.",
  };
}

/**
 * Clients that resume at once.
 *
 * @param {string} name @param {number} missed Publications that each of them has missed.
 */
function recoveryWorkload(name, missed) {
  return {
    name,
    what:
      `1,000 clients of enfilade.v1 resume at once, each missing ${missed.toLocaleString("en")} publications; ` +
      "compared with a quiet time",
    inside: "recovery.mjs",
    alone: true,
    load: { clients: 1000, missed, bytes: 64, everyMs: 5 },
    base: { name: "without" },
    quick: { clients: 100 },
    figures: [
      { name: "seconds for all", of: (run) => run.recoverySeconds },
      { name: "peak MiB", of: (run) => run.peakMiB },
      { name: "p50 ms of another room", of: (run) => run.delayP50Ms, against: "base" },
      { name: "p99 ms of another room", of: (run) => run.delayP99Ms, against: "base" },
    ],
    note:
      "Their sockets are open before. The time runs from the upgrade requests until the last client has all " +
      "publications. The peak is resident memory above the level before. The other room has one plain " +
      "member and gets a message every 5 ms; the delay counts from when a message was due.",
  };
}

/** @type {Record<string, Pick<Workload, "serve" | "load" | "quick">>} */
const observedLoads = {
  "fanout-1": { serve: "room", load: fanout },
  "echo-16": { serve: "echo", load: { ...echo, flight: 16 } },
  "burst-100": { serve: "burst", load: { ...fanout, burst: 100 }, quick: { members: 200 } },
};

/**
 * A load of Enfilade that is observed, compared with the same load without an observer.
 *
 * @param {"metrics" | "tap"} observer @param {"fanout-1" | "echo-16" | "burst-100"} compared
 * @returns {Workload}
 */
function observedWorkload(observer, compared) {
  const { what, least } = {
    metrics: { what: "with metrics for prom-client, read once a second; compared with no metrics", least: 0.9 },
    tap: { what: "with a tap on another room; compared with no tap", least: 0.95 },
  }[observer];
  const { serve, load, quick } = observedLoads[compared];
  return {
    name: `${observer}-${compared}`,
    what: `as ${compared}, ${what}`,
    serve,
    alone: true,
    load,
    ...(quick && { quick }),
    observer,
    base: { name: "without" },
    figures: [{ ...deliveries, against: "base", atLeast: { least, aim: 0.95 } }, cpuOverBase],
  };
}

/** @type {Workload[]} */
export const workloads = [
  {
    name: "fanout-1",
    what: "64 bytes to a room of 1,000; the next message when all members have this one",
    serve: "room",
    load: fanout,
    figures: throughput(1.25, 1.8),
  },
  {
    name: "fanout-16",
    what: "64 bytes to a room of 1,000, 16 messages in flight",
    serve: "room",
    load: { ...fanout, flight: 16 },
    quick: { members: 300 },
    figures: throughput(9.5, 13),
  },
  {
    name: "burst-100",
    what: "one trigger makes the server send 100 messages of 64 bytes to a room of 1,000 in one tick",
    serve: "burst",
    load: { ...fanout, burst: 100 },
    quick: { members: 200 },
    figures: throughput(95, 140),
  },
  {
    name: "fanout-100m",
    what: "as fanout-1, with 100 members; compared with 1,000",
    serve: "room",
    load: { ...fanout, members: 100 },
    base: { name: "1,000", load: fanout },
    figures: [deliveries, cpuOverBase],
  },
  {
    name: "fanout-10000m",
    what: "as fanout-1, with 10,000 members; compared with 1,000",
    serve: "room",
    load: { ...fanout, members: 10_000 },
    base: { name: "1,000", load: fanout },
    quick: { members: 3000 },
    figures: [deliveries, { ...cpuOverBase, atMost: { most: 1.8, aim: 1.5 } }],
  },
  {
    name: "history",
    what: "as fanout-16, with the last 100 messages of the room kept; compared with no history",
    serve: "history",
    alone: true,
    load: { ...fanout, flight: 16 },
    base: { name: "without", serve: "room" },
    quick: { members: 300 },
    figures: [{ ...deliveries, against: "base", atLeast: { least: 0.85, aim: 0.85 } }, cpuOverBase],
  },
  {
    name: "v1",
    what: "as fanout-16, with clients of enfilade.v1; compared with plain clients",
    serve: "room",
    alone: true,
    load: { ...fanout, flight: 16, v1: 1, prefix: '{"type":"message","data":', suffix: "}" },
    base: { name: "plain", load: { v1: 0, prefix: "", suffix: "" } },
    quick: { members: 300 },
    figures: [{ ...deliveries, against: "base", atLeast: { least: 0.9, aim: 0.9 } }, cpuOverBase],
    note: "The 64 bytes are the data of a frame, which takes 26 bytes more in both directions.",
  },
  observedWorkload("metrics", "fanout-1"),
  observedWorkload("metrics", "echo-16"),
  observedWorkload("metrics", "burst-100"),
  observedWorkload("tap", "fanout-1"),
  observedWorkload("tap", "echo-16"),
  observedWorkload("tap", "burst-100"),
  {
    name: "rooms-10",
    what: "1,000 rooms of 10; a random member of a random room sends 64 bytes to its room, 16 in flight in total",
    serve: "room",
    load: { rooms: 1000, members: 10, flight: 16, random: 1, bytes: 64 },
    quick: { rooms: 300 },
    figures: throughput(1.15, 1.7),
    note: "A room has at most one message in flight: two at once from two members would have no order to check.",
  },
  {
    name: "echo-1",
    what: "100 clients, each gets its 64 bytes back, one message in flight each",
    serve: "echo",
    load: echo,
    figures: throughput(1.3, 2.2),
  },
  {
    name: "echo-16",
    what: "100 clients, each gets its 64 bytes back, 16 messages in flight each",
    serve: "echo",
    load: { ...echo, flight: 16 },
    figures: throughput(8, 13),
  },
  {
    name: "echo-json-16",
    what: "as echo-16, parsed and stringified by the server",
    serve: "echoJSON",
    load: { ...echo, flight: 16 },
    figures: throughput(4.5, 5),
  },
  {
    name: "events",
    what: "as echo-json-16, as events through an EventHandler; compared with plain onJSON and the same frames",
    serve: "events",
    alone: true,
    load: { ...echo, flight: 16, prefix: '{"event":"m","data":', suffix: "}" },
    base: { name: "onJSON", serve: "echoJSON" },
    figures: [
      { ...deliveries, name: "events/s", against: "base", atLeast: { least: 0.8, aim: 0.8 } },
      { ...cpuOverBase, name: "CPU µs/event" },
    ],
  },
  {
    name: "large",
    what: "16 KiB to a room of 500; the next message when all members have this one",
    serve: "room",
    load: { rooms: 1, members: 500, flight: 1, bytes: 16_384 },
    figures: throughput(1.35, 1.75),
  },
  {
    name: "large-deflate",
    what: "16 KiB of JSON records to a room of 500, permessage-deflate",
    serve: "room",
    load: { rooms: 1, members: 500, flight: 1, bytes: 16_384, json: 1 },
    quick: { members: 100 },
    deflate: true,
    figures: throughput(65, 85),
    note:
      "Enfilade has `compression: true`; the peers have a threshold of 1 KiB and default parameters, and ws " +
      "also runs with serverNoContextTakeover. Compressed frames are counted, not inflated.",
  },
  {
    name: "idle",
    what: "10,000 idle connections in 1,000 rooms",
    serve: "room",
    load: { rooms: 1000, members: 10, idle: 1 },
    quick: { rooms: 300 },
    figures: [
      { name: "KiB per connection", of: (run) => run.kibEach, against: "ws", atMost: { most: 0.9, aim: 0.75 } },
      { name: "connections/s", of: (run) => run.connectsPerSecond, against: "ws", atLeast: { least: 1, aim: 1.3 } },
    ],
    note: "Resident memory of the server after a garbage collection, without the kernel's memory for sockets.",
  },
  {
    name: "rooms-100000",
    what: "100,000 rooms of one member: 1,000 in-memory connections, each in its home and in 99 joined rooms",
    inside: "rooms.mjs",
    alone: true,
    load: { rooms: 100_000, roomsEach: 100 },
    figures: [
      { name: "resident bytes per room", of: (run) => run.residentBytesEach },
      { name: "heap bytes per room", of: (run) => run.heapBytesEach },
    ],
    note:
      "Growth after a garbage collection by joining the rooms, their names and the memberships included. " +
      "Connections and homes exist before.",
  },
  {
    name: "admin",
    what: "a page of a list of the admin, with 10,000 connections, 9,000 users and 100,000 rooms",
    inside: "admin.mjs",
    alone: true,
    load: { rooms: 100_000, roomsEach: 100, clients: 10_000, rounds: 21 },
    quick: { rooms: 10_000, clients: 1_000, rounds: 3 },
    figures: [
      { name: "ms for connections", of: (run) => run.connectionsMs },
      { name: "ms for a search of connections", of: (run) => run.searchMs },
      { name: "ms for users", of: (run) => run.usersMs },
      { name: "ms for rooms", of: (run) => run.roomsMs },
      { name: "ms for a search of rooms", of: (run) => run.roomSearchMs },
      { name: "ms for the top of their tree", of: (run) => run.topMs },
    ],
    note: "50 entries over HTTP, in one process with the client. Each figure is a median, and should be below 100.",
  },
  {
    name: "tree",
    what: "one send to the 10 rooms of /org/7/** among 100,000 rooms; compared with an app that has no others",
    inside: "tree.mjs",
    alone: true,
    load: { rooms: 100_000, roomsEach: 100 },
    base: { name: "alone" },
    figures: [{ name: "µs per send", of: (run) => run.sendUs, against: "base", atMost: { most: 1.3, aim: 1.3 } }],
    note: "Only the calls of sendJSONToRoom are timed, in one process with both apps. The result is the median.",
  },
  {
    name: "event-stream",
    what: "100 messages of 64 bytes in one tick to 1,000 event streams of a room; compared with better-sse",
    inside: "eventStream.mjs",
    alone: true,
    load: { clients: 1000, burst: 100, bytes: 64 },
    base: { name: "better-sse" },
    quick: { clients: 200 },
    figures: [
      { ...deliveries, against: "base", atLeast: { least: 2, aim: 5 } },
      { ...cpuOverBase, name: "CPU µs/delivery" },
    ],
    note: "Both servers in one process, one after the other; the next burst when all clients have this one.",
  },
  {
    name: "stream-items",
    what: "values of a streamed reply, 64 bytes each; compared with a handler that sends the same values itself",
    inside: "streamItems.mjs",
    alone: true,
    load: { count: 20_000, bytes: 64 },
    base: { name: "sends" },
    figures: [
      { name: "items/s", of: (run) => run.perSecond, against: "base", atLeast: { least: 0.7, aim: 0.8 } },
      { ...cpuOverBase, name: "CPU µs/item" },
    ],
    note:
      "One client of enfilade.v1, which acknowledges every 512 items of a window of 1,024. The handler that sends reads " +
      "the same generator, and waits whenever the socket holds 64 KiB.",
  },
  {
    name: "shared-rooms",
    what: "10,000 connections, in 1,000 rooms of 10, over 100 sockets of enfilade.v1.rooms; compared with 10,000 sockets",
    inside: "sharedRooms.mjs",
    alone: true,
    load: { rooms: 1000, members: 10, roomsEach: 100, bytes: 64 },
    base: { name: "one each" },
    quick: { rooms: 100, roomsEach: 10 },
    figures: [
      {
        name: "bytes per connection, the kernel's included",
        of: (run) => run.allBytesEach,
        against: "base",
        atMost: { most: 0.33, aim: 0.33 },
      },
      {
        name: "resident bytes per connection",
        of: (run) => run.residentBytesEach,
        against: "base",
        atMost: { most: 0.6, aim: 0.33 },
      },
      { name: "heap bytes per connection", of: (run) => run.heapBytesEach, against: "base" },
      { ...deliveries, against: "base", atLeast: { least: 0.9, aim: 1 } },
      cpuOverBase,
    ],
    note:
      "A message to each room, the next when all members have it. Memory as in idle, before the first message. " +
      "The base are clients of enfilade.v1.",
  },
  recoveryWorkload("recovery", 1000),
  recoveryWorkload("recovery-10000", 10_000),
  ...["redis", "nats"].flatMap((engine) => [engineWorkload(engine, 0), engineWorkload(engine, 1)]),
  {
    ...engineWorkload("redis", 0),
    name: "redis-3",
    what: "as redis, with three nodes that each publish and receive all; compared with three bare subscribers",
    load: { engine: "redis", kept: 0, nodes: 3, width: 1000, bytes: 64 },
  },
  {
    name: "stalled",
    what:
      "4 KiB to a room of 1,000, 50 times a second, while one member does not read; compared with no " +
      "stalled member",
    serve: "room",
    load: { ...fanout, bytes: 4096, rate: 50, stall: 1, measureMs: 8000 },
    base: { name: "without", load: { stall: 0 } },
    quick: { members: 300, measureMs: 800 },
    figures: [
      { name: "p99 µs of the others", of: (run) => run.p99Us, against: "base", atMost: { most: 1.2, aim: 1.2 } },
    ],
    note:
      "Latency of each arrival, from when the message was due. The stalled member has a segment size of " +
      "1,400 and a small window, so that the server has to buffer. At the end it reads again and must get " +
      "everything in order or have been closed.",
  },
  {
    name: "mixed",
    what: "20 rooms of 50, 4 senders each with 4 in flight; a private reply, a message to the room, another reply",
    serve: "mixed",
    load: { rooms: 20, members: 50, drivers: 4, flight: 4, bytes: 64 },
    figures: [deliveries, cpu],
    note: "Checked: the sender gets the three in this order, and all members get the room's messages in one order.",
  },
];
