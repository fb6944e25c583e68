import { describe, expect, it, onTestFinished } from "vitest";
import { ConnectError } from "../../src/client/index.js";
import { reached, scene } from "./scripted.js";

describe("opened", () => {
  it("resolves with the room at its first welcome, and stays so", async () => {
    const running = await scene();
    const { room, peers } = running;
    const first = await peers.take();
    let isOpened = false;
    const opened = room.opened.then((value) => {
      isOpened = true;
      return value;
    });
    await first.roundtrip();
    expect(isOpened).toBe(false);
    first.welcome();
    expect(await opened).toBe(room);
    room.close();
    expect(await room.opened).toBe(room);
  });

  it("resolves also when earlier attempts failed", async () => {
    const running = await scene();
    (await running.peers.take()).close(1011);
    await reached(running.room, "waiting");
    (await running.again()).welcome();
    expect(await running.room.opened).toBe(running.room);
  });

  it("rejects when the server closes the room for good before", async () => {
    const { room, peers } = await scene();
    (await peers.take()).close(3_001, "no\nplace");
    const error = await room.opened.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({
      name: "ConnectError",
      closeCode: 3_001,
      status: undefined,
      message: "no connection: 3001 no\\u{a}place",
    });
  });

  it("rejects when the room is closed on this side before", async () => {
    const { room } = await scene();
    room.close(4_000, "never mind");
    await expect(room.opened).rejects.toMatchObject({ closeCode: 4_000, message: "no connection: 4000 never mind" });
  });

  it("is no unhandled rejection when nobody asks for it", async () => {
    const unhandled: unknown[] = [];
    const listener = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", listener);
    onTestFinished(() => {
      process.off("unhandledRejection", listener);
    });
    const { room } = await scene();
    room.close();
    // Node reports at the end of the tick in which it was rejected.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });
});

describe("await using", () => {
  it("closes the room with 1000 at the end of its block", async () => {
    const running = await scene();
    const peer = await running.peers.take();
    peer.welcome();
    {
      await using room = await running.room.opened;
      expect(room.state).toBe("open");
    }
    expect(running.room.state).toBe("closed");
    expect((await peer.closed).code).toBe(1000);
  });
});
