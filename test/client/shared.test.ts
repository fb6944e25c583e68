import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import {
  type ClientRoom,
  type ClientSocket,
  ConnectError,
  connectSocket,
  type SocketOptions,
} from "../../src/client/index.js";
import { App, anonymous, type Clock, EventHandler, HttpError } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";
import { Mailbox, type RunningApp, start } from "../support/app.js";
import { startProxy } from "../support/proxy.js";

interface User {
  readonly id: string;
}

class Chat extends EventHandler<{ channel: string }, User | undefined> {
  static events = { say: "onSay", add: "onAdd", who: "onWho", leave: "onLeave" };

  async authorize({ query, token }: { readonly query: URLSearchParams; readonly token: string | undefined }) {
    if (query.get("refuse") !== null) throw new HttpError(Number(query.get("refuse")), "not you");
    return token === undefined ? anonymous : { id: token };
  }
  onSay(data: unknown) {
    this.sendJSONToThisRoom(data);
  }
  onAdd([a, b]: readonly [number, number]) {
    return a + b;
  }
  onWho() {
    return { user: this.user?.id, channel: this.params.channel, as: this.request.query.get("as") };
  }
  onLeave() {
    this.close(3_000, "bye");
  }
  onBinary(bytes: Uint8Array) {
    this.sendBinary(bytes.map((byte) => byte + 1));
  }
}

const options = { history: { size: 10_000 }, presence: "full" } as const;

function startChat(): Promise<RunningApp> {
  return start(new App().route("/chat/:channel", Chat, options));
}

/** A WebSocket class that counts its instances. */
class Counted extends WebSocket {
  static count = 0;
  static last: Counted;

  constructor(url: string, subprotocols: string[]) {
    super(url, subprotocols);
    Counted.count += 1;
    Counted.last = this;
  }
}

function socketTo(port: number, more: SocketOptions = {}): ClientSocket {
  Counted.count = 0;
  const socket = connectSocket(`ws://127.0.0.1:${port}`, { WebSocket: Counted, random: () => 0, ...more });
  onTestFinished(() => socket.close());
  return socket;
}

function collect(room: ClientRoom): Mailbox<unknown> {
  const messages = new Mailbox<unknown>();
  room.on("message", ({ data, bytes }) => messages.put(bytes ? [...bytes] : data));
  return messages;
}

function states(room: ClientRoom): Mailbox<unknown> {
  const seen = new Mailbox<unknown>();
  room.on("state", (state, { code, reason, status }) => seen.put([state, status ?? code, reason]));
  // A refusal is also reported as an error.
  room.on("error", () => undefined);
  return seen;
}

describe("connectSocket()", () => {
  it("opens many rooms over one WebSocket, each with its own handler, id, presence and messages", async () => {
    const { port, app } = await startChat();
    const socket = socketTo(port);
    const [a, b] = [socket.room("/chat/a?as=ann"), socket.room("/chat/b")];
    const messages = [collect(a), collect(b)] as const;
    await Promise.all([a.opened, b.opened]);
    expect(Counted.count).toBe(1);
    expect(a.id).not.toBe(b.id);
    expect(await a.request("who")).toEqual({ channel: "a", as: "ann" });
    expect(await b.request("who")).toEqual({ channel: "b", as: null });
    a.emit("say", "to a");
    b.emit("say", "to b");
    app.registry.room("/chat/b").sendJSON("from the server");
    expect(await messages[0].have(1)).toEqual(["to a"]);
    expect((await messages[1].have(2)).sort()).toEqual(["from the server", "to b"]);
    expect([a.presence.count, b.presence.count, app.status().connections]).toEqual([1, 1, 2]);
    expect(await a.request("add", [1, 2])).toBe(3);
  });

  it("carries binary messages in both directions", async () => {
    const { port } = await startChat();
    const room = socketTo(port).room("/chat/a");
    const messages = collect(room);
    await room.opened;
    room.sendBinary(Uint8Array.from({ length: 300 }, (_, n) => n % 255));
    const [bytes] = await messages.have(1);
    expect(bytes).toEqual(Array.from({ length: 300 }, (_, n) => (n % 255) + 1));
  });

  it("returns the open room for its path again, and refuses other options for it", async () => {
    const { port } = await startChat();
    const socket = socketTo(port);
    const room = socket.room("/chat/caf%C3%A9");
    expect(socket.room("/chat/café")).toBe(room);
    expect(() => socket.room("/chat/café", { token: "x" })).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining("open already") }),
    );
    await room.opened;
    expect(await room.request("who")).toMatchObject({ channel: "café" });
    room.close();
    const again = socket.room("/chat/café", { token: "ann" });
    await again.opened;
    expect(await again.request("who")).toMatchObject({ user: "ann" });
  });

  it.each([
    [() => connectSocket("ws://localhost", { onResync: () => undefined } as object), "ERR_OPTION"],
    [() => socketTo(1).room("chat"), "ERR_PATH"],
    [() => socketTo(1).room("/chat/%2f"), "ERR_PATH"],
    [() => socketTo(1).room("/chat", { clock: {} } as object), "ERR_OPTION"],
  ])("refuses bad arguments with a code", (call, code) => {
    expect(call).toThrow(expect.objectContaining({ code }));
  });

  it("sends each room its own token, and calls a function once for rooms that connect together", async () => {
    const { port } = await startChat();
    let calls = 0;
    const token = async () => {
      calls += 1;
      return "känn";
    };
    const socket = socketTo(port, { token });
    const rooms = ["a", "b", "c"].map((name) => socket.room(`/chat/${name}`));
    const own = socket.room("/chat/d", { token: "bob" });
    await Promise.all([...rooms, own].map((room) => room.opened));
    expect(await Promise.all(rooms.map((room) => room.request("who")))).toMatchObject([
      { user: "känn" },
      { user: "känn" },
      { user: "känn" },
    ]);
    expect(await own.request("who")).toMatchObject({ user: "bob" });
    expect(calls).toBe(1);
  });

  it("tells the status of a room that is refused, with the code and the reason, and leaves the others", async () => {
    const { port } = await startChat();
    const socket = socketTo(port);
    const good = socket.room("/chat/good");
    for (const [path, status, code, reason] of [
      ["/nowhere", 404, 4504, "No route for this path"],
      ["/chat/a?refuse=403", 401, 4501, "not you"],
      ["/chat/b?refuse=410", 410, 1006, "not you; Unexpected server response: 410"],
    ] as const) {
      const refused = socket.room(path);
      const seen = states(refused);
      await expect(refused.opened).rejects.toMatchObject({ status, closeCode: code });
      expect(await seen.have(1)).toEqual([["closed", status, reason]]);
    }
    await good.opened;
    expect(await good.request("add", [2, 2])).toBe(4);
    expect(Counted.count).toBe(1);
  });

  it("ends only the room whose message is too large for the socket", async () => {
    const { port } = await startChat();
    const socket = socketTo(port);
    const [good, bad] = [socket.room("/chat/good"), socket.room("/chat/bad")];
    await Promise.all([good.opened, bad.opened]);
    const seen = states(bad);
    bad.emit("say", "\u20ac".repeat(40_000));
    expect(await seen.have(1)).toEqual([["closed", 1009, "message too big"]]);
    expect(await good.request("add", [2, 2])).toBe(4);
    const again = socket.room("/chat/bad");
    await again.opened;
    expect([await again.request("add", [1, 2]), Counted.count]).toEqual([3, 1]);
  });

  it("ends only the room whose token is too large for the socket, and opens it again with another token", async () => {
    const { port } = await startChat();
    const socket = socketTo(port);
    const huge = { token: "x".repeat(100_000) };
    // The first one waits until the socket is open, the third one until the server has closed the second.
    const early = socket.room("/chat/early", huge);
    const seen = [states(early)];
    const good = socket.room("/chat/good");
    await good.opened;
    const late = socket.room("/chat/late", huge);
    seen.push(states(late));
    const closed = socket.room("/chat/closed");
    await closed.opened;
    closed.close();
    seen.push(states(socket.room("/chat/closed", huge)));
    const reason = "token and query are too long; Unexpected server response: 431";
    for (const one of seen) expect(await one.have(1)).toEqual([["closed", 431, reason]]);
    for (const room of [early, late]) await expect(room.opened).rejects.toMatchObject({ status: 431 });
    for (const name of ["early", "late", "closed"]) {
      const again = socket.room(`/chat/${name}`, { token: "ann" });
      await again.opened;
      expect(await again.request("who")).toMatchObject({ user: "ann" });
    }
    expect([await good.request("add", [2, 2]), Counted.count]).toEqual([4, 1]);
  });

  it("refuses a room with another query than the open one, and every room after its close", async () => {
    const { port } = await startChat();
    const socket = socketTo(port);
    const ann = socket.room("/chat/a?as=ann");
    expect(socket.room("/chat/a?as=ann")).toBe(ann);
    expect(() => socket.room("/chat/a?as=bob")).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    socket.close();
    expect(() => socket.room("/chat/a")).toThrow(expect.objectContaining({ code: "ERR_CONNECTION" }));
  });

  it("connects a room again that was refused for a moment", async () => {
    const { port } = await startChat();
    const room = socketTo(port).room("/chat/a?refuse=503");
    const [error] = await new Promise<unknown[]>((resolve) => room.on("error", (...args) => resolve(args)));
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({ status: 503 });
    expect(room.state).toBe("waiting");
  });

  it("opens a room on the same socket that was refused for a moment", async () => {
    const refusals = [503, 429];
    class Busy extends EventHandler {
      static events = { who: "onWho" };
      async authorize({ path }: { readonly path: string }) {
        const status = path === "/chat/busy" ? refusals.shift() : undefined;
        if (status !== undefined) throw new HttpError(status, "busy");
        return anonymous;
      }
      onWho() {
        return this.params;
      }
    }
    const { port } = await start(new App().route("/chat/:channel", Busy));
    const socket = socketTo(port);
    await socket.room("/chat/keeper").opened;
    const busy = socket.room("/chat/busy");
    const seen = states(busy);
    await busy.opened;
    expect(await busy.request("who")).toEqual({ channel: "busy" });
    expect(seen.all.map((state) => Object(state)[0])).toEqual([
      "waiting",
      "connecting",
      "waiting",
      "connecting",
      "open",
    ]);
    expect(Counted.count).toBe(1);
  });

  it("closes one room for both sides, and leaves the others", async () => {
    const { port, app } = await startChat();
    const socket = socketTo(port);
    const [a, b, c] = [socket.room("/chat/a"), socket.room("/chat/b"), socket.room("/chat/c")];
    await Promise.all([a.opened, b.opened, c.opened]);
    const closed = new Mailbox<unknown>();
    app.on("close", (_connection, code, reason) => closed.put([code, reason]));
    const seen = states(b);
    a.close(3_001, "enough");
    expect(await closed.have(1)).toEqual([[3_001, "enough"]]);
    b.emit("leave");
    expect(await seen.have(1)).toEqual([["closed", 3_000, "bye"]]);
    expect(await closed.have(2)).toContainEqual([3_000, "bye"]);
    expect(await c.request("add", [1, 1])).toBe(2);
    expect([app.status().connections, Counted.count]).toEqual([1, 1]);
  });

  it("opens a room again right after its close, and no frame of the last connection reaches the new one", async () => {
    const { port, app } = await startChat();
    const socket = socketTo(port);
    const keeper = socket.room("/chat/keeper");
    await keeper.opened;
    for (let round = 0; round < 30; round += 1) {
      const last = socket.room("/chat/a", { token: "ann" });
      if (round % 3 > 0) await last.opened;
      // The close of the server crosses that of the client.
      if (round % 3 === 2) last.emit("leave");
      app.registry.sendJSONToRoom("/chat/a", "for the last connection");
      last.close();
      const next = socket.room("/chat/a", { token: "bob" });
      const got = collect(next);
      next.on("state", (state) => got.put(state));
      await next.opened;
      expect(await next.request("who")).toMatchObject({ user: "bob" });
      expect(got.all).toEqual(["open"]);
      next.close();
    }
    expect(await keeper.request("add", [1, 1])).toBe(2);
    expect([Counted.count, app.status().connections]).toEqual([1, 1]);
  });

  it("forgets rooms that have closed, by either side", async () => {
    const { port } = await startChat();
    const socket = socketTo(port);
    const keeper = socket.room("/chat/keeper");
    await keeper.opened;
    const open = async (n: number) => {
      const room = socket.room(`/chat/${n}`);
      await room.opened;
      const seen = states(room);
      if (n % 2 === 0) room.close();
      else room.emit("leave");
      expect(await seen.have(1)).toHaveLength(1);
      return new WeakRef(room);
    };
    const rooms = [];
    for (let n = 0; n < 10; n += 1) rooms.push(await open(n));
    setFlagsFromString("--expose-gc");
    const collect: unknown = runInNewContext("gc");
    // Timers of the last attempts may keep the newest for a while.
    for (let n = 0; n < 100 && rooms.slice(0, 8).some((room) => room.deref() !== undefined); n += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (typeof collect === "function") collect();
    }
    expect(rooms.slice(0, 8).filter((room) => room.deref() !== undefined)).toEqual([]);
    expect(await keeper.request("add", [1, 1])).toBe(2);
  });

  it("closes a room that it has closed and opened again before the server has answered", async () => {
    const { port, app } = await startChat();
    const socket = socketTo(port);
    const keeper = socket.room("/chat/keeper");
    for (let round = 0; round < 3; round += 1) socket.room("/chat/a").close();
    await keeper.opened;
    for (let round = 0; round < 3; round += 1) socket.room("/chat/a").close();
    const last = socket.room("/chat/a");
    await last.opened;
    expect([Counted.count, app.status().connections]).toEqual([1, 2]);
  });

  it("recovers all rooms together when the socket breaks, without a gap or a repeat", async () => {
    const running = await startChat();
    const way = await startProxy(running.port);
    const socket = socketTo(way.port);
    const rooms = Array.from({ length: 5 }, (_, n) => socket.room(`/chat/${n}`));
    const messages = rooms.map(collect);
    await Promise.all(rooms.map((room) => room.opened));
    for (let round = 0; round < 4; round += 1) {
      const lost = Promise.all(
        rooms.map((room) => new Promise((resolve) => room.on("state", resolve, { once: true }))),
      );
      way.cut();
      await lost;
      for (const [n] of rooms.entries()) {
        await running.app.registry.room(`/chat/${n}`).publish({ n, round });
      }
      const recovered = rooms.map((room) => new Promise((resolve) => room.on("recovered", resolve, { once: true })));
      way.open();
      await Promise.all(recovered);
    }
    for (const [n, all] of messages.entries()) {
      expect(await all.have(4)).toEqual([0, 1, 2, 3].map((round) => ({ n, round })));
    }
    expect(Counted.count).toBeLessThan(20);
  });

  it("keeps the frames of a room that the server has paused, in order, and sends those of other rooms", async () => {
    const begun: number[] = [];
    const finish: (() => void)[] = [];
    class Busy extends EventHandler {
      static events = { work: "onWork", add: "onAdd" };
      onWork(n: number): Promise<void> {
        begun.push(n);
        return new Promise((resolve) => finish.push(resolve));
      }
      onAdd([a, b]: readonly [number, number]) {
        return a + b;
      }
    }
    const app = new App({ limits: { inboxMessagesMax: 4 } }).route("/busy/:name", Busy);
    const { port } = await start(app);
    const socket = socketTo(port);
    const [busy, other] = [socket.room("/busy/a"), socket.room("/busy/b")];
    await Promise.all([busy.opened, other.opened]);
    for (let n = 0; n < 10; n += 1) busy.emit("work", n);
    // The answer comes after the pause.
    expect(await other.request("add", [1, 1])).toBe(2);
    let sent = 0;
    const { last } = Counted;
    const send = last.send.bind(last);
    last.send = (data: string) => {
      sent += 1;
      send(data);
    };
    for (let n = 10; n < 100; n += 1) busy.emit("work", n);
    expect(await other.request("add", [2, 2])).toBe(4);
    expect([sent, begun]).toEqual([1, [0]]);
    while (begun.length < 100 || finish.length > 0) {
      finish.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(begun).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  it("sends what waits in a paused room before it closes it", async () => {
    const begun = new Mailbox<number>();
    let finish: () => void = () => undefined;
    class Busy extends EventHandler {
      static events = { work: "onWork" };
      onWork(n: number): Promise<void> | undefined {
        begun.put(n);
        if (n > 0) return undefined;
        return new Promise((resolve) => {
          finish = resolve;
        });
      }
    }
    const { port } = await start(new App({ limits: { inboxMessagesMax: 4 } }).route("/busy/:name", Busy));
    const socket = socketTo(port);
    const [busy, other] = [socket.room("/busy/a"), socket.room("/busy/b")];
    await Promise.all([busy.opened, other.opened]);
    for (let n = 0; n < 10; n += 1) busy.emit("work", n);
    await expect(other.request("unknown")).rejects.toMatchObject({ code: "unknown_event" });
    for (let n = 10; n < 20; n += 1) busy.emit("work", n);
    busy.close();
    await expect(other.request("unknown")).rejects.toMatchObject({ code: "unknown_event" });
    finish();
    expect(await begun.have(20)).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  it("moves its rooms to another socket in a drain, and closes the old one", async () => {
    const startPlain = () => start(new App().route("/chat/:channel", Chat));
    const [first, second] = [await startPlain(), await startPlain()];
    let port = first.port;
    const Moved = class extends Counted {
      constructor(url: string, subprotocols: string[]) {
        super(url.replace(String(first.port), String(port)), subprotocols);
      }
    };
    const socket = socketTo(first.port, { WebSocket: Moved });
    const rooms = [socket.room("/chat/a"), socket.room("/chat/b"), socket.room("/chat/c")];
    await Promise.all(rooms.map((room) => room.opened));
    const old = Counted.last;
    port = second.port;
    const closed = once(old, "close");
    const moved = new Promise<void>((resolve) => {
      second.app.on("open", () => second.app.status().connections === 3 && resolve());
    });
    expect(await first.app.drain({ withinMs: 400, settleMs: 1 })).toEqual({ left: 3, remaining: [] });
    await moved;
    await closed;
    expect(Counted.count).toBe(2);
    expect(await Promise.all(rooms.map((room) => room.request("add", [1, 1])))).toEqual([2, 2, 2]);
  });

  it("pings once for all rooms, and ends them when the server is silent", async () => {
    const { port } = await startChat();
    const way = await startProxy(port);
    const clock = new ManualClock();
    const socket = socketTo(way.port, { clock });
    const rooms = [socket.room("/chat/a"), socket.room("/chat/b")];
    await Promise.all(rooms.map((room) => room.opened));
    const sent = new Mailbox<string>();
    const { last } = Counted;
    const send = last.send.bind(last);
    last.send = (data: string) => {
      sent.put(data);
      send(data);
    };
    const pong = once(last, "message");
    clock.advance(25_000);
    expect(String(await pong)).toContain("pong");
    expect(sent.all).toEqual(['{"type":"ping"}']);
    way.stall();
    const seen = rooms.map(states);
    for (const ms of [10_000, 25_000, 10_000]) clock.advance(ms);
    for (const all of seen) expect((await all.have(1))[0]).toEqual(["waiting", 1006, "silent"]);
  });

  it("closes the socket a moment after its last room, and opens another one for the next", async () => {
    const { port } = await startChat();
    const socket = socketTo(port);
    const a = socket.room("/chat/a");
    await a.opened;
    a.close();
    const b = socket.room("/chat/b");
    await b.opened;
    expect(Counted.count).toBe(1);
    const [last, closed] = [Counted.last, once(Counted.last, "close")];
    b.close();
    await closed;
    expect(last.readyState).toBe(WebSocket.CLOSED);
    await socket.room("/chat/c").opened;
    expect(Counted.count).toBe(2);
  });

  it("closes all rooms and the socket at once", async () => {
    const { port, app } = await startChat();
    const socket = socketTo(port);
    const rooms = [socket.room("/chat/a"), socket.room("/chat/b")];
    await Promise.all(rooms.map((room) => room.opened));
    const gone = once(Counted.last, "close");
    const closed = new Mailbox<number>();
    app.on("close", (_connection, code) => closed.put(code));
    socket.close(3_000, "done");
    expect(await closed.have(2)).toEqual([3_000, 3_000]);
    expect((await gone)[0]).toBe(3_000);
    expect(rooms.map(({ state }) => state)).toEqual(["closed", "closed"]);
  });

  it("leaves no timer when it is closed, which would keep a process alive", async () => {
    const { port } = await startChat();
    const pending = new Set<object>();
    const clock: Clock = {
      now: () => performance.now(),
      setTimeout(callback, ms) {
        const timer = { cancel: () => pending.delete(timer) && clearTimeout(handle) };
        const handle = setTimeout(() => pending.delete(timer) && callback(), ms);
        pending.add(timer);
        return timer;
      },
    };
    const socket = socketTo(port, { clock });
    await Promise.all([socket.room("/chat/a"), socket.room("/chat/b")].map((room) => room.opened));
    expect(pending.size).toBeGreaterThan(0);
    socket.close();
    expect(pending.size).toBe(0);
    const another = socketTo(port, { clock });
    for (const path of ["/chat/a", "/chat/b"]) {
      const room = another.room(path);
      await room.opened;
      room.close();
    }
    expect(pending.size).toBeGreaterThan(0);
    another.close();
    expect(pending.size).toBe(0);
  });

  it("gives each room the error of a server that cannot be reached", async () => {
    const socket = socketTo(1);
    const errors = ["a", "b"].map(
      (name) => new Promise((resolve) => socket.room(`/chat/${name}`).on("error", resolve, { once: true })),
    );
    for (const error of await Promise.all(errors)) expect(error).toMatchObject({ code: "ERR_CONNECTION" });
  });
});
