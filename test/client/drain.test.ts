import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { connectScripted, type Peer, type ScriptedRoom, waitForState, watch } from "./scripted.js";

interface Drained extends ScriptedRoom {
  readonly old: Peer;
  readonly next: Peer;
}

type Opened = Omit<Drained, "next">;

/** A room at offset 5 with one connection. */
async function openRoom(first: (peer: Peer) => void = (peer) => peer.welcomeAt(5)): Promise<Opened> {
  const running = await connectScripted();
  const old = await running.peers.take();
  first(old);
  await waitForState(running.room, "open");
  return Object.assign(running, { old });
}

/** Sends a drain frame to a client, and has its moment come. Resolves with the next connection. */
async function drain({ clock, peers }: Opened, peer: Peer): Promise<Peer> {
  peer.send({ type: "drain", withinMs: 10_000, afterMs: 2_000 });
  await peer.roundtrip();
  clock.advance(2_000);
  return peers.take();
}

/** A room at offset 5 whose server drains, with both connections. */
async function startDrain(first?: (peer: Peer) => void): Promise<Drained> {
  const opened = await openRoom(first);
  return Object.assign(opened, { next: await drain(opened, opened.old) });
}

describe("a drain", () => {
  it("opens a second connection, and closes the first only after the second welcome", async () => {
    const { room, old, next } = await startDrain();
    const states = watch(room, "state");
    const messages = watch(room, "message");
    expect([next.since, next.client]).toEqual(["e:5", old.client]);
    old.publish(6, 7);
    await old.roundtrip();
    expect(room.position).toEqual({ epoch: "e", offset: 7 });
    next.welcomeAt(5, { recovered: true, id: "connection-2" });
    next.publish(6, 7, 8);
    expect(await old.closed).toEqual({ code: 1000, reason: "" });
    await next.roundtrip();
    expect(messages.all.map(({ data }) => data)).toEqual([6, 7, 8]);
    expect([room.id, room.position, states.all]).toEqual(["connection-2", { epoch: "e", offset: 8 }, []]);
  });

  it("loses no message that the first has not delivered, and ignores the first from then on", async () => {
    const { room, old, next } = await startDrain();
    const [messages, lost] = [watch(room, "message"), watch(room, "lost")];
    next.welcomeAt(5, { recovered: true });
    next.publish(6);
    await next.roundtrip();
    old.publish(6, 7);
    old.send({ type: "message", data: "twice" });
    next.publish(7);
    await old.closed;
    await next.roundtrip();
    expect(messages.all.map(({ data }) => data)).toEqual([6, 7]);
    expect(lost.all).toEqual([]);
  });

  it("waits for its moment, and keeps the first in use until then", async () => {
    const { room, old, clock, peers, settled } = await openRoom();
    const messages = watch(room, "message");
    old.send({ type: "drain", withinMs: 10_000, afterMs: 2_000 });
    await old.roundtrip();
    clock.advance(1_999);
    await settled();
    expect(peers.all).toHaveLength(1);
    old.publish(6);
    await messages.have(1);
    clock.advance(1);
    expect((await peers.take()).since).toBe("e:6");
    expect(room.state).toBe("open");
  });

  it("needs no moment from an older server: it opens the second connection at once", async () => {
    const { old, clock, peers } = await openRoom();
    old.send({ type: "drain", withinMs: 10_000 });
    await old.roundtrip();
    clock.advance(0);
    expect((await peers.take()).since).toBe("e:5");
  });

  it("waits as after any end if the first ends before the moment, and connects once", async () => {
    const { room, old, clock, peers, delays, settled } = await openRoom();
    clock.advance(5_000);
    old.send({ type: "drain", withinMs: 10_000, afterMs: 2_000 });
    await old.roundtrip();
    old.close(1001);
    await waitForState(room, "waiting");
    expect(delays.all).toEqual([500]);
    clock.advance(500);
    (await peers.take()).welcomeAt(5, { recovered: true });
    await waitForState(room, "open");
    clock.advance(10_000);
    await settled();
    expect(peers.all).toHaveLength(2);
  });

  it("sends new frames over the second, and waits on the first for the replies to older ones", async () => {
    const { room, old, next } = await startDrain();
    room.sendText("replied");
    const [join, leave] = [room.request("join"), room.request("leave")];
    await old.received.have(3);
    old.reply(1);
    await old.roundtrip();
    next.welcomeAt(5, { recovered: true });
    await next.roundtrip();
    room.sendText("newer");
    expect(await next.received.have(1)).toMatchObject([{ text: "newer", id: 4 }]);
    old.reply(3, "left");
    old.reply(2, "joined");
    expect([await join, await leave]).toEqual(["joined", "left"]);
    expect(await old.closed).toEqual({ code: 1000, reason: "" });
    next.reply(4);
    await next.roundtrip();
    expect([old.received.all.length, next.received.all.length]).toEqual([3, 1]);
  });

  it("ignores everything but replies on the first while it waits for them", async () => {
    const { room, old, next, clock, peers } = await startDrain();
    const [messages, lost, states] = [watch(room, "message"), watch(room, "lost"), watch(room, "state")];
    room.onRequest("ask", () => "answer");
    const reply = room.request("join");
    await old.received.have(1);
    next.welcomeAt(5, { recovered: true, id: "connection-2" });
    await next.roundtrip();
    old.publish(6, 9);
    old.send({ type: "message", data: "twice" });
    old.send({ type: "lagged", missed: 3 });
    old.send({ type: "request", id: 1, event: "ask" });
    old.send({ type: "drain", withinMs: 1_000, afterMs: 0 });
    await old.roundtrip();
    clock.advance(5_000);
    next.publish(6);
    old.reply(1, "joined");
    expect(await reply).toBe("joined");
    await old.closed;
    await next.roundtrip();
    expect(messages.all.map(({ data }) => data)).toEqual([6]);
    expect([lost.all, states.all, peers.all.length, old.received.all.length]).toEqual([[], [], 2, 1]);
  });

  it("sends unanswered frames again over the second, in order, when the first has ended", async () => {
    const { room, old, next } = await startDrain();
    const [one, two] = [room.request("one"), room.request("two")];
    await old.received.have(2);
    next.welcomeAt(5, { recovered: true });
    await next.roundtrip();
    const three = room.request("three");
    await next.received.have(1);
    old.terminate();
    const frames = await next.received.have(3);
    expect(frames.map(({ id, event }) => [id, event])).toEqual([
      [3, "three"],
      [1, "one"],
      [2, "two"],
    ]);
    for (const id of [1, 2, 3]) next.reply(id, id);
    expect(await Promise.all([one, two, three])).toEqual([1, 2, 3]);
  });

  it("sends all unanswered frames again, in order, when both have ended", async () => {
    const running = await startDrain();
    const { room, old, next } = running;
    const replies = [room.request("one")];
    await old.received.have(1);
    next.welcomeAt(5, { recovered: true });
    await next.roundtrip();
    replies.push(room.request("two"));
    await next.received.have(1);
    old.terminate();
    await next.received.have(2);
    const third = await running.reconnect();
    third.welcomeAt(5, { recovered: true });
    const frames = await third.received.have(2);
    expect(frames.map(({ id, event }) => [id, event])).toEqual([
      [1, "one"],
      [2, "two"],
    ]);
    for (const id of [1, 2]) third.reply(id, id);
    expect(await Promise.all(replies)).toEqual([1, 2]);
  });

  it("gets replies on the first also while the second is broken, and does not send these frames again", async () => {
    const running = await startDrain();
    const { room, old, next, clock, delays, peers } = running;
    const reply = room.request("one");
    await old.received.have(1);
    next.welcomeAt(5, { recovered: true });
    await next.roundtrip();
    next.terminate();
    await waitForState(room, "waiting");
    old.reply(1, "late");
    expect(await reply).toBe("late");
    expect((await old.closed).code).toBe(1000);
    clock.advance(delays.all.at(-1) ?? 0);
    const third = await peers.take();
    third.welcomeAt(5, { recovered: true });
    await third.roundtrip();
    expect(third.received.all).toEqual([]);
  });

  it("closes the first when the last request that it waits for is given up", async () => {
    const { room, old, next } = await startDrain();
    const controller = new AbortController();
    const reply = room.request("join", undefined, { signal: controller.signal });
    await old.received.have(1);
    next.welcomeAt(5, { recovered: true });
    await next.roundtrip();
    controller.abort(new Error("enough"));
    await expect(reply).rejects.toThrow("enough");
    expect((await old.closed).code).toBe(1000);
  });

  it("answers a request of the server on its own connection", async () => {
    const { room, old, next } = await startDrain();
    let answer: (value: string) => void = () => undefined;
    room.onRequest("ask", () => new Promise((resolve) => (answer = resolve)));
    old.send({ type: "request", id: 1, event: "ask" });
    const reply = room.request("join");
    await old.received.have(1);
    next.welcomeAt(5, { recovered: true, id: "connection-2" });
    await next.roundtrip();
    answer("for the first");
    expect((await old.received.have(2))[1]).toEqual({ type: "reply", id: 1, data: "for the first" });
    old.reply(1);
    await reply;
    await old.closed;
    await next.roundtrip();
    expect(next.received.all).toEqual([]);
  });

  it("also switches where no history is kept, and does not load the state again", async () => {
    const running = await startDrain((peer) => peer.welcome());
    const { room, old, next } = running;
    let loads = 0;
    room.onResync(() => {
      loads += 1;
    });
    const lost = watch(room, "lost");
    expect(next.since).toBeNull();
    next.welcome();
    expect((await old.closed).code).toBe(1000);
    await next.roundtrip();
    expect([loads, lost.all]).toEqual([1, []]);
  });

  it("keeps the first until it ends if the second could not recover", async () => {
    const { room, old, next, clock, peers } = await startDrain();
    const [messages, lost] = [watch(room, "message"), watch(room, "lost")];
    next.welcomeAt(0, { recovered: false, reason: "epoch" });
    expect((await next.closed).code).toBe(1000);
    old.publish(6);
    await messages.have(1);
    expect([room.state, lost.all]).toEqual(["open", []]);
    old.close(1001);
    await waitForState(room, "waiting");
    clock.advance(500);
    expect((await peers.have(3))[2]?.since).toBe("e:6");
  });

  it("tries again with longer and longer delays while the first is in use and the second fails", async () => {
    const running = await openRoom();
    const { room, old, clock, peers, unanswered, delays, settled } = running;
    const messages = watch(room, "message");
    clock.advance(5_000);
    running.answer = "refuse";
    old.send({ type: "drain", withinMs: 30_000, afterMs: 0 });
    await old.roundtrip();
    clock.advance(0);
    for (const [index, delayMs] of [500, 1_000, 2_000, 4_000].entries()) {
      const socket = (await unanswered.have(index + 1))[index];
      if (socket !== undefined && !socket.closed) await once(socket, "close");
      await settled();
      old.publish(6 + index);
      await messages.have(index + 1);
      clock.advance(delayMs - 1);
      await settled();
      expect(unanswered.all).toHaveLength(index + 1);
      if (index === 3) running.answer = "accept";
      clock.advance(1);
    }
    const next = await peers.take();
    expect([next.since, room.state, delays.all]).toEqual(["e:9", "open", []]);
    next.welcomeAt(9, { recovered: true });
    expect(await old.closed).toEqual({ code: 1000, reason: "" });
    expect([room.state, running.errors]).toEqual(["open", []]);
  });

  it("tries again after the second failed with a code that allows it", async () => {
    const { room, old, next, clock, peers, settled } = await startDrain();
    next.close(1011);
    await next.closed;
    await settled();
    clock.advance(500);
    const third = await peers.take();
    third.welcomeAt(5, { recovered: true });
    expect(await old.closed).toEqual({ code: 1000, reason: "" });
    expect(room.state).toBe("open");
  });

  it("keeps the first until it ends if the second is refused for good", async () => {
    const { room, old, next, clock, peers, settled } = await startDrain();
    const messages = watch(room, "message");
    next.close(4501);
    await next.closed;
    await settled();
    clock.advance(60_000);
    await settled();
    old.publish(6);
    await messages.have(1);
    expect([room.state, peers.all.length]).toEqual(["open", 2]);
    old.close(1001);
    await waitForState(room, "waiting");
    clock.advance(500);
    expect((await peers.have(3))[2]?.since).toBe("e:6");
  });

  it("keeps the first until it ends if the second gets no welcome", async () => {
    const { room, old, next, clock } = await startDrain();
    await next.roundtrip();
    clock.advance(10_000);
    await next.closed;
    const messages = watch(room, "message");
    old.publish(6);
    await messages.have(1);
    expect(room.state).toBe("open");
  });

  it("continues with the second, without waiting, if the first ends before the second welcome", async () => {
    const { room, old, next, peers, settled } = await startDrain();
    const states = watch(room, "state");
    const messages = watch(room, "message");
    old.publish(6);
    await old.roundtrip();
    old.close(1001);
    await waitForState(room, "connecting");
    next.welcomeAt(5, { recovered: true });
    next.publish(6, 7);
    await next.roundtrip();
    await settled();
    expect(states.all).toEqual(["connecting", "open"]);
    expect(messages.all.map(({ data }) => data)).toEqual([6, 7]);
    expect(peers.all).toHaveLength(2);
  });

  it.each([false, true])(
    "asks again, after the position it has now, if the first reports another epoch; it ends then: %s",
    async (endsFirst) => {
      const { room, old, next, peers } = await startDrain();
      const [messages, lost] = [watch(room, "message"), watch(room, "lost")];
      old.send({ type: "lagged", missed: 0, position: { epoch: "f", offset: 5 } });
      // A server that has not noticed the new epoch would repeat in it what the first delivers from now on.
      expect((await next.closed).code).toBe(1000);
      const third = await peers.take();
      expect(third.since).toBe("f:5");
      old.publish(6, 7);
      await messages.have(2);
      if (endsFirst) {
        old.close(1001);
        await waitForState(room, "connecting");
      }
      third.welcome({ position: { epoch: "f", offset: 5 }, recovered: true });
      third.publish(6, 7, 8);
      await old.closed;
      await messages.have(3);
      expect([messages.all.map(({ data }) => data), lost.all]).toEqual([[6, 7, 8], []]);
    },
  );

  it("counts a loss after what the first has delivered, if the second had asked before", async () => {
    const { room, old, next } = await startDrain();
    const [messages, lost] = [watch(room, "message"), watch(room, "lost")];
    expect(next.since).toBe("e:5");
    old.publish(6, 7, 8);
    await old.roundtrip();
    old.close(1001);
    await waitForState(room, "connecting");
    // From its position, 5 to 10 are missing.
    next.welcomeAt(10, { recovered: false, reason: "trimmed", missed: 5 });
    next.publish(11);
    await next.roundtrip();
    expect(messages.all.map(({ data }) => data)).toEqual([6, 7, 8, 11]);
    expect(lost.all).toEqual([{ reason: "trimmed", missed: 2 }]);
  });

  it("opens one second connection for two drain frames", async () => {
    const { old, peers, clock, settled } = await startDrain();
    old.send({ type: "drain", withinMs: 5_000, afterMs: 100 });
    await old.roundtrip();
    clock.advance(5_000);
    await settled();
    expect(peers.all).toHaveLength(2);
  });

  it("may be followed by another drain, on the second, while the first still waits for a reply", async () => {
    const running = await startDrain();
    const { room, old, next, peers } = running;
    const one = room.request("one");
    await old.received.have(1);
    next.welcomeAt(5, { recovered: true });
    await next.roundtrip();
    const two = room.request("two");
    await next.received.have(1);
    const third = await drain(running, next);
    third.welcomeAt(5, { recovered: true });
    await third.roundtrip();
    next.reply(2, "two");
    expect([await two, (await next.closed).code]).toEqual(["two", 1000]);
    old.reply(1, "one");
    expect([await one, (await old.closed).code]).toEqual(["one", 1000]);
    await third.roundtrip();
    expect([room.state, peers.all.length, third.received.all]).toEqual(["open", 3, []]);
  });

  it("closes all connections when the room is closed", async () => {
    const running = await startDrain();
    const { room, old, next } = running;
    const reply = room.request("join");
    await old.received.have(1);
    next.welcomeAt(5, { recovered: true });
    await next.roundtrip();
    const third = await drain(running, next);
    await third.roundtrip();
    room.close(3000);
    await expect(reply).rejects.toMatchObject({ code: "closed" });
    const codes = await Promise.all([old, next, third].map(async ({ closed }) => (await closed).code));
    expect(codes).toEqual([3000, 3000, 3000]);
  });

  it("closes the second too if the first ends for good", async () => {
    const { room, old, next, clock, peers, settled } = await startDrain();
    old.close(4501);
    await waitForState(room, "closed");
    await next.closed;
    clock.advance(60_000);
    await settled();
    expect(peers.all).toHaveLength(2);
  });
});
