import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type App, latest, skip } from "../../src/index.js";
import { connect, ManualClock } from "../../src/testing/index.js";
import { Mailbox, start } from "../support/app.js";
import { appWith, begin, CountingBackplane, nextTurn, noHeartbeat, upTo } from "../support/catchUp.js";
import { type Frame, SlowClient } from "../support/slowClient.js";

const bytesMax = 1024 * 1024 * 1024;
const padding = "x".repeat(4_000);

const offsetsOf = (frames: readonly Frame[]) => frames.flatMap(({ offset }) => offset ?? []);

/** A socket of `enfilade.v1` or of a plain client, with all its frames or messages. */
async function openSocket(url: string, protocols: string[]) {
  const socket = new WebSocket(url, protocols);
  const frames = new Mailbox<Frame>();
  socket.on("message", (data) => frames.put(JSON.parse(String(data)) as Frame));
  const closed = once(socket, "close").then(([code]) => Number(code));
  await once(socket, "open");
  return { socket, frames, closed };
}

/** Publishes the numbers from `first` to `last`, some each turn of the event loop. */
async function publish(app: App, last: number, first: number): Promise<void> {
  for (let n = first; n <= last; n += 1) {
    app.registry.room("/rooms/a").sendJSON({ n, padding });
    if (n % 50 === 0) await nextTurn();
  }
}

describe("a client that missed many publications", () => {
  it("gets all that is kept, in pages, in order, each once", async () => {
    const backplane = new CountingBackplane();
    const limits = { recoverMessagesMax: 100, ...noHeartbeat };
    const app = appWith({ history: { size: 20_000, bytesMax } }, { backplane, limits });
    const epoch = await begin(app);
    const room = app.registry.room("/rooms/a");
    for (let n = 2; n <= 10_001; n += 1) room.sendJSON(n);
    const { url } = await start(app);
    const { frames } = await openSocket(`${url}/rooms/a?since=${epoch}:1`, ["enfilade.v1"]);
    await frames.have(5_000);
    room.sendJSON("live");
    const [welcome, ...messages] = await frames.have(10_002);
    expect(welcome).toMatchObject({ recovered: true, position: { epoch, offset: 1 } });
    expect(messages.map(({ offset }) => offset)).toEqual(upTo(10_002, 2));
    expect(messages.at(-1)?.data).toBe("live");
    expect(Math.max(...backplane.pages)).toBe(100);
  });

  it("makes no page larger than recoverBytesMax, except for one publication", async () => {
    const backplane = new CountingBackplane();
    const limits = { recoverBytesMax: 10_000, ...noHeartbeat };
    await using app = appWith({ history: { size: 100, bytesMax } }, { backplane, limits });
    const epoch = await begin(app);
    for (let n = 2; n <= 7; n += 1) app.registry.room("/rooms/a").sendText(padding);
    app.registry.room("/rooms/a").sendText(padding.repeat(5));
    const client = await connect(app, `/rooms/a?since=${epoch}:1`, { protocols: ["enfilade.v1"] });
    await client.readJSON();
    for (let n = 2; n <= 8; n += 1) expect(await client.readJSON()).toMatchObject({ offset: n });
    expect(backplane.pages).toEqual([3, 3, 1]);
  });

  it("takes bounded memory, with 200 of them, however slowly they read", async () => {
    const [clients, last, pageMax, highWaterBytes] = [200, 500, 20, 2_000];
    const backplane = new CountingBackplane();
    const limits = { recoverMessagesMax: pageMax, highWaterBytes, ...noHeartbeat };
    await using app = appWith({ history: { size: 1_000 } }, { backplane, limits });
    backplane.app = app;
    const epoch = await begin(app);
    for (let n = 2; n <= last; n += 1) app.registry.room("/rooms/a").sendJSON(n);
    const slow = Array.from({ length: clients }, () => new SlowClient(app, `/rooms/a?since=${epoch}:0`));
    for (const client of slow) await client.frames.have(2);
    // None has read anything: only the page that is being sent to each was read.
    while (slow.some(({ bufferedBytes }) => bufferedBytes < highWaterBytes)) await nextTurn();
    expect(backplane.pages.length).toBeLessThanOrEqual(clients * Math.ceil(highWaterBytes / (pageMax * 30) + 1));
    const isBehind = ({ frames }: SlowClient) => offsetsOf(frames.all).length < last;
    while (slow.some(isBehind)) {
      for (const client of slow) client.read();
      await nextTurn();
    }
    for (const { frames, closes } of slow) {
      expect(offsetsOf(frames.all)).toEqual(upTo(last));
      expect(frames.all.filter(({ type }) => type !== "message")).toMatchObject([{ recovered: true }]);
      expect(closes.all).toEqual([]);
    }
    expect(Math.max(...backplane.pages)).toBe(pageMax);
    expect(Math.max(...slow.map(({ bufferedBytesMax }) => bufferedBytesMax))).toBeLessThan(2 * highWaterBytes);
    expect(backplane.bufferedBytesMax).toBeLessThan(2 * highWaterBytes);
  });

  it("gets messages that are not kept at their place between the publications", async () => {
    const limits = { recoverMessagesMax: 10, highWaterBytes: 100, ...noHeartbeat };
    await using app = appWith({ history: { size: 1_000 } }, { limits });
    const room = app.registry.room("/rooms/a");
    const epoch = await begin(app);
    const client = new SlowClient(app, `/rooms/a?since=${epoch}:0`);
    for (let n = 2; n <= 100; n += 1) room.sendJSON(n);
    room.sendJSON("after 100", { keep: false });
    for (let n = 101; n <= 200; n += 1) room.sendJSON(n);
    room.sendJSON("useless when late", { policy: skip });
    client.readAll();
    const frames = (await client.frames.have(202)).slice(1);
    expect(frames.map(({ data }) => data)).toEqual(["first", ...upTo(100, 2), "after 100", ...upTo(200, 101)]);
  });

  it("of another process begins with what this one keeps", async () => {
    const [before, after] = [appWith({ history: { size: 10 } }), appWith({ history: { size: 10 } })];
    const epoch = await begin(before);
    await before.close();
    for (let n = 1; n <= 5; n += 1) after.registry.room("/rooms/a").sendJSON(n);
    const { url } = await start(after);
    const { frames } = await openSocket(`${url}/rooms/a?since=${epoch}:1`, ["enfilade.v1"]);
    const [welcome, ...messages] = await frames.have(6);
    expect(welcome).toMatchObject({ recovered: false, reason: "epoch", position: { offset: 0 } });
    expect(messages.map(({ offset, data }) => [offset, data])).toEqual(upTo(5).map((n) => [n, n]));
  });
});

describe("a member of a room with history that lags", () => {
  it("gets everything once and in order, is told nothing, and is never closed", async () => {
    const app = appWith({ history: { size: 10_000, bytesMax } }, { limits: noHeartbeat });
    const { url } = await start(app);
    const [count, paused] = [6_000, 3_000];
    for (const protocols of [["enfilade.v1"], []]) {
      await begin(app);
      const before = app.status().totals.behind;
      const { socket, frames } = await openSocket(`${url}/rooms/a`, protocols);
      if (protocols.length > 0) await frames.have(1);
      const reading = await openSocket(`${url}/rooms/a`, []);
      socket.pause();
      await publish(app, paused, 1);
      expect(app.status().totals).toMatchObject({ behind: before + 1, slow: 0 });
      const resting = setInterval(() => (socket.isPaused ? socket.resume() : socket.pause()), 1);
      await publish(app, count, paused + 1);
      const isWelcomed = protocols.length;
      const received = (await frames.have(count + isWelcomed)).slice(isWelcomed);
      clearInterval(resting);
      const numbers = received.map((frame) => (isWelcomed ? frame.data : frame) as { n: number }).map(({ n }) => n);
      expect(numbers).toEqual(upTo(count));
      app.registry.room("/rooms/a").sendJSON("live");
      socket.resume();
      expect((await frames.have(count + isWelcomed + 1)).at(-1)).toMatchObject(isWelcomed ? { data: "live" } : {});
      expect(await reading.frames.have(count + 1)).toHaveLength(count + 1);
      for (const one of [socket, reading.socket]) one.terminate();
    }
    expect(app.status().totals.slow).toBe(0);
  });

  it("reads on after a burst in one turn of the event loop, though its outbox has space for little of it", async () => {
    const limits = { outboxBytesMax: 4_000, highWaterBytes: 1_000, ...noHeartbeat };
    await using app = appWith({ history: { size: 1_000 } }, { limits });
    const client = new SlowClient(app, "/rooms/a");
    await client.frames.have(1);
    let reported = 0;
    const count = () => {
      reported += 1;
    };
    subscribe("enfilade:message:out", count);
    for (let n = 1; n <= 500; n += 1) app.registry.room("/rooms/a").sendJSON(n);
    const [connection] = app.registry.connections;
    expect(connection?.bufferedBytes).toBeLessThan(4_000);
    client.readAll();
    await client.frames.have(501);
    app.registry.room("/rooms/a").sendJSON(501);
    expect(offsetsOf(await client.frames.have(502))).toEqual(upTo(501));
    expect(client.frames.all.filter(({ type }) => type !== "message")).toHaveLength(1);
    unsubscribe("enfilade:message:out", count);
    expect(app.status().totals).toMatchObject({ behind: 1, slow: 0, delivered: 502 });
    expect(reported).toBe(501);
  });

  it("loses messages that no history keeps as their policies allow, and is told how many", async () => {
    const limits = { outboxBytesMax: 4_000, highWaterBytes: 1_000, ...noHeartbeat };
    for (const protocol of ["enfilade.v1", ""]) {
      await using app = appWith({ history: { size: 1_000 } }, { limits });
      const room = app.registry.room("/rooms/a");
      await begin(app);
      const client = new SlowClient(app, "/rooms/a", protocol);
      if (protocol !== "") await client.frames.have(1);
      for (let n = 1; n <= 500; n += 1) room.sendJSON({ n });
      for (const text of ["useless", "when late"]) room.sendJSON(text, { policy: skip });
      for (const text of ["replaced", "newest"]) room.sendJSON(text, { policy: latest("key") });
      for (let n = 501; n <= 600; n += 1) room.sendJSON({ n });
      expect(app.status().totals.behind).toBe(1);
      client.readAll();
      const isV1 = protocol !== "";
      const frames = (await client.frames.have(isV1 ? 603 : 601)).slice(isV1 ? 1 : 0);
      const isLoss = (frame: Frame) => frame.type === "lagged";
      expect(frames.filter(isLoss)).toEqual(isV1 ? [{ type: "lagged", missed: 3 }] : []);
      const contents: unknown[] = frames.filter((frame) => !isLoss(frame)).map((frame) => (isV1 ? frame.data : frame));
      const numbered = (first: number, last: number) => upTo(last, first).map((n) => ({ n }));
      expect(contents).toEqual([...numbered(1, 500), "newest", ...numbered(501, 600)]);
      expect(client.closes.all).toEqual([]);
    }
  });

  it("is told exactly what the history no longer has, and stays", async () => {
    const app = appWith({ history: { size: 50, bytesMax } }, { limits: noHeartbeat });
    const { url } = await start(app);
    await begin(app);
    const { socket, frames } = await openSocket(`${url}/rooms/a`, ["enfilade.v1"]);
    await frames.have(1);
    socket.pause();
    await publish(app, 4_000, 2);
    socket.resume();
    const isComplete = () => frames.all.at(-1)?.offset === 4_000;
    while (!isComplete()) await frames.have(frames.all.length + 1);
    const offsets = offsetsOf(frames.all);
    const gap = offsets.findIndex((offset, index) => offset !== index + 2);
    expect(gap).toBeGreaterThan(0);
    expect(offsets.slice(gap)).toEqual(upTo(4_000, 3_951));
    expect(frames.all.filter(({ type }) => type !== "message")).toHaveLength(1);
    expect(app.status().totals).toMatchObject({ behind: 1, slow: 0 });
  });

  it("is told by a frame if nothing is kept that would show the loss", async () => {
    const clock = new ManualClock();
    const limits = { outboxBytesMax: 4_000, highWaterBytes: 1_000, ...noHeartbeat };
    await using app = appWith({ history: { size: 1_000, seconds: 1 } }, { limits, clock });
    const client = new SlowClient(app, "/rooms/a");
    await client.frames.have(1);
    for (let n = 1; n <= 500; n += 1) app.registry.room("/rooms/a").sendJSON(n);
    clock.advance(2_000);
    client.readAll();
    while (client.frames.all.at(-1)?.type !== "lagged") await client.frames.have(client.frames.all.length + 1);
    const last = offsetsOf(client.frames.all).at(-1) ?? 0;
    expect(client.frames.all.at(-1)).toMatchObject({ missed: 500 - last, position: { offset: 500 } });
    app.registry.room("/rooms/a").sendJSON("live");
    while (client.frames.all.at(-1)?.offset !== 501) await client.frames.have(client.frames.all.length + 1);
  });

  it("is closed if it reads nothing for outboxAgeMsMax", async () => {
    const clock = new ManualClock();
    const limits = { outboxBytesMax: 4_000, highWaterBytes: 1_000, ...noHeartbeat };
    await using app = appWith({ history: { size: 1_000 } }, { limits, clock });
    const client = new SlowClient(app, "/rooms/a");
    await client.frames.have(1);
    for (let n = 1; n <= 500; n += 1) app.registry.room("/rooms/a").sendJSON(n);
    clock.advance(29_999);
    expect(client.closes.all).toEqual([]);
    clock.advance(1);
    expect((await client.closes.have(1))[0]).toBe(4008);
    expect(app.status().totals).toMatchObject({ behind: 1, slow: 1 });
  });

  it("is closed if it is a plain client that cannot be told of a loss", async () => {
    const app = appWith({ history: { size: 50, bytesMax } }, { limits: noHeartbeat });
    const { url } = await start(app);
    await begin(app);
    const { socket, closed } = await openSocket(`${url}/rooms/a`, []);
    socket.pause();
    await publish(app, 4_000, 2);
    socket.resume();
    expect(await closed).toBe(4008);
  });
});
