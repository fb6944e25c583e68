import { describe, expect, it } from "vitest";
import { connectScripted, type Peer, type ScriptedRoom, waitForState, watch } from "./scripted.js";

interface Drained extends ScriptedRoom {
  readonly old: Peer;
  readonly next: Peer;
}

/** A room at offset 5 whose server drains, with both connections. */
async function startDrain(first: (peer: Peer) => void = (peer) => peer.welcomeAt(5)): Promise<Drained> {
  const running = await connectScripted();
  const old = await running.peers.take();
  first(old);
  await waitForState(running.room, "open");
  old.send({ type: "drain", withinMs: 10_000 });
  return Object.assign(running, { old, next: await running.peers.take() });
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

  it("sends unanswered frames again over the second, and no answered ones", async () => {
    const { room, old, next } = await startDrain();
    room.sendText("replied");
    const reply = room.request("join");
    await old.received.have(2);
    old.reply(1);
    await old.roundtrip();
    next.welcomeAt(5, { recovered: true });
    await old.closed;
    room.sendText("newer");
    expect(await next.received.have(2)).toMatchObject([
      { event: "join", id: 2 },
      { text: "newer", id: 3 },
    ]);
    next.reply(2, "done");
    expect(await reply).toBe("done");
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

  it.each([1011, 4501])("keeps the first until it ends if the second fails with %i", async (code) => {
    const { room, old, next, clock, peers } = await startDrain();
    const messages = watch(room, "message");
    next.close(code);
    await next.closed;
    old.publish(6);
    await messages.have(1);
    expect(room.state).toBe("open");
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

  it("opens one second connection for two drain frames", async () => {
    const { old, peers, settled } = await startDrain();
    old.send({ type: "drain", withinMs: 5_000 });
    await old.roundtrip();
    await settled();
    expect(peers.all).toHaveLength(2);
  });

  it("may be followed by another drain, on the second", async () => {
    const { room, old, next, peers } = await startDrain();
    next.welcomeAt(5, { recovered: true });
    await old.closed;
    next.send({ type: "drain", withinMs: 5_000 });
    const third = (await peers.have(3))[2];
    third?.welcomeAt(5, { recovered: true });
    expect((await next.closed).code).toBe(1000);
    expect(room.state).toBe("open");
  });

  it("closes both when the room is closed", async () => {
    const { room, old, next } = await startDrain();
    await next.roundtrip();
    room.close(3000);
    expect((await old.closed).code).toBe(3000);
    expect((await next.closed).code).toBe(1000);
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
