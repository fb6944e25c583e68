import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type HistoryPage, type HistoryQuery, MemoryBackplane } from "../../src/backplane/index.js";
import {
  App,
  type AppOptions,
  type Publication,
  type RoomPath,
  type RouteOptions,
  WebSocketHandler,
} from "../../src/index.js";
import { connect, ManualClock } from "../../src/testing/index.js";
import { Mailbox, start } from "../support/app.js";

class Member extends WebSocketHandler {
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
}

function appWith(route: RouteOptions, options: AppOptions = {}): App {
  return new App(options).route("/rooms/:name", Member, route);
}

const texts = (publications: readonly Publication[]) => publications.map(({ text }) => text);
const offsets = (publications: readonly Publication[]) => publications.map(({ position }) => position?.offset);

describe("history", () => {
  it("numbers publications, and returns them by count, by position and in reverse", async () => {
    const { registry } = appWith({ history: { size: 100 } });
    const room = registry.room("/rooms/a");
    expect(await room.publish({ n: 1 })).toEqual({ epoch: expect.stringMatching(/^[\w-]+$/), offset: 1 });
    registry.sendTextToRoom("/rooms/a", "two");
    const bytes = new Uint8Array([3]);
    room.sendBinary(bytes);
    bytes.fill(9);
    const all = await room.history();
    const epoch = all[0]?.position?.epoch ?? "";
    expect(all).toEqual([
      { position: { epoch, offset: 1 }, data: { n: 1 } },
      { position: { epoch, offset: 2 }, text: "two" },
      { position: { epoch, offset: 3 }, bytes: new Uint8Array([3]) },
    ]);
    expect(offsets(await room.history({ limit: 2 }))).toEqual([2, 3]);
    expect(offsets(await room.history({ since: { epoch, offset: 1 } }))).toEqual([2, 3]);
    expect(offsets(await room.history({ since: { epoch, offset: 0 }, limit: 2 }))).toEqual([1, 2]);
    expect(offsets(await room.history({ reverse: true }))).toEqual([3, 2, 1]);
    expect(offsets(await room.history({ since: { epoch, offset: 3 } }))).toEqual([]);
    expect(offsets(await room.history({ since: { epoch, offset: 99 } }))).toEqual([1, 2, 3]);
    expect(offsets(await room.history({ since: { epoch: "another", offset: 3 } }))).toEqual([1, 2, 3]);
    expect(await registry.room("/rooms/b").history()).toEqual([]);
  });

  it("is bounded by count, by bytes and by age, and the offsets show a gap", async () => {
    const clock = new ManualClock();
    const app = appWith({ history: { size: 3, seconds: 60 } }, { clock });
    const room = app.registry.room("/rooms/a");
    for (const text of ["1", "2", "3", "4"]) app.registry.sendTextToRoom("/rooms/a", text);
    expect(offsets(await room.history())).toEqual([2, 3, 4]);
    clock.advance(30_000);
    app.registry.sendTextToRoom("/rooms/a", "5");
    clock.advance(30_000);
    expect(offsets(await room.history())).toEqual([5]);
    expect(app.status()).toMatchObject({ historyRooms: 1, historyEvictions: 0 });
    clock.advance(30_000);
    expect(app.status()).toMatchObject({ historyRooms: 0, historyBytes: 0 });
    expect(await room.history()).toEqual([]);

    const small = appWith({ history: { size: 100, bytesMax: 2_000 } }).registry;
    for (let n = 0; n < 20; n += 1) small.sendTextToRoom("/rooms/a", "x".repeat(98));
    // Each entry counts as 2 * (2 + 98) + 256 bytes.
    expect(offsets(await small.room("/rooms/a").history())).toEqual([17, 18, 19, 20]);
  });

  it("never loses all other messages to one that is too large: that is refused, unless it is not kept", async () => {
    const { registry } = appWith({ history: { size: 100, bytesMax: 2_000 } });
    const room = registry.room("/rooms/a");
    await room.publishText("kept");
    const tooLarge = "x".repeat(871);
    const message = "the message counts 2002 bytes, above history.bytesMax of its room, 2000";
    const refusal = { code: "ERR_VALUE", message: expect.stringContaining(message) };
    await expect((async () => room.publishText(tooLarge))()).rejects.toMatchObject(refusal);
    expect(() => registry.sendTextToRoom("/rooms/a", tooLarge)).toThrow(expect.objectContaining(refusal));
    await room.publishText(tooLarge, { keep: false });
    expect((await room.history()).map(({ text }) => text)).toEqual(["kept"]);
    await room.publishText("x".repeat(870));
    expect(offsets(await room.history())).toEqual([2]);
  });

  it("past historyBytesMax is dropped for the rooms that were quiet longest, and counted", async () => {
    // Two rooms with 5 messages: a room counts 1,100 bytes and twice its path, a message here 456 bytes.
    const roomBytes = 1_100 + 2 * "/rooms/a".length;
    const app = appWith({ history: { size: 100 } }, { limits: { historyBytesMax: 2 * (roomBytes + 5 * 456) } });
    const { registry } = app;
    for (const name of ["a", "b", "c"]) {
      for (let n = 0; n < 4; n += 1) registry.sendTextToRoom(`/rooms/${name}`, "x".repeat(98));
    }
    const [before] = await registry.room("/rooms/b").history();
    expect(await registry.room("/rooms/a").history()).toEqual([]);
    expect(offsets(await registry.room("/rooms/b").history())).toEqual([1, 2, 3, 4]);
    expect(app.status()).toMatchObject({
      historyRooms: 2,
      historyBytes: 2 * (roomBytes + 4 * 456),
      historyEvictions: 1,
    });
    registry.sendTextToRoom("/rooms/c", "x".repeat(2_400));
    expect(await registry.room("/rooms/b").history()).toEqual([]);
    // The numbering continues, so that the gap is visible.
    expect(await registry.room("/rooms/b").publish("again")).toEqual({ ...before?.position, offset: 5 });
    // A publication larger than the whole limit is delivered and numbered, but not kept.
    const listener = registry.room("/rooms/d").subscribe();
    registry.sendTextToRoom("/rooms/d", "x".repeat(4_000));
    expect((await listener.next()).value?.position?.offset).toBe(1);
    expect(await registry.room("/rooms/d").history()).toEqual([]);
  });

  it("is dropped for rooms with few messages first, however new they are", async () => {
    const app = appWith({ history: { size: 100 } }, { limits: { historyBytesMax: 100_000 } });
    const { registry } = app;
    for (let n = 0; n < 20; n += 1) registry.sendTextToRoom("/rooms/old", `old ${n}`);
    for (let n = 0; n < 1_000; n += 1) registry.sendTextToRoom(`/rooms/flood-${n}`, "flood");
    for (let n = 0; n < 3; n += 1) registry.sendTextToRoom("/rooms/new", `new ${n}`);
    for (let n = 1_000; n < 2_000; n += 1) registry.sendTextToRoom(`/rooms/flood-${n}`, "flood");
    expect(await registry.room("/rooms/old").history()).toHaveLength(20);
    expect(await registry.room("/rooms/new").history()).toHaveLength(3);
    expect(await registry.room("/rooms/flood-1999").history()).toHaveLength(1);
    expect(await registry.room("/rooms/flood-0").history()).toEqual([]);
    const { historyBytes, historyEvictions, memory } = app.status();
    expect(historyBytes).toBeLessThanOrEqual(100_000);
    expect(memory).toMatchObject({ bytes: historyBytes, historyBytes });
    expect(historyEvictions).toBeGreaterThan(1_900);
    // A flood of rooms with two messages each: rooms with more are not concerned.
    for (let n = 0; n < 2_000; n += 1) registry.sendTextToRoom(`/rooms/flood-${n % 1_000}`, "flood");
    expect(await registry.room("/rooms/old").history()).toHaveLength(20);
  });

  it("counts the ids of publications, and forgets them with the history that they are in", async () => {
    const clock = new ManualClock();
    const app = appWith({ history: { size: 1 } }, { clock });
    const room = app.registry.room("/rooms/a");
    await room.publish("x", { id: "one" });
    const { historyBytes } = app.status();
    for (let n = 0; n < 100; n += 1) await room.publish("x", { id: `number-${n}` });
    expect(app.status().historyBytes).toBeGreaterThan(historyBytes + 100 * 100);
    clock.advance(3 * 60_000);
    await room.history();
    expect(app.status().historyBytes).toBeLessThan(historyBytes);
  });

  it("of a room without publications takes no memory once its members have left, and its epoch stays", async () => {
    const app = appWith({ history: { size: 10 } });
    const v1 = { protocols: ["enfilade.v1"] };
    const epochs: unknown[] = [];
    for (let n = 0; n < 2; n += 1) {
      const client = await connect(app, "/rooms/a", v1);
      epochs.push(((await client.readJSON()) as { position: object }).position);
      await client.close();
    }
    expect(epochs[1]).toEqual(epochs[0]);
    expect(app.status()).toMatchObject({ historyRooms: 0, historyBytes: 0 });
    await app.close();
  });

  it("keeps its numbering while the room has a member, even after all entries expired", async () => {
    const clock = new ManualClock();
    const app = appWith({ history: { size: 10, seconds: 1 } }, { clock });
    const client = await connect(app, "/rooms/a");
    client.sendText("one");
    expect(await client.readText()).toBe("one");
    clock.advance(2_000);
    const room = app.registry.room("/rooms/a");
    expect(await room.history()).toEqual([]);
    expect((await room.publish("two"))?.offset).toBe(2);
    await app.close();
  });

  it("keeps its numbering for ten minutes without members, and then starts another", async () => {
    const clock = new ManualClock();
    const room = appWith({ history: { size: 10, seconds: 1 } }, { clock }).registry.room("/rooms/a");
    const first = await room.publish("one");
    clock.advance(10_000);
    expect(await room.publish("two")).toEqual({ ...first, offset: 2 });
    clock.advance(11 * 60_000);
    const third = await room.publish("three");
    expect(third).toEqual({ epoch: expect.any(String), offset: 1 });
    expect(third?.epoch).not.toBe(first?.epoch);
  });

  it("throws a clear error where none is kept, and for an invalid position", async () => {
    const { registry } = appWith({});
    const room = registry.room("/rooms/a");
    expect(await room.publish("x")).toBeUndefined();
    await expect(room.history()).rejects.toMatchObject({ code: "ERR_HISTORY" });
    expect(() => room.subscribe({ replay: 1 })).toThrow(expect.objectContaining({ code: "ERR_HISTORY" }));
    const kept = appWith({ history: { size: 1 } }).registry.room("/rooms/a");
    for (const since of [{}, "3", { epoch: "a", offset: -1 }, { epoch: "a", offset: 0.5 }, { epoch: 1, offset: 1 }]) {
      await expect(kept.history({ since } as never)).rejects.toMatchObject({ code: "ERR_OPTION" });
    }
    await expect(kept.history({ limit: -1 })).rejects.toMatchObject({ code: "ERR_OPTION" });
  });

  it("is refused at registration when an option is wrong", () => {
    const wrong: object[] = [
      ...[{ history: { size: 0 } }, { history: { size: 1, seconds: 0 } }, { history: 5 }, { history: { count: 5 } }],
      ...[{ replay: 1 }, { replay: 11, history: { size: 10 } }, { replay: -1 }, { presence: "all" }, { showUser: 1 }],
      ...[{}, [], null, { mode: "all" }, { leaveGraceMs: 5 }, { mode: "full", grace: 1 }].map((presence) => ({
        presence,
      })),
      ...[-1, Number.NaN, "5", null, 2 ** 31].map((leaveGraceMs) => ({ presence: { mode: "full", leaveGraceMs } })),
      ...[1, null, "name"].map((show) => ({ presence: { mode: "full", show } })),
      { history: { size: 1, bytesMax: Number.NaN } },
    ];
    for (const options of wrong) {
      expect(() => appWith(options)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    }
  });
});

describe("a plain client of a route with replay", () => {
  it("gets the last publications, then its own, then live ones", async () => {
    class Chat extends WebSocketHandler {
      override onConnect() {
        this.sendTextToThisRoom("joined");
      }
      onMessage(text: string) {
        this.sendTextToThisRoom(text);
      }
    }
    const app = new App().route("/chat/:room", Chat, { history: { size: 100 }, replay: 10 });
    const { open } = await start(app);
    for (let n = 1; n <= 15; n += 1) app.registry.sendTextToRoom("/chat/a", `old ${n}`);
    const client = await open("/chat/a");
    client.sendText("live");
    const received: string[] = [];
    while (received.length < 12) received.push(await client.readText());
    expect(received).toEqual([...Array.from({ length: 10 }, (_, n) => `old ${n + 6}`), "joined", "live"]);
  });

  it("gets no gap and nothing twice for publications during the history read, in 1,000 random schedules", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 0, max: 30 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 20, max: 60 }),
        fc.integer({ min: 1, max: 20 }),
        async (scheduler, before, during, publishers, waitingMax, recoverMessagesMax) => {
          const backplane = new SlowBackplane((name, read) => scheduler.schedule(Promise.resolve(), name).then(read));
          const limits = { subscriberMessagesMax: waitingMax, recoverMessagesMax };
          const app = appWith({ history: { size: 200 }, replay: 10 }, { backplane, limits });
          const room = app.registry.room("/rooms/a");
          let published = 0;
          const publish = () => {
            published += 1;
            room.sendText(String(published));
          };
          for (let n = 0; n < before; n += 1) publish();
          const last = before + during * publishers;
          const subscribed = readUntil(room.subscribe({ replay: 10 }), last);
          const received: number[] = [];
          const reading = connect(app, "/rooms/a").then(async (client) => {
            while (received.at(-1) !== last) received.push(Number(await client.readText()));
          });
          const writing = Array.from({ length: publishers }, async (_, publisher) => {
            for (let n = 0; n < during; n += 1) {
              await scheduler.schedule(Promise.resolve(), `publisher ${publisher}`);
              publish();
            }
          });
          await scheduler.waitFor(Promise.all([reading, subscribed, ...writing]));
          await scheduler.waitIdle();
          expect(received).toEqual(upTo(last, received[0] ?? 0));
          expect(received[0]).toBeGreaterThanOrEqual(Math.max(1, before - 9));
          await app.close({ timeoutMs: 100 });
        },
      ),
      { numRuns: 1_000 },
    );
  }, 120_000);

  it("is closed with 1011 if its history cannot be read, and no other client is", async () => {
    class Broken extends MemoryBackplane {
      override readHistory(): Promise<HistoryPage> {
        return Promise.reject(new Error("history is away"));
      }
    }
    const app = appWith({ history: { size: 100 }, replay: 10 }, { backplane: new Broken() });
    const { open, errors } = await start(app);
    const client = await open("/rooms/a");
    expect(await client.closed).toMatchObject({ code: 1011, reason: "internal error" });
    expect(errors.map(({ message }) => message)).toEqual(["history is away"]);
  });
});

/** A backplane that reads history only when the test releases it. */
class SlowBackplane extends MemoryBackplane {
  readonly #delay: (name: string, read: () => Promise<HistoryPage>) => Promise<HistoryPage>;

  constructor(delay: (name: string, read: () => Promise<HistoryPage>) => Promise<HistoryPage>) {
    super();
    this.#delay = delay;
  }

  override async readHistory(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
    // Reads at one moment and answers at another, like over a network.
    const kept = await this.#delay("read", () => super.readHistory(path, query));
    return this.#delay("answer", () => Promise.resolve(kept));
  }
}

/** Reads the numbers of a subscription, and checks that each gap between them is reported. */
async function readUntil(subscription: AsyncIterable<Publication>, last: number): Promise<void> {
  let previous: number | undefined;
  for await (const { text, missed = 0 } of subscription) {
    const number = Number(text);
    expect(number - missed - 1).toBe(previous ?? number - missed - 1);
    expect(number - missed).toBeGreaterThanOrEqual(1);
    previous = number;
    if (number === last) break;
  }
}

function upTo(last: number, first: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, n) => first + n);
}

describe("room.subscribe()", () => {
  it("first yields the history, then new publications, in several loops at once", async () => {
    const app = appWith({ history: { size: 10 } });
    const room = app.registry.room("/rooms/a");
    room.sendText("1");
    room.sendText("2");
    const [all, live] = [room.subscribe({ replay: 1 }), room.subscribe()];
    room.sendText("3");
    expect(texts([(await all.next()).value, (await all.next()).value].flatMap((one) => one ?? []))).toEqual(["2", "3"]);
    expect((await live.next()).value?.text).toBe("3");
    expect(app.status().rooms).toBe(1);
    await all.return();
    await live.return();
    expect(app.status().rooms).toBe(0);
  });

  it("ends when its loop ends, by signal, when the room is closed, and when the app is", async () => {
    const app = appWith({});
    const room = app.registry.room("/rooms/a");
    const controller = new AbortController();
    const received = new Mailbox<string>();
    const loops = [
      (async () => {
        for await (const { text } of room.subscribe()) {
          received.put(`left after ${text}`);
          break;
        }
      })(),
      (async () => {
        for await (const { text } of room.subscribe({ signal: controller.signal })) received.put(`by signal ${text}`);
      })(),
      (async () => {
        for await (const { text } of room.subscribe()) received.put(`by room ${text}`);
      })(),
      (async () => {
        for await (const { text } of app.registry.room("/rooms/b").subscribe()) received.put(`by app ${text}`);
      })(),
    ] as const;
    room.sendText("1");
    await loops[0];
    controller.abort();
    await loops[1];
    room.sendText("2");
    room.close();
    await loops[2];
    expect(app.status().rooms).toBe(1);
    await app.close();
    await loops[3];
    expect(received.all.toSorted()).toEqual(["by room 1", "by room 2", "by signal 1", "left after 1"]);
    expect(app.status().rooms).toBe(0);
    const aborted = room.subscribe({ signal: AbortSignal.abort() });
    expect(await aborted.next()).toEqual({ done: true, value: undefined });
  });

  it("delays no client if it is not read: the oldest are dropped, and the next one has their number", async () => {
    const app = appWith({}, { limits: { subscriberMessagesMax: 10 } });
    const client = await connect(app, "/rooms/a");
    const stalled = app.registry.room("/rooms/a").subscribe();
    for (let n = 1; n <= 1_000; n += 1) app.registry.sendTextToRoom("/rooms/a", String(n));
    for (let n = 1; n <= 1_000; n += 1) expect(await client.readText()).toBe(String(n));
    expect((await stalled.next()).value).toEqual({ text: "991", missed: 990 });
    expect((await stalled.next()).value).toEqual({ text: "992" });
    await app.close();
  });

  it("yields the requested part of the history, with any number of live publications waiting", async () => {
    const room = appWith({ history: { size: 100 } }, { limits: { subscriberMessagesMax: 10 } }).registry.room(
      "/rooms/a",
    );
    for (let n = 1; n <= 100; n += 1) room.sendText(String(n));
    const subscription = room.subscribe({ replay: 100 });
    for (let n = 1; n <= 100; n += 1) expect((await subscription.next()).value).toMatchObject({ text: String(n) });
    await subscription.return();
  });

  it("is refused past roomsMax, like any other room", () => {
    const { registry } = appWith({}, { limits: { roomsMax: 1 } });
    registry.room("/rooms/a").subscribe();
    expect(() => registry.room("/rooms/b").subscribe()).toThrow(expect.objectContaining({ code: "ERR_ROOMS_MAX" }));
  });
});
