import { describe, expect, it } from "vitest";
import {
  type Delivery,
  type Epoch,
  type HistoryPage,
  type HistoryQuery,
  MemoryBackplane,
  type Receiver,
  type Topic,
} from "../../src/backplane/index.js";
import type { RoomPath } from "../../src/index.js";
import { connect } from "../../src/testing/index.js";
import { appWith, begin, CountingBackplane, nextTurn, noHeartbeat, upTo } from "../support/catchUp.js";
import { SlowClient } from "../support/slowClient.js";

const base = 5;

/** The first publications as those of an earlier epoch. */
function aged(delivery: Delivery): Delivery {
  const { offset = 0 } = delivery.position ?? {};
  return offset > base ? delivery : delivery.at({ epoch: "old", offset });
}

/** A room whose first publications are of an earlier epoch. */
class TwoEpochs extends MemoryBackplane {
  readonly #lost: number | undefined;

  constructor(lost: number | undefined) {
    super();
    this.#lost = lost;
  }

  override start(receiver: Receiver): void {
    const onDelivery = (topic: Topic, delivery: Delivery) => receiver.onDelivery(topic, aged(delivery));
    super.start(
      new Proxy(receiver, {
        get: (target, name) => (name === "onDelivery" ? onDelivery : Reflect.get(target, name).bind(target)),
      }),
    );
  }

  override async readHistory(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
    const { top } = await super.readHistory(path, { limit: 0 });
    const { since } = query;
    const isOld = since?.epoch === "old";
    const position = isOld ? { epoch: top.epoch, offset: Math.min(since.offset, base) } : since;
    const page = await super.readHistory(path, { ...query, since: position });
    const epochs: Epoch[] = [
      { epoch: "old", base: 0, lost: undefined },
      { epoch: top.epoch, base, lost: this.#lost },
    ];
    return { top, epochs, deliveries: page.deliveries.map(aged) };
  }
}

describe("a change of the epoch", () => {
  it.each([0, 2, undefined])("is reported between the publications, with %s of them lost", async (lost) => {
    const limits = { recoverMessagesMax: 2, ...noHeartbeat };
    await using app = appWith({ history: { size: 100 }, replay: 8 }, { backplane: new TwoEpochs(lost), limits });
    const epoch = await begin(app);
    const room = app.registry.room("/rooms/a");
    for (let n = 2; n <= 10; n += 1) room.sendJSON(n);
    const lagged = { type: "lagged", ...(lost !== undefined && { missed: lost }), position: { epoch, offset: base } };
    const told = (offset: number) => (offset === base + 1 ? [lagged, { offset }] : [{ offset }]);
    const cases: [since: string, welcome: object, first: number][] = [
      ["&since=old:3", { recovered: true, position: { epoch: "old", offset: 3 } }, 4],
      ["&since=old:5", { recovered: true, position: { epoch: "old", offset: 5 } }, 6],
      ["", { position: { epoch: "old", offset: 2 } }, 3],
      [`&since=${epoch}:8`, { recovered: true, position: { epoch, offset: 8 } }, 9],
    ];
    for (const [since, welcome, first] of cases) {
      const client = await connect(app, `/rooms/a?${since}`, { protocols: ["enfilade.v1"] });
      expect(await client.readJSON()).toMatchObject(welcome);
      for (const frame of upTo(10, first).flatMap(told)) expect(await client.readJSON()).toMatchObject(frame);
      client.terminate();
    }
    // Both have received publications of the old epoch that were lost, the second one more than there are by now.
    for (const offset of [6, 99]) {
      const ahead = await connect(app, `/rooms/a?since=old:${offset}`, { protocols: ["enfilade.v1"] });
      expect(await ahead.readJSON()).toMatchObject({ recovered: true, position: { epoch: "old", offset } });
      expect(await ahead.readJSON()).toMatchObject({ type: "lagged", position: { epoch, offset: base } });
      expect(await ahead.readJSON()).toMatchObject({ offset: 6 });
    }
    const received: unknown[] = [];
    for await (const { position, missed } of room.subscribe({ since: { epoch: "old", offset: 3 } })) {
      received.push([position?.offset, missed]);
      if (position?.offset === 10) break;
    }
    expect(received).toEqual(upTo(10, 4).map((n) => [n, n === base + 1 ? (lost ?? 1) || undefined : undefined]));
  });

  it("closes no plain client whose replay contains it", async () => {
    const limits = { recoverMessagesMax: 2, ...noHeartbeat };
    await using app = appWith({ history: { size: 100 }, replay: 8 }, { backplane: new TwoEpochs(1), limits });
    await begin(app);
    for (let n = 2; n <= 10; n += 1) app.registry.room("/rooms/a").sendJSON(n);
    const client = await connect(app, "/rooms/a");
    for (let n = 3; n <= 10; n += 1) expect(await client.readJSON()).toBe(n);
    app.registry.room("/rooms/a").sendJSON(11);
    expect(await client.readJSON()).toBe(11);
  });

  it.each([0, 1, undefined])("closes a plain client that lags, unless nothing is lost: %s", async (lost) => {
    const limits = { outboxBytesMax: 40, highWaterBytes: 10, ...noHeartbeat };
    await using app = appWith({ history: { size: 100 } }, { backplane: new TwoEpochs(lost), limits });
    const client = new SlowClient(app, "/rooms/a", "");
    const room = app.registry.room("/rooms/a");
    const sent = upTo(10).map((n) => `publication ${n}`);
    for (const text of sent) room.sendJSON(text);
    expect(app.status().totals.behind).toBe(1);
    client.readAll();
    if (lost === 0) expect(await client.frames.have(10)).toEqual(sent);
    else expect((await client.closes.have(1))[0]).toBe(4008);
  });
});

describe("a subscription of server code", () => {
  it("reads the next page when its loop has taken what came before", async () => {
    const backplane = new CountingBackplane();
    const limits = { recoverMessagesMax: 10, subscriberMessagesMax: 20 };
    const room = appWith({ history: { size: 2_000 } }, { backplane, limits }).registry.room("/rooms/a");
    for (let n = 1; n <= 1_000; n += 1) room.sendJSON(n);
    const epoch = (await room.history({ limit: 1 }))[0]?.position?.epoch ?? "";
    backplane.pages.length = 0;
    const subscription = room.subscribe({ since: { epoch, offset: 0 } });
    const received = [(await subscription.next()).value?.data];
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    expect(backplane.pages.length).toBeLessThanOrEqual(3);
    for (let n = 1_001; n <= 1_200; n += 1) room.sendJSON(n);
    while (received.length < 1_200) {
      const { value } = await subscription.next();
      expect(value?.missed).toBeUndefined();
      received.push(value?.data);
    }
    expect(received).toEqual(upTo(1_200));
    expect(Math.max(...backplane.pages)).toBe(10);
  });

  it("counts what was removed before it was read", async () => {
    const room = appWith({ history: { size: 10 } }, { limits: { recoverMessagesMax: 5 } }).registry.room("/rooms/a");
    for (let n = 1; n <= 12; n += 1) room.sendJSON(n);
    const epoch = (await room.history({ limit: 1 }))[0]?.position?.epoch ?? "";
    const subscription = room.subscribe({ since: { epoch, offset: 0 } });
    expect((await subscription.next()).value).toMatchObject({ data: 3, missed: 2 });
    for (let n = 13; n <= 100; n += 1) room.sendJSON(n);
    let last = 3;
    while (last < 100) {
      const { value } = await subscription.next();
      expect(Number(value?.data)).toBe(last + 1 + (value?.missed ?? 0));
      last = Number(value?.data);
    }
    await subscription.return();
  });
});
