/**
 * What is measured: one entry each, with what the server does, what the generator does, and which figures are looked at.
 *
 * @typedef {Partial<Record<"rooms" | "members" | "flight" | "random" | "bytes" | "burst" | "json" | "drivers" | "rate" | "stall" | "idle" | "measureMs" | "roomsEach" | "v1" | "clients" | "missed" | "everyMs" | "kept" | "nodes" | "width", number> & Record<"prefix" | "suffix" | "engine", string>>} Load
 *   Settings of the generator, see `want` in generator.c, or of the program `inside`.
 *
 * @typedef {object} Figure
 * @property {string} name
 * @property {(run: import("./measure.mjs").Run) => number} of
 * @property {"ws" | "base"} [against] What it is a ratio to: naive ws in this work, or the same peer under `base`.
 * @property {{ least: number, aim: number }} [atLeast] For Enfilade.
 * @property {{ most: number, aim: number }} [atMost] For Enfilade.
 *
 * @typedef {object} Work
 * @property {string} name
 * @property {string} what
 * @property {import("./peers/contract.mjs").Serve} [serve]
 * @property {string} [inside] In place of server and generator: a program in inside/ that measures in its own process, `base` too.
 * @property {boolean} [alone] Only Enfilade takes part: it is compared with itself, or with nothing.
 * @property {Load} load
 * @property {Load} [quick] What changes with --quick.
 * @property {{ name: string, serve?: import("./peers/contract.mjs").Serve, load?: Load }} [base] What changes in the run that this one is compared with, for every peer.
 * @property {boolean} [deflate]
 * @property {Figure[]} figures
 * @property {string} [note]
 */
const deliveries = { name: "deliveries/s", of: (run) => run.perSecond, against: "ws" };
const cpu = { name: "CPU µs/delivery", of: (run) => run.cpuUs, against: "ws" };
const cpuOverBase = { ...cpu, against: "base" };

/** @param {number} least @param {number} aim @returns {Figure[]} */
const throughput = (least, aim) => [{ ...deliveries, atLeast: { least, aim } }, cpu];

const fanout = { rooms: 1, members: 1000, flight: 1, bytes: 64 };
const echo = { rooms: 100, members: 1, flight: 1, bytes: 64 };

/**
 * Publications through a backplane, beside the client of its engine alone.
 *
 * @param {"redis" | "nats"} engine @param {0 | 1} kept @returns {Work}
 */
function engineWork(engine, kept) {
  return {
    name: kept ? `${engine}-history` : engine,
    what: `values of 64 bytes published and received through ${engine}, 1,000 under way${kept ? ", with history" : ""}; and bare`,
    inside: "engine.mjs",
    alone: true,
    load: { engine, kept, width: 1000, bytes: 64 },
    base: { name: "bare" },
    figures: [
      {
        ...{ name: "received/s", of: (run) => run.perSecond },
        ...{ against: "base", atLeast: { least: 0.6, aim: 0.9 } },
      },
    ],
    note: "One process that publishes and hears, turn by turn with the bare client, which writes and reads the same JSON; the engine on the other core.",
  };
}

/** @type {Work[]} */
export const works = [
  {
    name: "fanout-1",
    what: "64 bytes to a room of 1,000; the next one when all have it",
    serve: "room",
    load: fanout,
    figures: throughput(1.05, 1.25),
  },
  {
    name: "fanout-16",
    what: "64 bytes to a room of 1,000, 16 messages in flight",
    serve: "room",
    load: { ...fanout, flight: 16 },
    quick: { members: 300 },
    figures: throughput(7, 9.5),
  },
  {
    name: "burst-100",
    what: "one trigger makes the server send 100 messages of 64 bytes to a room of 1,000 in one tick",
    serve: "burst",
    load: { ...fanout, burst: 100 },
    quick: { members: 200 },
    figures: throughput(70, 110),
  },
  {
    name: "fanout-100m",
    what: "as fanout-1 with 100 members, and with 1,000",
    serve: "room",
    load: { ...fanout, members: 100 },
    base: { name: "1,000", load: fanout },
    figures: [deliveries, cpuOverBase],
  },
  {
    name: "fanout-10000m",
    what: "as fanout-1 with 10,000 members, and with 1,000",
    serve: "room",
    load: { ...fanout, members: 10_000 },
    base: { name: "1,000", load: fanout },
    quick: { members: 3000 },
    figures: [deliveries, { ...cpuOverBase, atMost: { most: 1.8, aim: 1.5 } }],
  },
  {
    name: "history",
    what: "as fanout-16, with the last 100 messages of the room kept; and without",
    serve: "history",
    alone: true,
    load: { ...fanout, flight: 16 },
    base: { name: "without", serve: "room" },
    quick: { members: 300 },
    figures: [{ ...deliveries, against: "base", atLeast: { least: 0.85, aim: 0.85 } }, cpuOverBase],
  },
  {
    name: "v1",
    what: "as fanout-16, with clients of enfilade.v1; and with plain ones",
    serve: "room",
    alone: true,
    load: { ...fanout, flight: 16, v1: 1, prefix: '{"type":"message","data":', suffix: "}" },
    base: { name: "plain", load: { v1: 0, prefix: "", suffix: "" } },
    quick: { members: 300 },
    figures: [{ ...deliveries, against: "base", atLeast: { least: 0.9, aim: 0.9 } }, cpuOverBase],
    note: "The 64 bytes are the data of a message, whose frame takes 26 more, both ways.",
  },
  {
    name: "rooms-10",
    what: "1,000 rooms of 10; a random member of a random room sends 64 bytes to its room, 16 in flight over all",
    serve: "room",
    load: { rooms: 1000, members: 10, flight: 16, random: 1, bytes: 64 },
    quick: { rooms: 300 },
    figures: throughput(1.0, 1.1),
    note: "A room has at most one message in flight: what two members send at once has no order to be checked.",
  },
  {
    name: "echo-1",
    what: "100 clients, each gets its 64 bytes back, one in flight each",
    serve: "echo",
    load: echo,
    figures: throughput(1.0, 1.2),
  },
  {
    name: "echo-16",
    what: "100 clients, each gets its 64 bytes back, 16 in flight each",
    serve: "echo",
    load: { ...echo, flight: 16 },
    figures: throughput(4.5, 6.5),
  },
  {
    name: "echo-json-16",
    what: "as echo-16, parsed and stringified on the way",
    serve: "echoJSON",
    load: { ...echo, flight: 16 },
    figures: throughput(2, 3),
  },
  {
    name: "events",
    what: "as echo-json-16, as events through an EventHandler; and the same frames through plain onJSON",
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
    what: "16 KiB to a room of 500; the next one when all have it",
    serve: "room",
    load: { rooms: 1, members: 500, flight: 1, bytes: 16_384 },
    figures: throughput(1.15, 1.35),
  },
  {
    name: "large-deflate",
    what: "16 KiB of JSON records to a room of 500, permessage-deflate",
    serve: "room",
    load: { rooms: 1, members: 500, flight: 1, bytes: 16_384, json: 1 },
    quick: { members: 100 },
    deflate: true,
    figures: throughput(45, 65),
    note: "Enfilade with `compression: true`, the others with a threshold of 1 KiB and default parameters, and ws also with serverNoContextTakeover. Compressed frames are counted, not inflated.",
  },
  {
    name: "idle",
    what: "10,000 connections in 1,000 rooms that do nothing",
    serve: "room",
    load: { rooms: 1000, members: 10, idle: 1 },
    quick: { rooms: 300 },
    figures: [
      { name: "KiB per connection", of: (run) => run.kibEach, against: "ws", atMost: { most: 1.3, aim: 1.0 } },
      { name: "connections/s", of: (run) => run.connectsPerSecond, against: "ws", atLeast: { least: 0.85, aim: 1.0 } },
    ],
    note: "Resident memory of the server process after a collection; what the kernel holds for the sockets is not in it.",
  },
  {
    name: "rooms-100000",
    what: "100,000 rooms of one member: 1,000 connections in memory, each in its home and in 99 that it joins",
    inside: "rooms.mjs",
    alone: true,
    load: { rooms: 100_000, roomsEach: 100 },
    figures: [
      { name: "resident bytes per room", of: (run) => run.residentBytesEach },
      { name: "heap bytes per room", of: (run) => run.heapBytesEach },
    ],
    note: "Growth after a collection while the rooms are joined, their names and the memberships included; connections and homes are there before.",
  },
  {
    name: "tree",
    what: "a send to the 10 rooms of /org/7/**, a member in each, among 100,000 rooms; and where there are no others",
    inside: "tree.mjs",
    alone: true,
    load: { rooms: 100_000, roomsEach: 100 },
    base: { name: "alone" },
    figures: [{ name: "µs per send", of: (run) => run.sendUs, against: "base", atMost: { most: 1.3, aim: 1.3 } }],
    note: "The call of sendJSONToRoom alone, in one process with both apps, turn by turn; the median of the turns.",
  },
  {
    name: "recovery",
    what: "1,000 clients of enfilade.v1 resume at once, each missing 1,000 publications of 64 bytes; and nobody does",
    inside: "recovery.mjs",
    alone: true,
    load: { clients: 1000, missed: 1000, bytes: 64, everyMs: 5 },
    base: { name: "without" },
    quick: { clients: 100 },
    figures: [
      { name: "seconds for all", of: (run) => run.recoverySeconds },
      { name: "peak MiB", of: (run) => run.peakMiB },
      { name: "p50 ms of another room", of: (run) => run.delayP50Ms, against: "base" },
      { name: "p99 ms of another room", of: (run) => run.delayP99Ms, against: "base" },
    ],
    note: "Their sockets are there before; the time is from when all ask for the upgrade until the last one has all. The peak is of resident memory, above that without them. The other room has one plain member, who is sent a message every 5 ms: its delay is from when it was due.",
  },
  ...["redis", "nats"].flatMap((engine) => [engineWork(engine, 0), engineWork(engine, 1)]),
  {
    ...engineWork("redis", 0),
    name: "redis-3",
    what: "as redis, among three nodes, of which each publishes and each hears all; and bare, with three that hear",
    load: { engine: "redis", kept: 0, nodes: 3, width: 1000, bytes: 64 },
  },
  {
    name: "stalled",
    what: "4 KiB, 50 times a second, to a room of 1,000 of whom one does not read; and of whom all read",
    serve: "room",
    load: { ...fanout, bytes: 4096, rate: 50, stall: 1, measureMs: 8000 },
    base: { name: "without", load: { stall: 0 } },
    quick: { members: 300, measureMs: 800 },
    figures: [
      { name: "p99 µs of the others", of: (run) => run.p99Us, against: "base", atMost: { most: 1.2, aim: 1.2 } },
    ],
    note: "Latency from when a message was due to each of its arrivals. The one that stalls has a segment size of 1,400 and a small window, so that the server has to buffer; at the end it reads again, and either all comes in order, or it is closed.",
  },
  {
    name: "mixed",
    what: "20 rooms of 50, 4 senders each with 4 in flight: a private reply, the message to the room, another private reply",
    serve: "mixed",
    load: { rooms: 20, members: 50, drivers: 4, flight: 4, bytes: 64 },
    figures: [deliveries, cpu],
    note: "Checked: the three come to the sender in a row, and the room's messages to all members in one order.",
  },
];
