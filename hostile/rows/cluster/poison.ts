import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import type { Dice } from "../../../test/support/dice.js";
import { type EngineName, openEngine } from "../../../test/support/engines.js";
import { command, missing } from "../../../test/support/parts.js";
import { RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

const room = "/chat/poison";
/** Channels of a room, of trees of rooms, of a presence, and of the heartbeats of nodes. */
const channels = [room, "trees", "nodes", "presence:/present/poison"];
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

interface Message {
  readonly channel: string;
  readonly bytes: Buffer;
}

/** A program on the same engine that may publish anything. */
interface ForeignProgram {
  /** Resolves when the engine has passed them on. */
  publish(messages: readonly Message[]): Promise<unknown>;
  close(): unknown;
}

async function openForeign(kind: EngineName, port: number): Promise<ForeignProgram> {
  if (kind === "redis") {
    const redis = new Redis({ port });
    return {
      publish(messages) {
        const pipeline = redis.pipeline();
        for (const { channel, bytes } of messages) pipeline.publish(`enfilade:{${channel}}`, bytes);
        return pipeline.exec();
      },
      close: () => redis.disconnect(),
    };
  }
  const nats = await connect({ port });
  const subjectOf = (channel: string) => `enfilade.${Buffer.from(channel).toString("base64url")}.plain`;
  return {
    publish(messages) {
      for (const { channel, bytes } of messages) nats.publish(subjectOf(channel), bytes);
      return nats.flush();
    },
    close: () => nats.close(),
  };
}

async function malformedCount(server: ServerProcess): Promise<number> {
  const { backplane } = await server.status();
  return "malformed" in backplane ? backplane.malformed : Number.NaN;
}

/** Waits until the node receives what is published on each channel. */
async function subscribed(scene: Scene, server: ServerProcess, foreign: ForeignProgram): Promise<void> {
  for (const channel of channels) {
    const before = await malformedCount(server);
    await scene.until(`the node is subscribed to ${channel}`, 5_000, async () => {
      await foreign.publish([{ channel, bytes: Buffer.from("poison") }]);
      return (await malformedCount(server)) > before;
    });
  }
}

async function poisonEngine(scene: Scene, kind: EngineName, total: number): Promise<void> {
  if (missing(kind, "row 17")) {
    scene.skip(kind, `${command(kind)} is not installed`);
    return;
  }
  const { engine, remove } = await openEngine(kind);
  scene.finally(remove);
  const server = await scene.start({ engine: engine.address });
  await scene.until(`${kind}: the node is ready`, 5_000, async () => (await server.status()).ready);
  const client = await RawSocket.open(server.port, room);
  const present = await RawSocket.openV1(server.port, "/present/poison?user=ann");
  const foreign = await openForeign(kind, engine.port);
  scene.finally(() => foreign.close());
  /** Publishes a message of the app, and waits for it: everything before it has arrived. */
  const passGenuine = async (text: string) => {
    await server.ask({ do: "publish", path: room, text });
    scene.equal(`${kind}: the only message that is delivered`, await client.nextText(), text);
  };
  await subscribed(scene, server, foreign);
  await passGenuine("genuine before");
  const before = await malformedCount(server);
  for (let sent = 0; sent < total; sent += batch) {
    const messages = Array.from({ length: batch }, (_, n) => {
      return { channel: channels[n % channels.length] ?? room, bytes: malformed(scene.dice) };
    });
    await foreign.publish(messages);
  }
  await passGenuine("genuine after");
  scene.equal(`${kind}: messages that are counted as malformed`, (await malformedCount(server)) - before, total);
  scene.equal(`${kind}: presence`, (await server.room("/present/poison")).users, ["ann"]);
  const { errorCount } = await server.log();
  scene.atMost(`${kind}: errors of the app`, errorCount, 1);
  scene.equal(`${kind}: connections that were closed`, [client.isEnded, present.isEnded], [false, false]);
  scene.equal(`${kind}: new names on Object.prototype`, (await server.measure()).pollution, []);
}

export const poison: Row = {
  number: 17,
  title: "mutated messages on engine channels",
  expected: "0 delivered, 0 crashes, all counted",
  seconds: 180,
  async run(scene) {
    const total = scene.pick(100_000, 5_000);
    await Promise.all((["redis", "nats"] as const).map((kind) => poisonEngine(scene, kind, total)));
  },
};
