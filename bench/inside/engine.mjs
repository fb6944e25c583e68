// Values published through an engine, and through its client alone, from one process to itself, turn by turn.
import { performance } from "node:perf_hooks";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { App } from "../../dist/index.js";
import { nats } from "../../dist/nats/index.js";
import { redis } from "../../dist/redis/index.js";
import { check, finish, Quiet, settings } from "./contract.mjs";
import { startEngine } from "./engines.mjs";

const { engine: name, kept, nodes = 1, width, bytes, warmMs, measureMs, generatorCore } = settings;
const size = 100;
const turnMs = 250;
const engine = await startEngine(name, generatorCore);
const body = { t: "x".repeat(bytes - 8) };
let received = 0;

/** What anybody has to do who carries values through an engine that carries bytes. */
const encode = () => Buffer.from(JSON.stringify(body));

function receive(text) {
  check(JSON.parse(text).t.length, body.t.length, "bytes");
  received += 1;
}

/** What publishes once, and counts in `received` what arrives. */
const ways = { redis: [bareRedis, keptRedis], nats: [bareNats, keptNats] };

async function ours() {
  const publishers = [];
  for (let n = 0; n < nodes; n++) publishers.push(await node());
  let turn = 0;
  return () => publishers[turn++ % nodes]();
}

async function node() {
  const backplane = name === "redis" ? redis(engine.url) : nats(engine.url, { storage: "memory" });
  const app = new App({ backplane, limits: { subscriberMessagesMax: 1_000_000 } });
  app.route("/room", Quiet, kept ? { history: { size } } : {});
  app.on("error", (error) => {
    throw error;
  });
  const room = app.registry.room("/room");
  await room.publish(body);
  count(room.subscribe());
  await room.publish(body);
  return () => room.publish(body);
}

async function count(subscription) {
  for await (const { data } of subscription) {
    check(data.t.length, body.t.length, "bytes");
    received += 1;
  }
}

async function bareRedis() {
  const publisher = new Redis(engine.port);
  for (let n = 0; n < nodes; n++) {
    const subscriber = new Redis(engine.port);
    await subscriber.subscribe("bare");
    subscriber.on("message", (_channel, text) => receive(text));
  }
  return () => publisher.publish("bare", encode());
}

/** What keeping takes at least: two commands at once. */
async function keptRedis() {
  const publish = await bareRedis();
  const keeper = new Redis(engine.port);
  return () => Promise.all([keeper.xadd("kept", "MAXLEN", "~", size, "*", "d", encode()), publish()]);
}

async function bareNats() {
  const connection = await connectNats({ servers: engine.url });
  connection.subscribe("bare", {
    callback: (_error, message) => receive(message.string()),
  });
  await connection.flush();
  let flushing;
  return () => {
    connection.publish("bare", encode());
    flushing ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      flushing = undefined;
      return connection.flush();
    });
    return flushing;
  };
}

/** Kept by JetStream, and read by an ordered consumer. */
async function keptNats() {
  const connection = await connectNats({ servers: engine.url });
  const manager = await jetstreamManager(connection);
  // More than `size`: a consumer that is behind must not lose what is under way.
  await manager.streams.add({ name: "kept", subjects: ["kept"], max_msgs: 100 * width, storage: "memory" });
  const streams = jetstream(connection);
  const consumer = await streams.consumers.get("kept", { deliver_policy: "new" });
  await consumer.consume({
    callback: (message) => receive(message.string()),
  });
  return () => streams.publish("kept", encode());
}

/** As many under way as `width`, until the time is over and all have arrived. */
async function turn(publish, ms) {
  received = 0;
  let sent = 0;
  const begun = performance.now();
  const one = async () => {
    while (performance.now() - begun < ms) {
      sent += 1;
      await publish();
    }
  };
  await Promise.all(Array.from({ length: width }, one));
  while (received < sent * nodes) await new Promise((resolve) => setImmediate(resolve));
  check(received, sent * nodes, "publications");
  return { sent: received, ms: performance.now() - begun };
}

const both = [await ours(), await ways[name][kept]()];
const sums = both.map(() => ({ sent: 0, ms: 0 }));
for (const publish of both) await turn(publish, warmMs);
for (let ms = 0; ms < measureMs; ms += 2 * turnMs) {
  for (const [index, publish] of both.entries()) {
    const { sent, ms: took } = await turn(publish, turnMs);
    sums[index].sent += sent;
    sums[index].ms += took;
  }
}
const [load, base] = sums.map(({ sent, ms }) => ({ perSecond: (1000 * sent) / ms }));
finish({ load, base });
