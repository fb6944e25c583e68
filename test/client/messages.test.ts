import { describe, expect, it } from "vitest";
import { type ClientMessage, type ClientRoom, connect } from "../../src/client/index.js";
import { ManualClock } from "../../src/testing/clock.js";
import { fakeSockets } from "./fakeSocket.js";
import { connectScripted, Mailbox, waitForState, watch } from "./scripted.js";

const none = { data: undefined, text: undefined, bytes: undefined, offset: undefined, room: undefined };

/** Messages and the reports between them, in order. */
function recordStory(room: ClientRoom): unknown[] {
  const story: unknown[] = [];
  room.on("message", ({ data }) => story.push(data));
  room.on("lost", ({ reason, missed }) => story.push(`lost ${missed} by ${reason}`));
  room.on("recovered", ({ position }) => story.push(`recovered at ${position.offset}`));
  return story;
}

describe("a message", () => {
  it("has the sent content: JSON, text or bytes", async () => {
    const { room, peers } = await connectScripted();
    const messages = watch(room, "message");
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.send({ type: "message", offset: 1, data: { text: "hello" } });
    peer.send({ type: "message", data: null });
    peer.send({ type: "message", text: "" });
    peer.send({ type: "message", base64: "AP8Q", room: "/org/7/**" });
    expect(await messages.have(4)).toEqual([
      { ...none, data: { text: "hello" }, offset: 1 },
      { ...none, data: null },
      { ...none, text: "" },
      { ...none, bytes: Uint8Array.of(0, 255, 16), room: "/org/7/**" },
    ]);
  });

  it("is not lost in one packet with the handshake and the welcome", async () => {
    const { room, peers } = await connectScripted({}, (peer) => {
      peer.welcomeAt(1);
      peer.publish(2, 3);
    });
    const peer = await peers.take();
    await peer.roundtrip();
    const messages = watch(room, "message");
    expect((await messages.have(2)).map(({ data }) => data)).toEqual([2, 3]);
  });

  it("of an unknown type or with unknown fields causes no error", async () => {
    const { room, peers, errors } = await connectScripted();
    const messages = watch(room, "message");
    const peer = await peers.take();
    peer.welcome({ colour: "red" });
    peer.send({ type: "weather", data: 1 });
    peer.send({ type: "pong" });
    peer.send({ data: 2 });
    peer.send({ type: "message", data: 3, size: 7 });
    expect(await messages.have(1)).toEqual([{ ...none, data: 3 }]);
    expect(errors).toEqual([]);
  });

  it("is ignored before the welcome, and so is a second welcome", async () => {
    const { room, peers } = await connectScripted();
    const messages = watch(room, "message");
    const peer = await peers.take();
    peer.send({ type: "message", data: "too early" });
    peer.send({ type: "drain" });
    peer.welcome();
    peer.welcome({ id: "another" });
    peer.send({ type: "message", data: 1 });
    expect(await messages.have(1)).toMatchObject([{ data: 1 }]);
    expect(room.id).toBe("connection-1");
  });

  it("is reported as an error if it is broken, and later messages still arrive", async () => {
    const { room, peers, errors } = await connectScripted();
    const messages = watch(room, "message");
    const peer = await peers.take();
    peer.welcome();
    peer.sendRaw("{\u001b[2J");
    peer.sendRaw("null");
    peer.send({ type: "message", base64: "%" });
    peer.send({ type: "message", data: 1 });
    await messages.have(1);
    expect(errors).toHaveLength(3);
    expect(errors[0]?.message).toBe("a frame is not JSON");
    expect(room.state).toBe("open");
  });
});

describe("an offset", () => {
  it("at or below the last one marks a duplicate, which is ignored", async () => {
    const { room, peers } = await connectScripted();
    const story = recordStory(room);
    const peer = await peers.take();
    peer.welcomeAt(5);
    peer.publish(5, 6, 6, 3, 7);
    await peer.roundtrip();
    expect(story).toEqual([6, 7]);
    expect(room.position).toEqual({ epoch: "e", offset: 7 });
  });

  it("that jumps reports exactly how many messages are lost, at their place", async () => {
    const { room, peers } = await connectScripted();
    const story = recordStory(room);
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1, 4, 5, 7);
    peer.send({ type: "message", offset: 8 });
    peer.publish(9);
    await peer.roundtrip();
    expect(story).toEqual([1, "lost 2 by jump", 4, 5, "lost 1 by jump", 7, 9]);
  });

  it("is not counted for messages without one", async () => {
    const { room, peers } = await connectScripted();
    const story = recordStory(room);
    const peer = await peers.take();
    peer.welcomeAt(1);
    for (const data of ["a", "b"]) peer.send({ type: "message", data });
    peer.publish(2);
    await peer.roundtrip();
    expect(story).toEqual(["a", "b", 2]);
  });
});

describe("a loss", () => {
  it("of a lagging client is reported with the count, and a position in it becomes the current one", async () => {
    const { room, peers } = await connectScripted();
    const story = recordStory(room);
    const peer = await peers.take();
    peer.welcomeAt(1);
    peer.send({ type: "lagged", missed: 3 });
    peer.publish(2);
    peer.send({ type: "lagged", missed: 5, position: { epoch: "f", offset: 10 } });
    peer.publish(11);
    await peer.roundtrip();
    expect(story).toEqual(["lost 3 by lagged", 2, "lost 5 by lagged", 11]);
    expect(room.position).toEqual({ epoch: "f", offset: 11 });
  });

  it("is not reported by lagged with missed: 0, which only renumbers the publications", async () => {
    const { room, peers } = await connectScripted();
    const story = recordStory(room);
    const peer = await peers.take();
    peer.welcomeAt(1);
    peer.publish(2);
    peer.send({ type: "lagged", missed: 0, position: { epoch: "f", offset: 10 } });
    await peer.roundtrip();
    expect(room.position).toEqual({ epoch: "f", offset: 10 });
    peer.publish(10, 11);
    await peer.roundtrip();
    expect(story).toEqual([2, 11]);
    expect(room.position).toEqual({ epoch: "f", offset: 11 });
  });

  it.each(["epoch", "trimmed", "limit", "invalid"])(
    "over a reconnect is reported with its reason: %s",
    async (reason) => {
      const running = await connectScripted();
      const story = recordStory(running.room);
      (await running.peers.take()).welcomeAt(9);
      await waitForState(running.room, "open");
      const second = await running.reconnect();
      second.welcomeAt(11, { recovered: false, reason, missed: 2 });
      second.publish(12);
      await second.roundtrip();
      expect(story).toEqual([`lost 2 by ${reason}`, 12]);
      expect(running.room.position).toEqual({ epoch: "e", offset: 12 });
    },
  );

  it("is not reported if the other connection meanwhile delivered the messages", async () => {
    const running = await connectScripted();
    const story = recordStory(running.room);
    (await running.peers.take()).welcomeAt(20);
    await waitForState(running.room, "open");
    const second = await running.reconnect();
    second.welcomeAt(15, { recovered: false, reason: "trimmed", missed: 5 });
    for (let offset = 16; offset <= 21; offset += 1) second.publish(offset);
    await second.roundtrip();
    expect(story).toEqual(["recovered at 15", 21]);
    expect(running.room.position).toEqual({ epoch: "e", offset: 21 });
  });

  it("over a reconnect to a home without history any more is reported, and no since is sent from then on", async () => {
    const running = await connectScripted();
    const story = recordStory(running.room);
    (await running.peers.take()).welcomeAt(9);
    await waitForState(running.room, "open");
    (await running.reconnect()).welcome({ recovered: false, reason: "off" });
    await waitForState(running.room, "open");
    expect(story).toEqual(["lost undefined by off"]);
    expect((await running.reconnect()).since).toBeNull();
  });

  it("over a reconnect to a home without history has an unknown size, and is reported so", async () => {
    const running = await connectScripted();
    const story = recordStory(running.room);
    (await running.peers.take()).welcome();
    await waitForState(running.room, "open");
    (await running.reconnect()).welcome();
    await waitForState(running.room, "open");
    expect(story).toEqual(["lost undefined by off"]);
  });

  it("is not reported over a reconnect if the server has recovered everything", async () => {
    const running = await connectScripted();
    const story = recordStory(running.room);
    const first = await running.peers.take();
    first.welcomeAt(9);
    first.publish(10);
    await first.roundtrip();
    const second = await running.reconnect();
    expect(second.since).toBe("e:10");
    second.welcomeAt(10, { recovered: true });
    second.publish(11, 12);
    await second.roundtrip();
    expect(story).toEqual([10, "recovered at 10", 11, 12]);
  });
});

describe("a message listener", () => {
  it("that is added late loses nothing, and neither does a second one in the same tick", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1, 2, 5);
    await peer.roundtrip();
    const [one, other] = [recordStory(room), recordStory(room)];
    await Promise.resolve();
    peer.publish(6);
    await peer.roundtrip();
    expect(one).toEqual([1, 2, "lost 2 by jump", 5, 6]);
    expect(other).toEqual(one);
  });

  it("that is added very late gets the exact number of dropped messages", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcomeAt(0);
    for (let offset = 1; offset <= 1_005; offset += 1) peer.publish(offset);
    await peer.roundtrip();
    const story = recordStory(room);
    await Promise.resolve();
    expect(story.slice(0, 2)).toEqual(["lost 5 by overflow", 6]);
    expect(story).toHaveLength(1_001);
    expect(story.at(-1)).toBe(1_005);
  });

  it("gets at most 4 MiB of waiting messages", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcome();
    for (let count = 0; count < 9; count += 1) peer.send({ type: "message", text: "x".repeat(1024 * 1024 - 100) });
    await peer.roundtrip();
    const [lost, messages] = [watch(room, "lost"), watch(room, "message")];
    await messages.have(4);
    expect(lost.all).toEqual([{ reason: "overflow", missed: 5 }]);
    expect(messages.all).toHaveLength(4);
  });

  it("that throws, or returns a rejected promise, harms no other listener and is reported", async () => {
    const { room, peers, errors } = await connectScripted();
    room.on("message", () => {
      throw new Error("one");
    });
    room.on("message", async () => {
      throw new Error("two");
    });
    room.on("message", () => Promise.reject("no error"));
    const messages = watch(room, "message");
    room.on("error", () => {
      if (errors.length < 3) throw new Error("while telling");
    });
    const reported: unknown[] = [];
    const log = console.error;
    console.error = (error: unknown) => reported.push(error);
    const peer = await peers.take();
    peer.welcome();
    peer.send({ type: "message", data: 1 });
    await messages.have(1);
    await peer.roundtrip();
    console.error = log;
    expect(errors.map(({ message }) => message).sort()).toEqual(["one", "thrown: no Error", "two"]);
    expect(reported).toEqual([new Error("while telling"), new Error("while telling")]);
    expect(room.state).toBe("open");
  });

  it("is not called after its removal, also if another listener removes it", async () => {
    const { room, peers } = await connectScripted();
    const seen: string[] = [];
    const off = room.on("message", () => seen.push("one"));
    room.on("message", () => {
      seen.push("two");
      off();
    });
    const peer = await peers.take();
    peer.welcome();
    for (const data of [1, 2]) peer.send({ type: "message", data });
    await peer.roundtrip();
    expect(seen).toEqual(["one", "two", "two"]);
  });
});

describe("a loop over messages", () => {
  it("gets waiting and new messages, and ends when the room is closed", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1, 2);
    await peer.roundtrip();
    const seen: unknown[] = [];
    for await (const { data } of room) {
      seen.push(data);
      if (data === 2) peer.publish(3);
      if (data === 3) room.close();
    }
    expect(seen).toEqual([1, 2, 3]);
  });

  it("gets the messages before the server's close, and then ends", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1, 2);
    peer.close(1000);
    await waitForState(room, "closed");
    const seen: unknown[] = [];
    for await (const { data } of room) seen.push(data);
    expect(seen).toEqual([1, 2]);
    for await (const { data } of room) seen.push(data);
    expect(seen).toEqual([1, 2]);
  });

  it("ends when the room is closed while it waits", async () => {
    const { room, peers } = await connectScripted();
    (await peers.take()).welcome();
    const messages = room[Symbol.asyncIterator]();
    const next = messages.next();
    room.close();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it("continues over a reconnect", async () => {
    const running = await connectScripted();
    const { room, peers } = running;
    const messages = room[Symbol.asyncIterator]();
    const first = await peers.take();
    first.welcomeAt(0);
    first.publish(1);
    expect((await messages.next()).value).toMatchObject({ data: 1 });
    const second = await running.reconnect();
    second.welcomeAt(1, { recovered: true });
    second.publish(2);
    expect((await messages.next()).value).toMatchObject({ data: 2 });
  });

  it("that is too slow loses the oldest messages, and each loss is reported", async () => {
    const { room, peers } = await connectScripted();
    const lost = watch(room, "lost");
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1);
    const seen: unknown[] = [];
    for await (const { data } of room) {
      seen.push(data);
      if (data === 1_004) break;
      if (seen.length > 1) continue;
      for (let offset = 2; offset <= 1_004; offset += 1) peer.publish(offset);
      await peer.roundtrip();
    }
    expect(lost.all).toEqual(Array.from({ length: 3 }, () => ({ reason: "overflow", missed: 1 })));
    expect(seen.slice(0, 3)).toEqual([1, 5, 6]);
    expect(seen).toHaveLength(1_001);
  });

  it("gets nothing after its end", async () => {
    const { room, peers } = await connectScripted();
    const lost = watch(room, "lost");
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1);
    for await (const { data } of room) if (data === 1) break;
    for (let offset = 2; offset <= 1_100; offset += 1) peer.publish(offset);
    await peer.roundtrip();
    expect(lost.all).toEqual([]);
  });
});

describe("the state of the application", () => {
  /** Loads that finish when the test releases them. */
  class Loads {
    readonly begun = new Mailbox<() => void>();
    readonly load = (): Promise<void> => new Promise((resolve) => this.begun.put(resolve));
  }

  it("is loaded after the first welcome, and messages wait for it", async () => {
    const loads = new Loads();
    const { room, peers } = await connectScripted({ onResync: loads.load });
    const story = recordStory(room);
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1, 4);
    const settle = await loads.begun.take();
    await peer.roundtrip();
    expect(story).toEqual([]);
    settle();
    peer.publish(5);
    await peer.roundtrip();
    expect(story).toEqual([1, "lost 2 by jump", 4, 5]);
    expect(loads.begun.all).toHaveLength(1);
  });

  it("is loaded again only if messages may be missing", async () => {
    let loaded = 0;
    const running = await connectScripted();
    const { room, peers } = running;
    const story = recordStory(room);
    room.onResync(() => story.push(`load ${++loaded}`));
    (await peers.take()).welcomeAt(4);
    await waitForState(room, "open");
    const second = await running.reconnect();
    second.welcomeAt(4, { recovered: true });
    second.publish(5);
    await second.roundtrip();
    const third = await running.reconnect();
    third.welcomeAt(8, { recovered: false, reason: "trimmed", missed: 3 });
    third.publish(9);
    await third.roundtrip();
    expect(story).toEqual(["load 1", "recovered at 4", 5, "lost 3 by trimmed", "load 2", 9]);
  });

  it("is reported if it cannot be loaded, and then delays nothing", async () => {
    const { room, peers, errors } = await connectScripted();
    const messages = watch(room, "message");
    room.onResync(() => {
      throw new Error("at once");
    });
    room.onResync(() => Promise.reject(new Error("later")));
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1);
    await messages.have(1);
    expect(errors.map(({ message }) => message)).toEqual(["at once", "later"]);
  });

  it("is loaded before waiting messages if onResync is called late", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1);
    await peer.roundtrip();
    const loads = new Loads();
    room.onResync(loads.load);
    const story = recordStory(room);
    (await loads.begun.take())();
    expect(story).toEqual([]);
    await peer.roundtrip();
    expect(story).toEqual([1]);
  });

  it("leaves messages to wait for their reader", async () => {
    const { room, peers } = await connectScripted({ onResync: () => undefined });
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1);
    await peer.roundtrip();
    const messages = watch(room, "message");
    expect(await messages.have(1)).toMatchObject([{ data: 1 }]);
  });

  it("that never loads does not block a loop after the server has closed", async () => {
    const { room, peers } = await connectScripted({ onResync: () => new Promise(() => undefined) });
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1);
    peer.close(1000);
    const seen: ClientMessage[] = [];
    for await (const message of room) seen.push(message);
    expect(seen).toMatchObject([{ data: 1 }]);
  });

  it("is still loaded when waiting messages have to be dropped", async () => {
    const { WebSocket, made } = fakeSockets();
    const clock = new ManualClock();
    const room = connect("ws://localhost/x", { WebSocket, clock, random: () => 0 });
    const loads = new Loads();
    room.onResync(loads.load);
    const story = recordStory(room);
    const first = await made.take();
    first.welcome({ position: { epoch: "e", offset: 0 } });
    const settle = await loads.begun.take();
    first.end(1006);
    clock.advance(0);
    const second = await made.take();
    second.welcome({ recovered: false, reason: "limit", missed: 100, position: { epoch: "e", offset: 100 } });
    for (let offset = 101; offset <= 1_110; offset += 1) second.frame({ type: "message", offset, data: offset });
    settle();
    const settleAgain = await loads.begun.take();
    // Of the 1,000 waiting items one is the due load of the state, so 11 messages and the 100 unreported ones are lost.
    expect(story).toEqual(["lost 111 by overflow"]);
    settleAgain();
    await new Promise((resolve) => setImmediate(resolve));
    expect(story.slice(1)).toEqual(Array.from({ length: 999 }, (_, index) => 112 + index));
    room.close();
  });
});

describe("close", () => {
  it("drops the waiting messages", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1);
    await peer.roundtrip();
    room.close();
    const story = recordStory(room);
    await Promise.resolve();
    expect(story).toEqual([]);
  });
});
