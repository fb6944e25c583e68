import { describe, expect, it } from "vitest";
import type { ClientRoom, ListenOptions } from "../../src/client/index.js";
import { connectScripted, type Peer, waitForState } from "./scripted.js";

/** An open room, and its peer. */
async function openRoom(): Promise<{ readonly room: ClientRoom; readonly peer: Peer }> {
  const { room, peers } = await connectScripted();
  const peer = await peers.take();
  peer.welcome();
  await waitForState(room, "open");
  return { room, peer };
}

/** Sends events named `said`, as a handler emits them, and resolves when the client has handled them. */
async function say(peer: Peer, ...texts: readonly string[]): Promise<void> {
  for (const data of texts) peer.send({ type: "message", data: { event: "said", data } });
  await peer.roundtrip();
}

type Add = (room: ClientRoom, listener: (value: unknown) => unknown, options?: ListenOptions) => () => void;

/** The ways to add a listener, each for the messages of {@link say}. */
const ways: readonly (readonly [string, Add])[] = [
  ["on", (room, listener, options) => room.on("message", ({ data }) => listener(Object(data).data), options)],
  ["onEvent", (room, listener, options) => room.onEvent("said", listener, options)],
];

describe.each(ways)("%s", (_name, add) => {
  it("returns a function that removes the listener", async () => {
    const { room, peer } = await openRoom();
    const seen: unknown[] = [];
    const remove = add(room, (value) => seen.push(value));
    await say(peer, "one");
    remove();
    remove();
    await say(peer, "two");
    expect(seen).toEqual(["one"]);
  });

  it("removes the listener when its signal is aborted", async () => {
    const { room, peer } = await openRoom();
    const seen: unknown[] = [];
    const abort = new AbortController();
    add(room, (value) => seen.push(value), { signal: abort.signal });
    await say(peer, "one");
    abort.abort();
    await say(peer, "two");
    expect(seen).toEqual(["one"]);
  });

  it("adds no listener if its signal is already aborted, and messages still wait for the first one", async () => {
    const { room, peer } = await openRoom();
    const seen: unknown[] = [];
    add(room, () => seen.push("never"), { signal: AbortSignal.abort() });
    await say(peer, "one");
    add(room, (value) => seen.push(value));
    await say(peer, "two");
    expect(seen).toEqual(["one", "two"]);
  });

  it("calls the listener for one message only, with once", async () => {
    const { room, peer } = await openRoom();
    const seen: unknown[] = [];
    add(room, (value) => seen.push(value), { once: true });
    await say(peer, "one", "two");
    expect(seen).toEqual(["one"]);
  });

  it("leaves no listener on its signal after the removal", async () => {
    const { room } = await openRoom();
    const signal = new CountingSignal();
    add(room, () => undefined, { signal })();
    expect(signal.listeners).toBe(0);
  });

  it("calls a listener that was added twice two times, until each is removed", async () => {
    const { room, peer } = await openRoom();
    const seen: unknown[] = [];
    const listener = (value: unknown) => seen.push(value);
    const remove = add(room, listener);
    add(room, listener);
    await say(peer, "one");
    remove();
    await say(peer, "two");
    expect(seen).toEqual(["one", "one", "two"]);
  });

  it("refuses an option that does not exist, and adds no listener", async () => {
    const { room, peer } = await openRoom();
    const seen: unknown[] = [];
    const options: object = { onec: true };
    expect(() => add(room, (value) => seen.push(value), options)).toThrow(
      expect.objectContaining({
        code: "ERR_OPTION",
        message: 'a listener has no option "onec"; did you mean "once"? It has: signal, once',
      }),
    );
    await say(peer, "one");
    expect(seen).toEqual([]);
  });
});

/** A signal that counts its listeners. */
class CountingSignal extends EventTarget implements AbortSignal {
  readonly aborted = false;
  readonly reason = undefined;
  onabort = null;
  listeners = 0;
  throwIfAborted(): void {
    expect(this.aborted).toBe(false);
  }
  override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners += 1;
    super.addEventListener(...args);
  }
  override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners -= 1;
    super.removeEventListener(...args);
  }
}

describe("on", () => {
  it.each(["message", "state", "recovered", "lost", "presence", "dropped", "error"] as const)(
    "accepts the event %s",
    async (event) => {
      const { room } = await openRoom();
      expect(() => room.on(event, () => undefined)).not.toThrow();
    },
  );

  it.each([
    ["mesage", "message"],
    ["State", "state"],
    ["errors", "error"],
  ])("refuses the event %s, which does not exist, and names %s", async (given, nearest) => {
    const { room } = await openRoom();
    // JavaScript code can pass this.
    const event = given as "message";
    expect(() => room.on(event, () => undefined)).toThrow(
      expect.objectContaining({
        code: "ERR_OPTION",
        message:
          `a room has no event "${given}"; did you mean "${nearest}"? ` +
          "It has: message, state, recovered, lost, presence, dropped, error",
      }),
    );
  });

  it("refuses the internal events of a room", async () => {
    const { room } = await openRoom();
    // JavaScript code can pass this.
    const event = "end" as "message";
    expect(() => room.on(event, () => undefined)).toThrow(/a room has no event "end"/);
  });
});

describe("onEvent", () => {
  it("calls only the listeners of that event, for any name", async () => {
    const { room, peer } = await openRoom();
    const seen: unknown[] = [];
    for (const event of ["__proto__", "constructor"]) room.onEvent(event, (data) => seen.push([event, data]));
    for (const event of ["toString", "constructor", "said", 7, "__proto__"]) {
      peer.send({ type: "message", data: { event, data: 1 } });
    }
    peer.send({ type: "message", data: "constructor" });
    peer.send({ type: "message", data: null });
    await peer.roundtrip();
    expect(seen).toEqual([
      ["constructor", 1],
      ["__proto__", 1],
    ]);
  });

  it("reports the error of a listener, and calls the others", async () => {
    const { room, peer, errors } = await openRoomWithErrors();
    const seen: unknown[] = [];
    room.onEvent("said", () => {
      throw new Error("mine");
    });
    room.onEvent("said", (data) => seen.push(data));
    await say(peer, "one");
    expect(seen).toEqual(["one"]);
    expect(errors.map(({ message }) => message)).toEqual(["mine"]);
  });
});

async function openRoomWithErrors() {
  const { room, peer } = await openRoom();
  const errors: Error[] = [];
  room.on("error", (error) => errors.push(error));
  return { room, peer, errors };
}

describe("onResync", () => {
  it("calls the loader for each welcome until it is removed, its signal is aborted, or once", async () => {
    const running = await connectScripted();
    const { room, peers } = running;
    const seen: string[] = [];
    const abort = new AbortController();
    room.onResync(() => seen.push("signal"), { signal: abort.signal });
    room.onResync(() => seen.push("once"), { once: true });
    const remove = room.onResync(() => seen.push("removed"));
    room.onResync(() => seen.push("always"));
    const first = await peers.take();
    first.welcome();
    await first.roundtrip();
    expect(seen.splice(0)).toEqual(["signal", "once", "removed", "always"]);
    remove();
    abort.abort();
    const second = await running.reconnect();
    second.welcome();
    await second.roundtrip();
    expect(seen).toEqual(["always"]);
  });

  it("is called once with once, also if the room was welcomed before", async () => {
    const { room, peer } = await openRoom();
    const seen: string[] = [];
    room.onResync(() => seen.push("once"), { once: true });
    await peer.roundtrip();
    room.onResync(() => seen.push("later"));
    await peer.roundtrip();
    expect(seen).toEqual(["once", "later"]);
  });

  it("refuses an option that does not exist", async () => {
    const { room } = await openRoom();
    const options: object = { Signal: AbortSignal.abort() };
    expect(() => room.onResync(() => undefined, options)).toThrow(/did you mean "signal"/);
  });
});
