import { describe, expect, it } from "vitest";
import { type Peer, reached, type Scene, scene } from "./scripted.js";

async function opened(): Promise<Scene & { readonly peer: Peer }> {
  const running = await scene();
  const peer = await running.peers.take();
  peer.welcome();
  await reached(running.room, "open");
  return Object.assign(running, { peer });
}

function ask(peer: Peer, id: number | string, event: string, data?: unknown): void {
  peer.send({ type: "request", id, event, data });
}

describe("a request of the server", () => {
  it("is answered with what the listener returns, awaited", async () => {
    const { room, peer } = await opened();
    room.onRequest("add", (data) => Object(data).a + Object(data).b);
    room.onRequest("later", async (data) => [data]);
    ask(peer, 7, "add", { a: 1, b: 2 });
    ask(peer, "x", "later", null);
    expect(await peer.received.have(2)).toEqual([
      { type: "reply", id: 7, data: 3 },
      { type: "reply", id: "x", data: [null] },
    ]);
  });

  it("is answered with null where the listener returns nothing", async () => {
    const { room, peer } = await opened();
    const seen: unknown[] = [];
    room.onRequest("note", (data) => void seen.push(data));
    ask(peer, 1, "note");
    expect(await peer.received.take()).toEqual({ type: "reply", id: 1, data: null });
    expect(seen).toEqual([undefined]);
  });

  it.each(["add", "__proto__", "toString"])(
    "is answered with unknown_event where nobody listens: %s",
    async (event) => {
      const { peer, errors } = await opened();
      ask(peer, 1, event);
      expect(await peer.received.take()).toMatchObject({ type: "reply", id: 1, error: { code: "unknown_event" } });
      expect(errors).toEqual([]);
    },
  );

  it.each([
    ["throws", () => thrown()],
    ["rejects", () => Promise.reject(new Error("secret"))],
  ])("is answered with internal, and nothing more, where the listener %s", async (_how, answer) => {
    const { room, peer, errors } = await opened();
    room.onRequest("add", answer);
    ask(peer, 1, "add");
    expect(await peer.received.take()).toEqual({
      type: "reply",
      id: 1,
      error: { code: "internal", message: "internal error" },
    });
    expect(errors.map(({ message }) => message)).toEqual(["secret"]);
  });

  it("is answered with internal where JSON has no form for the answer", async () => {
    const { room, peer, errors } = await opened();
    room.onRequest("big", () => 1n);
    ask(peer, 1, "big");
    expect(await peer.received.take()).toMatchObject({ id: 1, error: { code: "internal" } });
    expect(errors).toMatchObject([{ name: "TypeError" }]);
  });

  it("is answered by the first of two listeners, and by the other when that is removed", async () => {
    const { room, peer } = await opened();
    const remove = room.onRequest("who", () => "first");
    room.onRequest("who", () => "second");
    ask(peer, 1, "who");
    await peer.received.have(1);
    remove();
    ask(peer, 2, "who");
    expect((await peer.received.have(2)).map(({ data }) => data)).toEqual(["first", "second"]);
  });

  it("is answered no more when the listener was removed, its signal aborted, or it was for once", async () => {
    const { room, peer } = await opened();
    const abort = new AbortController();
    room.onRequest("removed", () => 1)();
    room.onRequest("aborted", () => 2, { signal: abort.signal });
    room.onRequest("once", () => 3, { once: true });
    abort.abort();
    for (const [index, event] of ["removed", "aborted", "once", "once"].entries()) ask(peer, index, event);
    const replies = await peer.received.have(4);
    expect(new Map(replies.map(({ id, data }) => [id, data]))).toEqual(
      new Map([
        [0, undefined],
        [1, undefined],
        [2, 3],
        [3, undefined],
      ]),
    );
  });

  it("is not answered on another connection: there the id is another request's", async () => {
    const running = await opened();
    const { room, peer, errors } = running;
    const answers: ((value: string) => void)[] = [];
    room.onRequest("slow", () => new Promise((resolve) => answers.push(resolve)));
    ask(peer, 1, "slow");
    await peer.roundtrip();
    const second = await running.again();
    answers[0]?.("while there is none");
    second.welcome({ id: "connection-2" });
    await reached(room, "open");
    ask(second, 1, "slow");
    await second.roundtrip();
    answers[0]?.("late");
    answers[1]?.("right");
    expect(await second.received.take()).toEqual({ type: "reply", id: 1, data: "right" });
    await second.roundtrip();
    expect(second.received.all).toHaveLength(1);
    expect(errors).toEqual([]);
  });

  it("is not answered on another connection that opened before the answer was there", async () => {
    const running = await opened();
    const { room, peer } = running;
    const answers: ((value: string) => void)[] = [];
    room.onRequest("slow", () => new Promise((resolve) => answers.push(resolve)));
    ask(peer, 1, "slow");
    await peer.roundtrip();
    const second = await running.again();
    second.welcome({ id: "connection-2" });
    await reached(room, "open");
    answers[0]?.("late");
    await second.roundtrip();
    expect(second.received.all).toEqual([]);
  });

  it("is answered while messages wait for a state to be loaded", async () => {
    const { room, peer } = await opened();
    room.onResync(() => new Promise(() => undefined));
    room.onRequest("ready", () => false);
    ask(peer, 1, "ready");
    expect(await peer.received.take()).toMatchObject({ data: false });
  });

  it("of which the listener closes the room is answered no more", async () => {
    const { room, peer, errors } = await opened();
    room.onRequest("leave", () => room.close());
    ask(peer, 1, "leave");
    await peer.closed;
    expect([peer.received.all, errors]).toEqual([[], []]);
  });
});

function thrown(): never {
  throw new Error("secret");
}
