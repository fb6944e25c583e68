import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { connect, type StateDetail } from "../../src/client/index.js";
import type { Clock } from "../../src/connection/clock.js";
import { ManualClock } from "../../src/testing/clock.js";
import { fakeSockets } from "./fakeSocket.js";
import { connectScripted, Mailbox, waitForState, watch } from "./scripted.js";

describe("a room that lost its connection", () => {
  it("connects again without since if it never had a position", async () => {
    const { room, peers, clock } = await connectScripted();
    (await peers.take()).close(1011);
    await waitForState(room, "waiting");
    clock.advance(500);
    const second = await peers.take();
    expect(second.since).toBeNull();
    second.welcome();
    await waitForState(room, "open");
    expect(room.position).toBeUndefined();
    second.terminate();
    await waitForState(room, "waiting");
    clock.advance(1_000);
    expect((await peers.take()).since).toBeNull();
  });

  it("sends the position of the welcome, even if it is 0", async () => {
    const { room, peers, clock } = await connectScripted();
    const first = await peers.take();
    first.welcomeAt(0);
    await waitForState(room, "open");
    expect(room.position).toEqual({ epoch: "e", offset: 0 });
    first.close(1012);
    await waitForState(room, "waiting");
    clock.advance(500);
    expect((await peers.take()).since).toBe("e:0");
  });

  it("has the position of the welcome when it is reported open, and is reported as recovered after that", async () => {
    const running = await connectScripted();
    const { room } = running;
    const story: unknown[] = [];
    room.on("state", (state) => state === "open" && story.push(room.position));
    room.on("recovered", () => story.push("recovered"));
    (await running.peers.take()).welcomeAt(3);
    await waitForState(room, "open");
    const second = await running.reconnect();
    second.welcomeAt(3, { recovered: true });
    await second.roundtrip();
    const position = { epoch: "e", offset: 3 };
    expect(story).toEqual([position, position, "recovered"]);
  });

  it("sends the last offset that it received, with or without content, and the same client id", async () => {
    const { room, peers, clock } = await connectScripted();
    const messages = watch(room, "message");
    const first = await peers.take();
    first.welcomeAt(41);
    first.publish(42, 43);
    first.send({ type: "message", offset: 44 });
    first.send({ type: "message", data: "for you" });
    expect((await messages.have(3)).map(({ data }) => data)).toEqual([42, 43, "for you"]);
    first.terminate();
    await waitForState(room, "waiting");
    clock.advance(500);
    const second = await peers.take();
    expect(second.since).toBe("e:44");
    expect(second.client).toMatch(/^[\w-]{22}$/);
    expect(second.client).toBe(first.client);
  });

  it("waits up to a bound that doubles after quick closes, and stays at 30 seconds", async () => {
    const running = await connectScripted({}, (peer) => {
      peer.welcome();
      peer.close(1012);
    });
    const { delays } = running;
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      const delayMs = (await delays.have(attempt)).at(-1) ?? 0;
      running.clock.advance(delayMs - 1);
      await running.settled();
      expect(running.peers.all).toHaveLength(attempt);
      running.clock.advance(1);
      await running.peers.have(attempt + 1);
    }
    expect(delays.all.slice(0, 10)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  });

  it("waits a random time between 0 and the bound", async () => {
    const drawn = [0, 0.5, 0.25, 0.999];
    const running = await connectScripted({ random: () => drawn.shift() ?? 0 }, (peer) => peer.close(1011));
    const { delays } = running;
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      running.clock.advance((await delays.have(attempt)).at(-1) ?? 0);
      await running.peers.have(attempt + 1);
    }
    expect(delays.all.slice(0, 4)).toEqual([0, 500, 500, 3_996]);
  });

  it.each([
    [4_999, 1_000],
    [5_000, 500],
  ])("waits, after it was open for %i ms, up to %i ms", async (openMs, boundMs) => {
    const running = await connectScripted();
    const { room, peers, clock, delays } = running;
    (await peers.take()).close(1011);
    await delays.have(1);
    clock.advance(500);
    const second = await peers.take();
    second.welcome();
    await waitForState(room, "open");
    clock.advance(openMs);
    second.close(1011);
    expect(await delays.have(2)).toEqual([500, boundMs]);
  });

  it.each([1001, 1006, 1011, 1012, 1013, 4000, 4008, 4499])("reconnects after %i", async (code) => {
    const { room, peers, clock } = await connectScripted();
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    if (code === 1006) peer.terminate();
    else peer.close(code);
    await waitForState(room, "waiting");
    clock.advance(500);
    expect(await peers.have(2)).toHaveLength(2);
  });

  it("reconnects after a close without a code", async () => {
    const { WebSocket, made } = fakeSockets();
    const clock = new ManualClock();
    const room = connect("ws://localhost/x", { WebSocket, clock, random: () => 0 });
    const first = await made.take();
    first.welcome();
    first.end(1005);
    expect(room.state).toBe("waiting");
    clock.advance(0);
    expect(await made.have(2)).toHaveLength(2);
  });

  it.each([1000, 1003, 1007, 1008, 1009, 3000, 3999, 4500, 4501, 4504, 4999])(
    "is closed for good by %i",
    async (code) => {
      const { room, peers, clock, settled } = await connectScripted();
      const details: StateDetail[] = [];
      room.on("state", (state, detail) => state === "closed" && details.push(detail));
      const peer = await peers.take();
      peer.welcome();
      peer.close(code, "why");
      await waitForState(room, "closed");
      const status = { 4501: 401, 4504: 404 }[code];
      expect(details).toEqual([{ code, reason: "why", status }]);
      clock.advance(3_600_000);
      await settled();
      expect(peers.all).toHaveLength(1);
      await expect(room.request("join")).rejects.toMatchObject({ code: "closed" });
    },
  );

  it("tries again after a refusal, and reports its result", async () => {
    const running = await connectScripted();
    const { room, peers, clock } = running;
    (await peers.take()).close(1011);
    await waitForState(room, "waiting");
    running.answer = "refuse";
    const states = watch(room, "state");
    clock.advance(500);
    await states.have(2);
    running.answer = "accept";
    clock.advance(1_000);
    (await peers.have(2))[1]?.welcome();
    expect(await states.have(4)).toEqual(["connecting", "waiting", "connecting", "open"]);
  });
});

describe("a dead connection", () => {
  it("is given up if it has not opened after 10 seconds", async () => {
    const running = await connectScripted();
    const { room, peers, clock, unanswered } = running;
    (await peers.take()).close(1011);
    await waitForState(room, "waiting");
    running.answer = "hold";
    clock.advance(500);
    await unanswered.have(1);
    clock.advance(9_999);
    expect(room.state).toBe("connecting");
    clock.advance(1);
    expect(room.state).toBe("waiting");
    running.answer = "accept";
    clock.advance(1_000);
    (await peers.have(2))[1]?.welcome();
    await waitForState(room, "open");
  });

  it("is given up if it has opened without a welcome after 10 seconds", async () => {
    const { room, peers, clock } = await connectScripted();
    const peer = await peers.take();
    peer.send({ type: "message", data: "too early" });
    await peer.roundtrip();
    clock.advance(10_000);
    expect(room.state).toBe("waiting");
    await peer.closed;
  });

  it("is detected by a ping without an answer, and replaced", async () => {
    const { room, peers, clock } = await connectScripted();
    const peer = await peers.take();
    peer.welcomeAt(7, { heartbeatMs: 25_000 });
    await waitForState(room, "open");
    clock.advance(24_999);
    await peer.roundtrip();
    expect(peer.received.all).toEqual([]);
    clock.advance(1);
    expect(await peer.received.take()).toEqual({ type: "ping" });
    clock.advance(9_999);
    expect(room.state).toBe("open");
    clock.advance(1);
    expect(room.state).toBe("waiting");
    clock.advance(500);
    expect((await peers.have(2))[1]?.since).toBe("e:7");
  });

  it.each(["pong", "message"])("is not assumed after a %s", async (type) => {
    const { room, peers, clock } = await connectScripted();
    const peer = await peers.take();
    peer.welcome({ heartbeatMs: 25_000 });
    await waitForState(room, "open");
    for (let beat = 1; beat <= 5; beat += 1) {
      clock.advance(25_000);
      await peer.received.have(beat);
      peer.send({ type, data: beat });
      await peer.roundtrip();
      // By now a missing answer would have been too late.
      clock.advance(10_000);
      expect(room.state).toBe("open");
      // The time counts from when a message arrived.
      clock.advance(15_000 - 1);
      await peer.roundtrip();
      expect(peer.received.all).toHaveLength(beat);
      clock.advance(1);
      expect(await peer.received.have(beat + 1)).toHaveLength(beat + 1);
      peer.send({ type });
      await peer.roundtrip();
      peer.received.all.length = beat;
    }
  });

  it("is not looked for if the server has no heartbeat", async () => {
    const { room, peers, clock } = await connectScripted();
    const peer = await peers.take();
    peer.welcome({ heartbeatMs: 0 });
    await waitForState(room, "open");
    clock.advance(3_600_000);
    await peer.roundtrip();
    expect(peer.received.all).toEqual([]);
    expect(room.state).toBe("open");
  });
});

describe("a replaced socket", () => {
  it("has no effect by a late close, message or error", async () => {
    const { WebSocket, made } = fakeSockets();
    const clock = new ManualClock();
    const room = connect("ws://localhost/x", { WebSocket, clock, random: () => 0 });
    const messages = watch(room, "message");
    const states = watch(room, "state");
    const old = await made.take();
    old.welcome({ heartbeatMs: 1_000, position: { epoch: "e", offset: 1 } });
    clock.advance(11_000);
    clock.advance(0);
    const fresh = await made.take();
    fresh.welcome({ recovered: true, position: { epoch: "e", offset: 1 } });
    expect(states.all).toEqual(["open", "waiting", "connecting", "open"]);
    old.frame({ type: "message", offset: 2, data: "late" });
    old.tell("error");
    old.end(4501);
    old.end(1006);
    expect(room.state).toBe("open");
    expect(room.position).toEqual({ epoch: "e", offset: 1 });
    room.sendText("hello");
    expect(fresh.sent).toEqual([{ type: "message", text: "hello", id: 1 }]);
    fresh.frame({ type: "message", offset: 2, data: "live" });
    await messages.have(1);
    expect(messages.all.map(({ data }) => data)).toEqual(["live"]);
    expect([old.closes.length, fresh.closes.length]).toEqual([1, 0]);
    expect(made.all).toHaveLength(2);
    room.close();
  });

  it("is closed if it opens after it was given up", async () => {
    const { WebSocket, made } = fakeSockets();
    const clock = new ManualClock();
    const room = connect("ws://localhost/x", { WebSocket, clock, random: () => 0 });
    const slow = await made.take();
    clock.advance(10_000);
    clock.advance(0);
    await made.have(2);
    slow.welcome({ heartbeatMs: 1_000 });
    expect(room.state).toBe("connecting");
    clock.advance(1_000);
    expect(slow.sent).toEqual([]);
    expect(slow.closes).toHaveLength(1);
    room.close();
  });
});

describe("close", () => {
  it("leaves no timer that keeps a process alive, and no timer exceeds the maximum", async () => {
    const time = new ManualClock();
    const running = new Set<object>();
    const clock: Clock = {
      now: () => time.now(),
      setTimeout(callback, ms) {
        expect(ms).toBeLessThan(2 ** 31);
        const fire = () => {
          running.delete(counted);
          callback();
        };
        const timer = time.setTimeout(fire, ms);
        const counted = { cancel: () => running.delete(counted) && timer.cancel() };
        running.add(counted);
        return counted;
      },
    };
    const { WebSocket, made } = fakeSockets();
    const room = connect("ws://localhost/x", { WebSocket, clock });
    const socket = await made.take();
    expect(running.size).toBe(1);
    socket.welcome();
    expect(running.size).toBe(0);
    const endless = room.request("one", undefined, { timeoutMs: Number.POSITIVE_INFINITY });
    const replied = room.request("two");
    const closed = room.request("three");
    expect(running.size).toBe(2);
    socket.frame({ type: "reply", id: 1, data: 1 });
    socket.frame({ type: "reply", id: 2, data: 2 });
    expect(await Promise.all([endless, replied])).toEqual([1, 2]);
    expect(running.size).toBe(1);
    socket.frame({ type: "drain", withinMs: 10_000, afterMs: 1_000 });
    expect(running.size).toBe(2);
    time.advance(1_000);
    await made.have(2);
    room.close();
    await expect(closed).rejects.toMatchObject({ code: "closed" });
    expect(running.size).toBe(0);
  });

  it("closes with the code and the reason, reports them, and does not reconnect", async () => {
    const { room, peers, clock, settled } = await connectScripted();
    const states = watch(room, "state");
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    room.close(3001, "bye");
    expect(await peer.closed).toEqual({ code: 3001, reason: "bye" });
    room.close();
    clock.advance(3_600_000);
    await settled();
    expect(states.all).toEqual(["open", "closed"]);
    expect(peers.all).toHaveLength(1);
  });

  it("has the code 1000 by default, and cuts a long reason at a character boundary", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    room.close(undefined, "ä".repeat(100));
    expect(await peer.closed).toEqual({ code: 1000, reason: "ä".repeat(61) });
  });

  it.each([1001, 1006, 999, 2999, 5000, Number.NaN])("refuses the code %d, and stays open", async (code) => {
    const { room } = await connectScripted();
    expect(() => room.close(code)).toThrow(expect.objectContaining({ code: "ERR_CLOSE_CODE" }));
    expect(room.state).toBe("connecting");
  });

  it("ends the wait for the next attempt", async () => {
    const { room, peers, clock, settled } = await connectScripted();
    (await peers.take()).close(1011);
    await waitForState(room, "waiting");
    room.close();
    clock.advance(3_600_000);
    await settled();
    expect(peers.all).toHaveLength(1);
    expect(room.state).toBe("closed");
  });

  it("ends an attempt, also from a listener of its state", async () => {
    const { room, peers, clock, settled } = await connectScripted();
    room.on("state", (state) => state === "waiting" && room.close());
    (await peers.take()).close(1011);
    await waitForState(room, "closed");
    clock.advance(3_600_000);
    await settled();
    expect(peers.all).toHaveLength(1);
  });

  it("leaves nothing running when a listener of the opening calls it", async () => {
    const { room, peers, clock } = await connectScripted();
    room.on("state", (state) => state === "open" && room.close());
    const peer = await peers.take();
    peer.welcome({ heartbeatMs: 1_000 });
    await peer.closed;
    clock.advance(3_600_000);
    expect(room.state).toBe("closed");
    expect(peer.received.all).toEqual([]);
  });

  it("opens no socket if it comes before the token", async () => {
    const { WebSocket, made } = fakeSockets();
    const asked = new Mailbox<(token: string) => void>();
    const room = connect("ws://localhost/x", { WebSocket, token: () => new Promise((resolve) => asked.put(resolve)) });
    const answer = await asked.take();
    room.close();
    answer("late");
    await new Promise((resolve) => setImmediate(resolve));
    expect(made.all).toEqual([]);
  });
});

describe("a page", () => {
  /** A page whose events the test emits, with the number of its listeners. */
  class Page extends EventTarget {
    listeners = 0;
    override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
      this.listeners += 1;
      super.addEventListener(...args);
    }
    override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
      this.listeners -= 1;
      super.removeEventListener(...args);
    }
  }

  function page(): Page {
    const target = new Page();
    for (const name of ["addEventListener", "removeEventListener"] as const) {
      Reflect.set(globalThis, name, target[name].bind(target));
      onTestFinished(() => {
        Reflect.deleteProperty(globalThis, name);
      });
    }
    return target;
  }

  it("that comes online connects at once", async () => {
    const target = page();
    const { room, peers } = await connectScripted();
    (await peers.take()).close(1011);
    await waitForState(room, "waiting");
    target.dispatchEvent(new Event("online"));
    expect(room.state).toBe("connecting");
    (await peers.take()).welcome();
    await waitForState(room, "open");
    target.dispatchEvent(new Event("online"));
    expect(room.state).toBe("open");
  });

  it("that goes offline waits, and continues its attempts when it is back", async () => {
    const target = page();
    const { room, peers } = await connectScripted();
    (await peers.take()).welcomeAt(3);
    await waitForState(room, "open");
    target.dispatchEvent(new Event("offline"));
    expect(room.state).toBe("waiting");
    target.dispatchEvent(new Event("online"));
    expect((await peers.take()).since).toBe("e:3");
  });

  it("that reports offline keeps trying, because the report may be wrong", async () => {
    const target = page();
    const { room, peers, clock } = await connectScripted();
    (await peers.take()).welcome();
    await waitForState(room, "open");
    target.dispatchEvent(new Event("offline"));
    clock.advance(500);
    (await peers.take()).welcome();
    await waitForState(room, "open");
  });

  it("that is hidden closes cleanly, and connects when it is shown again", async () => {
    const target = page();
    const { room, peers, clock, settled } = await connectScripted();
    const peer = await peers.take();
    peer.welcomeAt(3);
    await waitForState(room, "open");
    target.dispatchEvent(new Event("pagehide"));
    expect(await peer.closed).toEqual({ code: 1000, reason: "" });
    target.dispatchEvent(new Event("offline"));
    target.dispatchEvent(new Event("online"));
    expect(room.state).toBe("waiting");
    clock.advance(3_600_000);
    await settled();
    expect([room.state, peers.all.length]).toEqual(["waiting", 1]);
    target.dispatchEvent(new Event("pageshow"));
    const second = await peers.have(2);
    expect(second[1]?.since).toBe("e:3");
    target.dispatchEvent(new Event("pageshow"));
    await settled();
    expect(peers.all).toHaveLength(2);
  });

  it("has no listeners after the room is closed", async () => {
    const target = page();
    const { room, peers, settled } = await connectScripted();
    await peers.take();
    expect(target.listeners).toBe(4);
    room.close();
    expect(target.listeners).toBe(0);
    for (const event of ["offline", "online", "pagehide", "pageshow"]) target.dispatchEvent(new Event(event));
    await settled();
    expect(room.state).toBe("closed");
    expect(peers.all).toHaveLength(1);
  });
});

describe("two rooms", () => {
  it("have different client ids, also with the same injected random", async () => {
    const { url, peers } = await connectScripted({ random: () => 0 });
    const other = connect(url, { WebSocket, random: () => 0 });
    onTestFinished(() => other.close());
    const [one, two] = await peers.have(2);
    expect(one?.client).not.toBe(two?.client);
  });
});
