import { describe, expect, it } from "vitest";
import { type ClientRoom, RequestError } from "../../src/client/index.js";
import { connectScripted, type Frame, type Peer, type ScriptedRoom, waitForState, watch } from "./scripted.js";

/** An open room, and its peer. */
async function openRoom(
  options: Parameters<typeof connectScripted>[0] = {},
): Promise<ScriptedRoom & { readonly peer: Peer }> {
  const running = await connectScripted(options);
  const peer = await running.peers.take();
  peer.welcome();
  await waitForState(running.room, "open");
  return Object.assign(running, { peer });
}

/** The error with which a promise rejects. */
async function refusalOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

function texts(frames: readonly Frame[]): unknown[] {
  return frames.map(({ text }) => text);
}

function sendNumbered(room: ClientRoom, from: number, to: number): void {
  for (let count = from; count <= to; count += 1) room.sendText(String(count));
}

describe("a request", () => {
  it("resolves with its reply, in any order", async () => {
    const { room, peer } = await openRoom();
    const [one, two] = [room.request("join", { name: "x" }), room.request("leave")];
    expect(await peer.received.have(2)).toEqual([
      { type: "event", event: "join", data: { name: "x" }, id: 1 },
      { type: "event", event: "leave", id: 2 },
    ]);
    peer.reply(2, "left");
    expect(await two).toBe("left");
    peer.reply(1, { size: 3 });
    expect(await one).toEqual({ size: 3 });
  });

  it("is rejected with the server's refusal", async () => {
    const { room, peer, errors } = await openRoom();
    const refusal = refusalOf(room.request("join"));
    await peer.received.have(1);
    const issues = [{ path: "/name", message: "missing" }];
    peer.send({ type: "reply", id: 1, error: { code: "bad_data", message: "no name", issues } });
    const error = await refusal;
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ name: "RequestError", code: "bad_data", message: "no name", issues });
    expect(errors).toEqual([]);
  });

  it("gives up after 10 seconds, and a late reply has no effect", async () => {
    const { room, peer, clock, errors } = await openRoom();
    const refusal = refusalOf(room.request("join"));
    await peer.received.have(1);
    clock.advance(9_999);
    const other = room.request("leave");
    clock.advance(1);
    expect(await refusal).toMatchObject({ code: "timeout", message: "no reply within 10000 ms" });
    peer.refuse(1, "late");
    peer.reply(2, "left");
    expect(await other).toBe("left");
    expect(errors).toEqual([]);
  });

  it("waits for timeoutMs, and forever with Infinity", async () => {
    const { room, peer, clock } = await openRoom();
    const short = refusalOf(room.request("join", undefined, { timeoutMs: 50 }));
    const endless = room.request("leave", undefined, { timeoutMs: Number.POSITIVE_INFINITY });
    clock.advance(50);
    expect(await short).toMatchObject({ code: "timeout" });
    clock.advance(2 ** 33);
    peer.reply(2, "at last");
    expect(await endless).toBe("at last");
  });

  it("gives up with the reason of its signal, and is not sent if the signal was aborted before", async () => {
    const { room, peer } = await openRoom();
    const abort = new AbortController();
    const refusal = refusalOf(room.request("join", undefined, { signal: abort.signal }));
    abort.abort("enough");
    expect(await refusal).toBe("enough");
    expect(await refusalOf(room.request("leave", undefined, { signal: abort.signal }))).toBe("enough");
    await peer.roundtrip();
    expect(peer.received.all).toHaveLength(1);
  });

  it("is rejected when the room is closed, and after that", async () => {
    const { room } = await openRoom();
    const refusal = refusalOf(room.request("join"));
    room.close();
    expect(await refusal).toMatchObject({ code: "closed" });
    expect(await refusalOf(room.request("join"))).toMatchObject({ code: "closed" });
  });

  it("that was given up while there was no connection is never sent", async () => {
    const running = await connectScripted();
    const { room, clock, peers } = running;
    const abort = new AbortController();
    const refusals = [
      refusalOf(room.request("one", undefined, { timeoutMs: 100 })),
      refusalOf(room.request("two", undefined, { signal: abort.signal })),
    ];
    room.emit("three");
    clock.advance(100);
    abort.abort();
    await Promise.all(refusals);
    const peer = await peers.take();
    peer.welcome();
    expect(await peer.received.have(1)).toMatchObject([{ event: "three" }]);
  });

  it("is rejected if JSON cannot express its data", async () => {
    const { room } = await openRoom();
    await expect(room.request("join", 1n)).rejects.toThrow(TypeError);
    expect(() => room.sendJSON(1n)).toThrow(TypeError);
    expect(() => room.sendJSON(undefined)).toThrow(TypeError);
  });

  it("may load the state that messages wait for", async () => {
    const { room, peers } = await connectScripted();
    const seen: unknown[] = [];
    room.onResync(async () => seen.push(await room.request("state")));
    room.on("message", ({ data }) => seen.push(data));
    const peer = await peers.take();
    peer.welcomeAt(0);
    peer.publish(1);
    await peer.received.have(1);
    peer.reply(1, "state");
    await peer.roundtrip();
    expect(seen).toEqual(["state", 1]);
  });
});

describe("a sent frame", () => {
  it("is a message or an event, each with an id", async () => {
    const { room, peer } = await openRoom();
    room.sendJSON({ text: "hello" });
    room.sendText("hi");
    room.emit("typing", { on: true });
    room.emit("seen");
    expect(await peer.received.have(4)).toEqual([
      { type: "message", data: { text: "hello" }, id: 1 },
      { type: "message", text: "hi", id: 2 },
      { type: "event", event: "typing", data: { on: true }, id: 3 },
      { type: "event", event: "seen", id: 4 },
    ]);
  });

  it("is reported as an error if it is refused and not awaited, as is an error without an id", async () => {
    const { room, peer } = await openRoom();
    const errors = watch(room, "error");
    room.sendJSON(1);
    room.emit("typing");
    await peer.received.have(2);
    peer.refuse(1, "full", "the room is full");
    peer.refuse(2, "unknown_event");
    peer.send({ type: "error", event: "join", error: { code: "bad_json", message: "what" } });
    expect(await errors.have(3)).toMatchObject([
      { name: "RequestError", code: "full", message: "the room is full" },
      { code: "unknown_event" },
      { code: "bad_json", message: "what" },
    ]);
  });

  it("waits for the connection and leaves after the welcome, in order", async () => {
    const { room, peers } = await connectScripted();
    room.sendText("one");
    const reply = room.request("two");
    const peer = await peers.take();
    await peer.roundtrip();
    expect(peer.received.all).toEqual([]);
    peer.welcome();
    expect(await peer.received.have(2)).toMatchObject([{ text: "one" }, { event: "two" }]);
    peer.reply(2, "done");
    expect(await reply).toBe("done");
  });

  it("without a reply is sent again over the next connection, in order and before newer ones", async () => {
    const running = await openRoom();
    const { room, peer } = running;
    room.sendText("replied");
    room.sendText("one");
    const reply = room.request("two");
    room.emit("three");
    await peer.received.have(4);
    peer.reply(1);
    peer.reply(4);
    await peer.roundtrip();
    peer.terminate();
    await waitForState(room, "waiting");
    room.sendText("newer");
    room.on("state", (state) => state === "open" && room.sendText("newest"));
    const second = await running.reconnect();
    second.welcome();
    expect(await second.received.have(4)).toEqual([
      { type: "message", text: "one", id: 2 },
      { type: "event", event: "two", id: 3 },
      { type: "message", text: "newer", id: 5 },
      { type: "message", text: "newest", id: 6 },
    ]);
    second.reply(3, "ran once");
    expect(await reply).toBe("ran once");
    for (const id of [2, 5, 6]) second.reply(id);
    await second.roundtrip();
    const third = await running.reconnect();
    third.welcome();
    await third.roundtrip();
    expect(texts(third.received.all)).toEqual(["newest"]);
  });

  it("waits if more ids are open than the server remembers, because an older one would run twice", async () => {
    const running = await openRoom();
    const { room, peer } = running;
    sendNumbered(room, 1, 200);
    await peer.roundtrip();
    expect(peer.received.all).toHaveLength(128);
    peer.reply(2);
    await peer.roundtrip();
    expect(peer.received.all).toHaveLength(128);
    peer.reply(1);
    await peer.received.have(130);
    const second = await running.reconnect();
    second.welcome();
    await second.roundtrip();
    expect(texts(second.received.all)).toEqual(Array.from({ length: 128 }, (_, index) => String(index + 3)));
    for (let id = 3; id <= 200; id += 1) second.reply(id);
    expect(await second.received.have(198)).toHaveLength(198);
  });

  it("is never dropped while there is a connection", async () => {
    const { room, peer } = await openRoom({ queueMessagesMax: 2, queueBytesMax: 100 });
    const dropped = watch(room, "dropped");
    sendNumbered(room, 1, 1_000);
    for (let id = 1; id <= 1_000; id += 1) {
      await peer.received.have(id);
      peer.reply(id);
    }
    expect(texts(peer.received.all)).toEqual(Array.from({ length: 1_000 }, (_, index) => String(index + 1)));
    expect(dropped.all).toEqual([]);
  });
});

describe("the queue of unsent frames", () => {
  it("drops the oldest past 100, and reports that", async () => {
    const { room, peers } = await connectScripted();
    const dropped = watch(room, "dropped");
    sendNumbered(room, 1, 103);
    expect(dropped.all).toEqual(Array.from({ length: 3 }, () => ({ count: 1, reason: "full" })));
    const peer = await peers.take();
    peer.welcome();
    expect(texts(await peer.received.have(100))).toEqual(Array.from({ length: 100 }, (_, index) => String(index + 4)));
  });

  it("drops the oldest past a number of UTF-8 bytes", async () => {
    const { room, peers } = await connectScripted({ queueBytesMax: 200 });
    const dropped = watch(room, "dropped");
    room.sendText("a");
    room.sendText("b");
    room.sendText("ä".repeat(20));
    expect(dropped.all).toEqual([]);
    room.sendText("ä".repeat(30));
    expect(dropped.all).toEqual([{ count: 2, reason: "full" }]);
    const peer = await peers.take();
    peer.welcome();
    expect(texts(await peer.received.have(2))).toEqual(["ä".repeat(20), "ä".repeat(30)]);
  });

  it("refuses a frame that is too large by itself, and drops no other for it", async () => {
    const { room, peers } = await connectScripted({ queueBytesMax: 200 });
    const dropped = watch(room, "dropped");
    room.sendText("small");
    room.sendText("x".repeat(200));
    await expect(room.request("large", "x".repeat(200))).rejects.toMatchObject({ code: "queue_full" });
    expect(dropped.all).toEqual([{ count: 1, reason: "full" }]);
    const peer = await peers.take();
    peer.welcome();
    await peer.roundtrip();
    expect(texts(peer.received.all)).toEqual(["small"]);
  });

  it("never drops a request, but refuses a new one without space", async () => {
    const { room, peers } = await connectScripted({ queueMessagesMax: 3 });
    const dropped = watch(room, "dropped");
    const one = room.request("one");
    room.sendText("oldest");
    const [two, three] = [room.request("two"), room.request("three")];
    expect(dropped.all).toEqual([{ count: 1, reason: "full" }]);
    expect(await refusalOf(room.request("four"))).toMatchObject({ code: "queue_full" });
    room.sendText("newest");
    expect(dropped.all).toEqual([
      { count: 1, reason: "full" },
      { count: 1, reason: "full" },
    ]);
    const peer = await peers.take();
    peer.welcome();
    expect(await peer.received.have(3)).toMatchObject([{ event: "one" }, { event: "two" }, { event: "three" }]);
    for (const { id } of peer.received.all) peer.reply(id, id);
    expect(await Promise.all([one, two, three])).toEqual([1, 3, 4]);
  });

  it("keeps frames that were sent before, because the server may have run them", async () => {
    const running = await openRoom({ queueMessagesMax: 2 });
    const { room, peer } = running;
    const dropped = watch(room, "dropped");
    sendNumbered(room, 1, 3);
    await peer.received.have(3);
    peer.terminate();
    await waitForState(room, "waiting");
    sendNumbered(room, 4, 6);
    expect(dropped.all).toEqual([{ count: 1, reason: "full" }]);
    const second = await running.reconnect();
    second.welcome();
    expect(texts(await second.received.have(5))).toEqual(["1", "2", "3", "5", "6"]);
  });

  it("does not report a frame as dropped on close if a connection took it", async () => {
    const { room, peer } = await openRoom();
    const dropped = watch(room, "dropped");
    room.sendText("taken");
    room.close();
    expect(await peer.received.have(1)).toMatchObject([{ text: "taken" }]);
    expect(dropped.all).toEqual([]);
  });

  it("reports frames as dropped when the room is closed, and frames after that", async () => {
    const { room } = await connectScripted();
    const dropped = watch(room, "dropped");
    sendNumbered(room, 1, 2);
    const refusal = refusalOf(room.request("join"));
    room.close();
    room.sendText("too late");
    expect(await refusal).toMatchObject({ code: "closed" });
    expect(dropped.all).toEqual([
      { count: 2, reason: "closed" },
      { count: 1, reason: "closed" },
    ]);
  });
});
