import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { ConnectError, connect } from "../../src/client/index.js";
import { ManualClock } from "../../src/testing/clock.js";
import { connectScripted, waitForState, watch } from "./scripted.js";

describe("opened", () => {
  it("resolves with the room at its first welcome, and stays resolved", async () => {
    const running = await connectScripted();
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

  it("resolves also if earlier attempts failed", async () => {
    const running = await connectScripted();
    (await running.peers.take()).close(1011);
    await waitForState(running.room, "waiting");
    (await running.reconnect()).welcome();
    expect(await running.room.opened).toBe(running.room);
  });

  it("stays pending while the server cannot be reached, which is reported only once", async () => {
    const running = await connectScripted();
    const { room, errors, peers } = running;
    (await peers.take()).terminate();
    await waitForState(room, "waiting");
    (await running.reconnect()).terminate();
    await running.delays.have(2);
    expect(errors).toMatchObject([
      { name: "ConnectError", code: "ERR_CONNECTION", closeCode: 1006, status: undefined },
    ]);
    (await running.reconnect()).welcome();
    expect(await room.opened).toBe(room);
    await running.reconnect();
    expect(errors).toHaveLength(1);
  });

  it("says why no server listens at its address", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    // The server listens to TCP.
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    const room = connect(`ws://127.0.0.1:${port}/chat/general`, { WebSocket, clock: new ManualClock() });
    onTestFinished(() => room.close());
    const [error] = await watch(room, "error").have(1);
    expect(error?.message).toBe(`no connection: 1006 connect ECONNREFUSED 127.0.0.1:${port}`);
    expect(room.state).toBe("waiting");
  });

  it("rejects if the server closes the room for good before", async () => {
    const { room, peers } = await connectScripted();
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

  it("rejects if the room is closed on this side before", async () => {
    const { room } = await connectScripted();
    room.close(4_000, "never mind");
    await expect(room.opened).rejects.toMatchObject({ closeCode: 4_000, message: "no connection: 4000 never mind" });
  });

  it("causes no unhandled rejection if it is never read", async () => {
    const unhandled: unknown[] = [];
    const listener = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", listener);
    onTestFinished(() => {
      process.off("unhandledRejection", listener);
    });
    const { room } = await connectScripted();
    room.close();
    // Node reports an unhandled rejection at the end of its tick.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });
});

describe("await using", () => {
  it("closes the room with 1000 at the end of its block", async () => {
    const running = await connectScripted();
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
