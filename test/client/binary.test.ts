import { describe, expect, it } from "vitest";
import { connectScripted, waitForState, watch } from "./scripted.js";

describe("a binary message", () => {
  it("is sent unchanged, in order with other messages, and logged with its size", async () => {
    const lines: string[] = [];
    const { room, peers } = await connectScripted({ debug: (line) => lines.push(line) });
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    room.sendText("before");
    room.sendBinary(Uint8Array.of(0, 255, 16));
    room.sendText("after");
    expect(await peer.binary.take()).toEqual({ bytes: Uint8Array.of(0, 255, 16), after: 1 });
    expect(await peer.received.have(2)).toMatchObject([
      { text: "before", id: 1 },
      { text: "after", id: 2 },
    ]);
    expect(lines).toContain("→ 3 bytes");
  });

  it.each([
    ["a buffer", Uint8Array.of(1, 2, 3, 4).buffer, [1, 2, 3, 4]],
    ["a part of a buffer", Uint8Array.of(1, 2, 3, 4).subarray(1, 3), [2, 3]],
    ["a view", new DataView(Uint8Array.of(1, 2, 3, 4).buffer, 2), [3, 4]],
    ["wider numbers", Uint16Array.of(0x0201, 0x0403), [1, 2, 3, 4]],
    ["nothing", new Uint8Array(0), []],
  ])("may be %s", async (_what, given, expected) => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    room.sendBinary(given);
    expect([...(await peer.binary.take()).bytes]).toEqual(expected);
  });

  it.each(["text", 7, null, undefined, {}])("is refused if it is %j", async (value) => {
    const { room } = await connectScripted();
    // JavaScript code can pass this.
    const bytes = value as unknown as Uint8Array;
    expect(() => room.sendBinary(bytes)).toThrow(TypeError);
  });

  it("waits for a connection, with the bytes from the time of the call", async () => {
    const { room, peers } = await connectScripted();
    const bytes = Uint8Array.of(1, 2);
    room.sendText("one");
    room.sendBinary(bytes);
    room.sendText("two");
    bytes.fill(9);
    const peer = await peers.take();
    await peer.roundtrip();
    expect(peer.binary.all).toEqual([]);
    peer.welcome();
    expect(await peer.binary.take()).toEqual({ bytes: Uint8Array.of(1, 2), after: 1 });
    expect(await peer.received.have(2)).toMatchObject([{ text: "one" }, { text: "two" }]);
  });

  it("is sent once, while unanswered frames are sent again", async () => {
    const running = await connectScripted();
    const { room, peers } = running;
    const first = await peers.take();
    first.welcome();
    await waitForState(room, "open");
    room.sendText("one");
    room.sendBinary(Uint8Array.of(1));
    await first.binary.have(1);
    const second = await running.reconnect();
    room.sendBinary(Uint8Array.of(2));
    second.welcome();
    expect(await second.binary.take()).toEqual({ bytes: Uint8Array.of(2), after: 1 });
    expect(second.received.all).toMatchObject([{ text: "one" }]);
    await second.roundtrip();
    expect(second.binary.all).toHaveLength(1);
  });

  it("does not count against the ids that the server remembers", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    const upload = room.request("upload");
    for (let count = 0; count < 300; count += 1) room.sendBinary(Uint8Array.of(count % 256));
    await peer.binary.have(300);
    peer.reply(1, "done");
    expect(await upload).toBe("done");
  });

  it("waits behind a frame that has to wait", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    for (let count = 1; count <= 129; count += 1) room.sendText(String(count));
    room.sendBinary(Uint8Array.of(1));
    await peer.roundtrip();
    expect([peer.received.all.length, peer.binary.all.length]).toEqual([128, 0]);
    peer.reply(1);
    expect((await peer.binary.take()).after).toBe(129);
  });

  it("is dropped and counted, like other frames, when too many wait", async () => {
    const { room, peers } = await connectScripted({ queueMessagesMax: 2, queueBytesMax: 100 });
    const dropped = watch(room, "dropped");
    for (const byte of [1, 2, 3]) room.sendBinary(Uint8Array.of(byte));
    expect(dropped.all).toEqual([{ count: 1, reason: "full" }]);
    room.sendBinary(new Uint8Array(101));
    room.sendBinary(new Uint8Array(99));
    expect(dropped.all.slice(1)).toEqual([
      { count: 1, reason: "full" },
      { count: 1, reason: "full" },
    ]);
    const peer = await peers.take();
    peer.welcome();
    const sent = await peer.binary.have(2);
    expect(sent.map(({ bytes }) => [bytes[0], bytes.length])).toEqual([
      [3, 1],
      [0, 99],
    ]);
  });

  it("is dropped when the room is closed, and after that", async () => {
    const { room } = await connectScripted();
    const dropped = watch(room, "dropped");
    room.sendBinary(Uint8Array.of(1));
    room.close();
    room.sendBinary(Uint8Array.of(2));
    expect(dropped.all).toEqual([
      { count: 1, reason: "closed" },
      { count: 1, reason: "closed" },
    ]);
  });
});
