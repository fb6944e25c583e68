import { Redis } from "ioredis";
import type { Dice } from "../../../test/support/dice.js";
import { openEngine } from "../../../test/support/engines.js";
import { missing } from "../../../test/support/parts.js";
import { RawSocket } from "../../clients/rawSocket.js";
import type { Row } from "../../scene.js";

const room = "/chat/poison";
/** Channels of a room, of trees of rooms, of a presence, and of the heartbeats of nodes. */
const channels = [room, "trees", "nodes", "presence:/present/poison"];
const nameOf = (channel: string) => `enfilade:{${channel}}`;
const batch = 500;
const kinds = ["frame", "", "TEXT", "__proto__", "constructor", 1, null, {}, []];
const wrongVersions = [undefined, null, 0, 3, "1", "2", [1], 1.5, { v: 1 }, -1, 1e300];

/** A message that no version understands: of the room's form or of a signal's, changed so that it cannot be valid. */
function malformed(dice: Dice): Buffer {
  const v = dice.of(wrongVersions);
  const header = JSON.stringify({ v: 1, k: "text", x: ["a"], p: { kind: "latest", key: "k" } });
  switch (dice.from(0, 7)) {
    case 0:
      return Buffer.from(`${JSON.stringify({ v, k: "text" })}\npoison`);
    case 1:
      return Buffer.from(`${JSON.stringify({ v: 1, k: dice.of(kinds) })}\npoison`);
    case 2:
      // The line has no end.
      return Buffer.from(`${header.slice(0, dice.from(0, header.length))}poison`);
    case 3:
      return Buffer.from(`${header.slice(0, dice.from(0, header.length - 1))}\npoison`);
    case 4:
      return Buffer.from(`${JSON.stringify({ v, t: "heartbeat", id: "poison", counts: {} })}`);
    case 5:
      return Buffer.from(Array.from({ length: dice.from(0, 60) }, () => dice.from(128, 256)));
    default:
      return Buffer.from(`${JSON.stringify({ v: 1, k: "json", x: dice.of([1, {}, [1], "all"]) })}\n"poison"`);
  }
}

export const poison: Row = {
  number: 17,
  title: "mutated messages on engine channels",
  expected: "0 delivered, 0 crashes, all counted",
  seconds: 120,
  async run(scene) {
    if (missing("redis", "row 17")) {
      scene.skip("redis", "redis-server is not installed");
      return;
    }
    const { engine, remove } = await openEngine("redis");
    scene.finally(remove);
    const server = await scene.start({ engine: engine.address });
    await scene.until("the node is ready", 5_000, async () => (await server.status()).ready);
    const client = await RawSocket.open(server.port, room);
    const present = await RawSocket.openV1(server.port, "/present/poison?user=ann");
    const redis = new Redis({ port: engine.port });
    scene.finally(() => redis.disconnect());
    await scene.until("the node is subscribed", 5_000, async () => {
      const numbers = (await redis.pubsub("NUMSUB", ...channels.map(nameOf))) as unknown[];
      return channels.every((_, index) => Number(numbers[2 * index + 1]) > 0);
    });
    const total = scene.pick(100_000, 5_000);
    let received = 0;
    for (let sent = 0; sent < total; sent += batch) {
      const pipeline = redis.pipeline();
      for (let n = 0; n < batch; n += 1) {
        pipeline.publish(nameOf(channels[n % channels.length] ?? room), malformed(scene.dice));
      }
      const answers = (await pipeline.exec()) ?? [];
      received += answers.filter(([error, count]) => error === null && count === 1).length;
    }
    scene.equal("messages that reached the node", received, total);
    // The last one: everything before it has arrived.
    await server.ask({ do: "publish", path: room, text: "genuine" });
    scene.equal("the first message that is delivered", await client.nextText(), "genuine");
    const { backplane } = await server.status();
    const counted = "malformed" in backplane ? backplane.malformed : JSON.stringify(backplane);
    scene.equal("messages that are counted as malformed", counted, total);
    scene.equal("presence", (await server.room("/present/poison")).users, ["ann"]);
    const { errorCount } = await server.log();
    scene.atMost("errors of the app", errorCount, 1);
    scene.equal("connections that were closed", [client.isEnded, present.isEnded], [false, false]);
    scene.equal("new names on Object.prototype", (await server.measure()).pollution, []);
  },
};
