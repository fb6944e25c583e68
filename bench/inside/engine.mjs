// Values published from this process to itself, alternately through Enfilade and through the bare client of the engine.
import { performance } from "node:perf_hooks";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { App } from "../../dist/index.js";
import { nats } from "../../dist/nats/index.js";
import { redis } from "../../dist/redis/index.js";
import { check, finish, QuietHandler, settings } from "./contract.mjs";
import { startEngine } from "./engines.mjs";

const { engine: name, kept, nodes = 1, width, bytes, warmMs, measureMs, generatorCore } = settings;
const size = 100;
const turnMs = 250;
const engine = await startEngine(name, generatorCore);
const body = { t: "x".repeat(bytes - 8) };
let received = 0;

/** An engine carries bytes, so the bare client has to encode its values too. */
const encode = () => Buffer.from(JSON.stringify(body));

function receive(text) {
  check(JSON.parse(text).t.length, body.t.length, "bytes");
  received += 1;
}

/** Each returns a function that publishes once. Arrivals are counted in `received`. Index 1 is with history. */
const bareClients = { redis: [bareRedis, bareRedisHistory], nats: [bareNats, bareNatsHistory] };

async function enfiladeNodes() {
  const publishers = [];
  for (let n = 0; n < nodes; n++) publishers.push(await startNode());
  let turn = 0;
  return () => publishers[turn++ % nodes]();
}

async function startNode() {
  const backplane = name === "redis" ? redis(engine.url) : nats(engine.url, { storage: "memory" });
  const app = new App({ backplane, limits: { subscriberMessagesMax: 1_000_000 } });
  app.route("/room", QuietHandler, kept ? { history: { size } } : {});
  app.on("error", (error) => {
    throw error;
  });
  const room = app.registry.room("/room");
  await room.publish(body);
  countReceived(room.subscribe());
  await room.publish(body);
  return () => room.publish(body);
}

async function countReceived(subscription) {
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

/** History takes at least two commands, which run at the same time. */
async function bareRedisHistory() {
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

/** JetStream keeps the messages, and an ordered consumer reads them. */
async function bareNatsHistory() {
  const connection = await connectNats({ servers: engine.url });
  const manager = await jetstreamManager(connection);
  // More than `size`, because a slow consumer must not lose messages in flight.
  await manager.streams.add({ name: "kept", subjects: ["kept"], max_msgs: 100 * width, storage: "memory" });
  const streams = jetstream(connection);
  const consumer = await streams.consumers.get("kept", { deliver_policy: "new" });
  await consumer.consume({
    callback: (message) => receive(message.string()),
  });
  return () => streams.publish("kept", encode());
}

/** Publishes for `ms`, `width` publications in flight, and waits until all have arrived. */
async function runTurn(publish, ms) {
  received = 0;
  let sent = 0;
  const begun = performance.now();
  const publishRepeatedly = async () => {
    while (performance.now() - begun < ms) {
      sent += 1;
      await publish();
    }
  };
  await Promise.all(Array.from({ length: width }, publishRepeatedly));
  while (received < sent * nodes) await new Promise((resolve) => setImmediate(resolve));
  check(received, sent * nodes, "publications");
  return { sent: received, ms: performance.now() - begun };
}

const both = [await enfiladeNodes(), await bareClients[name][kept]()];
const sums = both.map(() => ({ sent: 0, ms: 0 }));
for (const publish of both) await runTurn(publish, warmMs);
for (let ms = 0; ms < measureMs; ms += 2 * turnMs) {
  for (const [index, publish] of both.entries()) {
    const { sent, ms: took } = await runTurn(publish, turnMs);
    sums[index].sent += sent;
    sums[index].ms += took;
  }
}
const [load, base] = sums.map(({ sent, ms }) => ({ perSecond: (1000 * sent) / ms }));
finish({ load, base });
