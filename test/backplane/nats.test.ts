import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { ClusterBackplane, type EngineEvents, type EngineRoom } from "../../src/backplane/index.js";
import { App, type Position } from "../../src/index.js";
import { NatsEngine } from "../../src/nats/engine.js";
import { connect } from "../../src/testing/index.js";
import { defaultPathLimits, roomName as nameOf } from "../../src/wire/path.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { nodeOf, startCluster, until } from "./cluster.js";
import { Talker } from "./talker.js";

async function managerOf(url: string) {
  const connection = await connectNats({ servers: url });
  onTestFinished(() => connection.close());
  return jetstreamManager(connection);
}

const roomName = (path: string) => nameOf(path, defaultPathLimits);
const streamOf = (path: string) => `enfilade-room-${Buffer.from(path).toString("base64url")}`;

const terms = { prefix: "enfilade", durable: false, storage: "memory", replicas: 1 } as const;

/** The engine of one node. */
async function startNats(url: string, now = Date.now): Promise<NatsEngine> {
  const nats = new NatsEngine({ ...terms, connect: () => connectNats({ servers: url }), now });
  await new Promise<void>((onUp) => {
    const ignore = () => undefined;
    nats.start({ onUp, onDown: ignore, onMessage: ignore, onMalformed: ignore, onError: ignore });
  });
  onTestFinished(() => nats.stop());
  return nats;
}

describe.skipIf(missing("nats", "what is particular to NATS"))("the backplane over NATS", () => {
  it("keeps a room in a stream with its limits, and leaves no consumer behind", async () => {
    const cluster = await startCluster("nats", 1, { historySize: 3 });
    const manager = await managerOf(cluster.engine?.url ?? "");
    const room = nodeOf(cluster, 0).app.registry.room("/kept/a");
    for (const n of [1, 2, 3, 4, 5]) await room.publish(n);
    for (let n = 0; n < 10; n += 1) expect((await room.history()).map(({ data }) => data)).toEqual([3, 4, 5]);
    const { config, state } = await manager.streams.info(streamOf("/kept/a"));
    expect(config).toMatchObject({ max_msgs: 3, max_age: 3_600_000_000_000 });
    expect(state).toMatchObject({ messages: 3, last_seq: 5 });
    while ((await manager.streams.info(streamOf("/kept/a"))).state.consumer_count > 0) expect(state.messages).toBe(3);
  });

  it("takes over a stream that an earlier version created with other limits, and continues its numbering", async () => {
    const engine = await startEngine("nats");
    const appOf = (size: number) => {
      const app = new App({ backplane: engine.backplane() }).route("/kept/:name", Talker, { history: { size } });
      onTestFinished(() => app.close());
      return app;
    };
    const first = await appOf(5).registry.room("/kept/a").publish(1);
    const newer = appOf(2);
    expect(await newer.registry.room("/kept/a").publish(2)).toEqual({ epoch: first?.epoch, offset: 2 });
    await newer.registry.room("/kept/a").publish(3);
    expect((await newer.registry.room("/kept/a").history()).map(({ data }) => data)).toEqual([2, 3]);
    const { config } = await (await managerOf(engine.url)).streams.info(streamOf("/kept/a"));
    expect(config.max_msgs).toBe(2);
  });

  it("needs no JetStream for rooms without history, and refuses rooms with history", async () => {
    const engine = await startEngine("nats", { jetstream: false });
    const app = new App({ backplane: engine.backplane() })
      .route("/plain/:name", Talker)
      .route("/kept/:name", Talker, { history: { size: 5 } });
    onTestFinished(() => app.close());
    const one = await connect(app, "/plain/a");
    one.sendJSON("without");
    expect([await one.readJSON(), await one.readJSON()]).toEqual(["hello", "without"]);
    await expect(app.registry.room("/kept/a").publish(1)).rejects.toMatchObject({ code: "ERR_BACKPLANE" });
    expect(app.status().ready).toBe(true);
  });

  it("deletes streams without messages if no node had the room open for an hour", async () => {
    const engine = await startEngine("nats");
    const manager = await managerOf(engine.url);
    let later = Date.now();
    const nats = await startNats(engine.url, () => later);
    const history = { size: 5, bytesMax: 1_000, ageMsMax: 100 };
    await nats.append({ path: roomName("/empty"), history }, [Buffer.from("x")]);
    while ((await manager.streams.info(streamOf("/empty"))).state.messages > 0) expect(later).toBeGreaterThan(0);
    await nats.append({ path: roomName("/full"), history: { ...history, ageMsMax: Number.POSITIVE_INFINITY } }, [
      Buffer.from("x"),
    ]);
    const names = async () => (await manager.streams.names("enfilade.log.>").next()).sort();
    await nats.tidy();
    expect(await names()).toEqual([streamOf("/empty"), streamOf("/full")].sort());
    later += 3_700_000;
    // A node has the room open and uses it now and then.
    await nats.top({ path: roomName("/empty"), history });
    await nats.tidy();
    expect(await names()).toEqual([streamOf("/empty"), streamOf("/full")].sort());
    later += 3_700_000;
    await nats.tidy();
    expect(await names()).toEqual([streamOf("/full")]);
  });

  it("creates a stream once if several nodes publish to a new room at the same time", async () => {
    const engine = await startEngine("nats");
    const nodes = await Promise.all([1, 2, 3].map(() => startNats(engine.url)));
    const history = { size: 5, bytesMax: 1_000, ageMsMax: 60_000 };
    const rooms = Array.from({ length: 20 }, (_, n) => ({ path: roomName(`/room-${n}`), history }));
    const spy = await connectNats({ servers: engine.url });
    onTestFinished(() => spy.close());
    const created: string[] = [];
    spy.subscribe("$JS.API.STREAM.CREATE.*", { callback: (_error, { subject }) => void created.push(subject) });
    await spy.flush();
    for (const room of rooms) {
      const positions = await Promise.all(nodes.map((node) => node.append(room, [Buffer.from("x")])));
      expect(positions.map(({ offset }) => offset).sort()).toEqual([1, 2, 3]);
      expect(new Set(positions.map(({ epoch }) => epoch)).size).toBe(1);
    }
    await spy.flush();
    const ofRooms = created.filter((subject) => subject.includes("-room-"));
    expect(ofRooms).toEqual(rooms.map(({ path }) => `$JS.API.STREAM.CREATE.${streamOf(path)}`));
  });

  it("takes over a lock that a node took before the server crashed, and does not wait until it ends", async () => {
    const engine = await startEngine("nats");
    const node = await startNats(engine.url);
    const history = { size: 5, bytesMax: 1_000, ageMsMax: 60_000 };
    await node.append({ path: roomName("/first"), history }, [Buffer.from("x")]);
    const spy = await connectNats({ servers: engine.url });
    onTestFinished(() => spy.close());
    const lock = `enfilade.locks.${Buffer.from("/second").toString("base64url")}`;
    await jetstream(spy).publish(lock, "an earlier run of the server");
    const attempts: string[] = [];
    spy.subscribe(lock, { callback: (_error, { subject }) => void attempts.push(subject) });
    await spy.flush();
    const { offset } = await node.append({ path: roomName("/second"), history }, [Buffer.from("x")]);
    await spy.flush();
    expect(offset).toBe(1);
    expect(attempts).toHaveLength(2);
  });

  it("changes a stream once if several nodes notice at the same time that its numbers come again", async () => {
    const engine = await startEngine("nats");
    const nodes = await Promise.all([1, 2, 3].map(() => startNats(engine.url)));
    const [node] = nodes;
    const history = { size: 5, bytesMax: 1_000, ageMsMax: 60_000 };
    const rooms = Array.from({ length: 20 }, (_, n) => ({ path: roomName(`/room-${n}`), history }));
    const append = () => Promise.all(rooms.map((room) => node?.append(room, [Buffer.from("x")])));
    const before = await append();
    const spy = await connectNats({ servers: engine.url });
    onTestFinished(() => spy.close());
    const changed: string[] = [];
    spy.subscribe("$JS.API.STREAM.UPDATE.>", { callback: (_error, { subject }) => void changed.push(subject) });
    await spy.flush();
    const all = nodes.flatMap((one) =>
      rooms.map((room, n) => one.renumber(room, before[n] ?? { epoch: "", offset: 1 })),
    );
    await Promise.all(all);
    await spy.flush();
    expect(changed.sort()).toEqual(rooms.map(({ path }) => `$JS.API.STREAM.UPDATE.${streamOf(path)}`).sort());
    const after = await append();
    expect(after.map((position) => position?.offset)).toEqual(rooms.map(() => 2));
    for (const [n, position] of after.entries()) expect(position?.epoch).not.toBe(before[n]?.epoch);
    // A server that subscribes twice to a subject stores each message twice.
    const tops = await Promise.all(rooms.map((room) => node?.top(room)));
    expect(tops.map((answer) => answer?.top)).toEqual(after);
  });

  it("keeps the new numbering if another node notes a loss in the one before at the same time", async () => {
    const engine = await startEngine("nats");
    const [one, other] = [await startNats(engine.url), await startNats(engine.url)];
    const history = { size: 5, bytesMax: 1_000, ageMsMax: 60_000 };
    const rooms = Array.from({ length: 20 }, (_, n) => ({ path: roomName(`/room-${n}`), history }));
    await Promise.all(
      rooms.map(async (room, n) => {
        const first = await one.append(room, [Buffer.from("x")]);
        await Promise.all([one.renumber(room, first), other.confirmLost(room, first.epoch, n)]);
        const { top, epochs } = await one.top(room);
        expect(top.epoch).not.toBe(first.epoch);
        expect(epochs.map(({ epoch, lost }) => [epoch, lost])).toEqual([
          [first.epoch, n],
          [top.epoch, undefined],
        ]);
      }),
    );
  });

  it("begins a new epoch before a node that has seen more than the server has publishes or reads", async () => {
    const engine = await startEngine("nats");
    const [one, other] = [await startNats(engine.url), await startNats(engine.url)];
    const history = { size: 5, bytesMax: 1_000, ageMsMax: 60_000 };
    const rooms = [roomName("/a"), roomName("/b")].map((path) => ({ path, history }));
    const calls = [
      (room: EngineRoom) => other.append(room, [Buffer.from("y")]),
      (room: EngineRoom, since: Position) => other.read(room, { since, limit: 5 }),
    ];
    for (const [n, room] of rooms.entries()) {
      const { epoch } = await one.append(room, [Buffer.from("x")]);
      const seen = { epoch, offset: 3 };
      const answer = await calls[n]?.({ ...room, seen }, seen);
      const { top, epochs } = await one.top(room);
      expect(epochs.map(({ base }) => base)).toEqual([0, 1]);
      expect(answer).toMatchObject(n === 0 ? { epoch: top.epoch, offset: 2 } : { top, entries: [] });
    }
  });

  it("gets what the node has seen with each publication, reading and comparison of an open room", async () => {
    const engine = await startEngine("nats");
    const seen: (readonly [string, Position | undefined])[] = [];
    const sent: Uint8Array[] = [];
    let deliver: EngineEvents["onMessage"] | undefined;
    class Recorder extends NatsEngine {
      override start(events: EngineEvents) {
        deliver = (...args) => events.onMessage(...args);
        super.start(events);
      }
      override renumber(...args: Parameters<NatsEngine["renumber"]>) {
        seen.push(["renumber", args[0].seen]);
        return super.renumber(...args);
      }
      override append(...args: Parameters<NatsEngine["append"]>) {
        seen.push(["append", args[0].seen]);
        sent.push(...args[1]);
        return super.append(...args);
      }
      override read(...args: Parameters<NatsEngine["read"]>) {
        seen.push(["read", args[0].seen]);
        return super.read(...args);
      }
      override top(...args: Parameters<NatsEngine["top"]>) {
        seen.push(["top", args[0].seen]);
        return super.top(...args);
      }
    }
    const recorder = new Recorder({ ...terms, connect: () => connectNats({ servers: engine.url }) });
    const app = new App({ backplane: new ClusterBackplane(recorder), limits: { roomCheckMs: 100 } });
    app.route("/kept/:name", Talker, { history: { size: 5 } });
    onTestFinished(() => app.close());
    const client = await connect(app, "/kept/a");
    await client.readJSON();
    const room = app.registry.room("/kept/a");
    const first = await room.publish(1);
    const second = await room.publish(2);
    expect([await client.readJSON(), await client.readJSON()]).toEqual([1, 2]);
    await room.history();
    await until(() => seen.some(([call, position]) => call === "top" && position?.offset === 2));
    expect(seen.filter(([call]) => call === "append").at(-1)).toEqual(["append", first]);
    expect(seen.filter(([call]) => call === "read").at(-1)).toEqual(["read", second]);
    // A number that comes again begins an epoch before it, and not where the server ends.
    deliver?.("/kept/a", sent[0] ?? new Uint8Array(), first);
    await until(() => seen.some(([call]) => call === "renumber"));
    expect(seen.find(([call]) => call === "renumber")).toEqual(["renumber", undefined]);
  });
});
