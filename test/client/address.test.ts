import { describe, expect, it, onTestFinished } from "vitest";
import { connect } from "../../src/client/index.js";
import { ManualClock } from "../../src/testing/clock.js";
import { fakeSockets } from "./fakeSocket.js";
import { connectScripted, Mailbox, waitForState, watch } from "./scripted.js";

/** The URL to which a room connects. */
async function addressOf(url: string | URL): Promise<URL> {
  const { WebSocket, made } = fakeSockets();
  const room = connect(url, { WebSocket });
  const socket = await made.take();
  room.close();
  return socket.url;
}

/** Simulates a page at `href`. */
function simulatePage(href: string): void {
  Reflect.set(globalThis, "location", { href });
  onTestFinished(() => {
    Reflect.deleteProperty(globalThis, "location");
  });
}

/** The token behind the prefix, decoded as the server does. */
function tokenIn(offered: readonly string[]): string {
  return Buffer.from(offered[1]?.replace("enfilade.token.", "") ?? "", "base64url").toString();
}

describe("the URL of connect()", () => {
  it.each([
    ["ws://host:8000/chat/a", "ws://host:8000/chat/a"],
    ["wss://host/chat/a", "wss://host/chat/a"],
    ["http://host/chat/a#top", "ws://host/chat/a"],
    ["https://host:8443/chat/caf%C3%A9", "wss://host:8443/chat/caf%C3%A9"],
  ])("%s goes to %s", async (given, expected) => {
    const { origin, pathname, hash, host, protocol } = await addressOf(given);
    expect(`${protocol}//${host}${pathname}${hash}`).toBe(expected);
    expect(origin).toBe(new URL(expected).origin);
  });

  it("may be a URL object, which is not changed, and keeps its query", async () => {
    const url = new URL("https://host/chat/a?as=ann&since=mine");
    const { searchParams } = await addressOf(url);
    expect(url.href).toBe("https://host/chat/a?as=ann&since=mine");
    expect(searchParams.get("as")).toBe("ann");
    expect(searchParams.get("client")).toMatch(/^[\w-]{22}$/);
  });

  it("may be relative in a page", async () => {
    simulatePage("https://example.org/app/index.html?x=1#here");
    expect((await addressOf("/chat/general")).href).toMatch(/^wss:\/\/example\.org\/chat\/general\?client=/);
    expect((await addressOf("room")).pathname).toBe("/app/room");
  });

  it.each(["/chat/general", "ftp://host/x", "file:///x", "http://", ""])("is refused without a page: %j", (url) => {
    const { WebSocket } = fakeSockets();
    expect(() => connect(url, { WebSocket })).toThrow(TypeError);
  });

  it("never connects from a page that was opened from a file", () => {
    const { WebSocket } = fakeSockets();
    simulatePage("file:///home/ann/index.html");
    expect(() => connect("/chat/general", { WebSocket })).toThrow(TypeError);
  });
});

describe("a token", () => {
  it.each(["secret", "a/b+c=d e", "Zoë ☃ 𝄞", "\u0000\u00ff", "x".repeat(2_000)])(
    "is offered as a subprotocol, and is in no URL: %j",
    async (token) => {
      const { peers } = await connectScripted({ token });
      const { offered, url } = await peers.take();
      expect(offered).toHaveLength(2);
      expect(offered[0]).toBe("enfilade.v1");
      expect(offered[1]).toMatch(/^enfilade\.token\.[\w-]+$/);
      expect(tokenIn(offered)).toBe(token);
      expect([...url.searchParams.keys()]).toEqual(["client"]);
      expect(decodeURIComponent(url.href)).not.toContain(token);
    },
  );

  it.each([undefined, ""])("is not offered when it is %j", async (token) => {
    const { peers } = await connectScripted({ token });
    expect((await peers.take()).offered).toEqual(["enfilade.v1"]);
  });

  it("is requested from its function for each attempt", async () => {
    let asked = 0;
    const { room, peers, clock } = await connectScripted({ token: async () => `token ${++asked}` });
    (await peers.take()).close(1012);
    await waitForState(room, "waiting");
    clock.advance(500);
    await peers.have(2);
    expect(peers.all.map(({ offered }) => tokenIn(offered))).toEqual(["token 1", "token 2"]);
  });

  it.each([
    ["throws", () => throwing()],
    ["is rejected", () => Promise.reject(new Error("no token"))],
  ])("fails the attempt, with an error, when its function %s", async (_how, failing) => {
    let asked = 0;
    const running = await connectScripted({ token: () => (++asked <= 2 ? failing() : "at last") });
    await waitForState(running.room, "waiting");
    running.clock.advance(500);
    await waitForState(running.room, "waiting");
    running.clock.advance(999);
    await running.settled();
    expect(asked).toBe(2);
    running.clock.advance(1);
    expect(tokenIn((await running.peers.take()).offered)).toBe("at last");
    expect(running.errors.map(({ message }) => message)).toEqual(["no token", "no token"]);
  });

  it("fails the attempt after 10 seconds without a value, and a late value opens no socket", async () => {
    const { WebSocket, made } = fakeSockets();
    const clock = new ManualClock();
    const asked = new Mailbox<(token: string) => void>();
    const room = connect("ws://localhost/x", {
      WebSocket,
      clock,
      random: () => 0,
      token: () => new Promise((resolve) => asked.put(resolve)),
    });
    const states = watch(room, "state");
    const late = await asked.take();
    clock.advance(9_999);
    expect(states.all).toEqual([]);
    clock.advance(1);
    expect(states.all).toEqual(["waiting", "connecting"]);
    (await asked.take())("second");
    late("first");
    const socket = await made.take();
    await new Promise((resolve) => setImmediate(resolve));
    expect(tokenIn(socket.subprotocols)).toBe("second");
    expect(made.all).toHaveLength(1);
    room.close();
  });
});

describe("the WebSocket class", () => {
  it("fails the attempt, with an error, when its constructor throws", async () => {
    class Broken {
      constructor() {
        throw new Error("not here");
      }
      send = () => undefined;
      close = () => undefined;
      addEventListener = () => undefined;
    }
    const { room, errors } = await connectScripted({ WebSocket: Broken });
    await waitForState(room, "waiting");
    expect(errors.map(({ message }) => message)).toEqual(["not here"]);
  });

  it("is the global one by default, and is required where there is none", async () => {
    const builtIn = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
    onTestFinished(() => {
      Reflect.deleteProperty(globalThis, "WebSocket");
      if (builtIn !== undefined) Object.defineProperty(globalThis, "WebSocket", builtIn);
    });
    const { WebSocket, made } = fakeSockets();
    Object.defineProperty(globalThis, "WebSocket", { value: WebSocket, configurable: true });
    const room = connect("ws://localhost/x");
    await made.take();
    room.close();
    Reflect.deleteProperty(globalThis, "WebSocket");
    const message = "no WebSocket here; pass the option WebSocket, from ws";
    expect(() => connect("ws://localhost/x")).toThrow(new TypeError(message));
  });
});

function throwing(): string {
  throw new Error("no token");
}
