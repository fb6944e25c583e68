import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { MemoryBackplane } from "../../src/backplane/index.js";
import {
  App,
  type AppOptions,
  type Connection,
  type Room,
  type RouteOptions,
  WebSocketHandler,
} from "../../src/index.js";
import { connect, type TestClient } from "../../src/testing/index.js";
import { closes, Mailbox, type RunningApp, start } from "../support/app.js";
import { rawConnection } from "../support/raw.js";

class Member extends WebSocketHandler {
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
}

function open(route: RouteOptions = {}, options: AppOptions = {}): Promise<RunningApp> {
  return start(new App(options).route("/rooms/:name", Member, route).route("/lobby", Member));
}

/** The connection that opened last. */
function newestConnection(app: App): Connection {
  const connection = app.registry.connections.at(-1);
  if (connection === undefined) throw new Error("there is no connection");
  return connection;
}

async function leave({ app }: RunningApp, client: TestClient): Promise<void> {
  const closed = closes(app, 1);
  client.terminate();
  await closed;
}

const noRoom = expect.objectContaining({ code: "ERR_NO_ROOM", message: expect.stringContaining("/rooms/a") });

describe("room.state", () => {
  it("is the same for all handles and handlers of a room over its life, and another for another room", async () => {
    class Counter extends WebSocketHandler {
      override onConnect() {
        const { state } = this.room;
        state.set("visits", Number(state.get("visits") ?? 0) + 1);
      }
      onMessage() {
        this.sendJSON(this.room.state.get("visits"));
      }
    }
    const running = await start(new App().route("/rooms/:name", Counter));
    const { registry } = running.app;
    const clients = [await running.open("/rooms/a"), await running.open("/rooms/a"), await running.open("/rooms/b")];
    const seen = [];
    for (const client of clients) {
      client.sendText("how many?");
      seen.push(await client.readJSON());
    }
    expect(seen).toEqual([2, 2, 1]);
    for (const client of clients.slice(0, 1)) await leave(running, client);
    expect(registry.room("/rooms/a").state).toBe(registry.room("/rooms/a/").state);
    expect([...registry.room("/rooms/a").state]).toEqual([["visits", 2]]);
  });

  it("is freed with the room: the next member finds it empty", async () => {
    const running = await open();
    const room = running.app.registry.room("/rooms/a");
    const client = await running.open("/rooms/a");
    const { state } = room;
    state.set("kept", true);
    await leave(running, client);
    expect(() => room.state).toThrow(noRoom);
    await running.open("/rooms/a");
    expect(room.state.size).toBe(0);
    expect(room.state).not.toBe(state);
  });

  it("is available to a listener of room-empty for the last time", async () => {
    const running = await open();
    const { registry } = running.app;
    const seen = new Mailbox<unknown>();
    registry.on("room-empty", (room) => {
      seen.put([room.path, room.size, room.state.get("draft")]);
      expect(() => registry.room(room.path).state).toThrow(noRoom);
      room.state.set("draft", "too late");
    });
    registry.on("room-empty", ({ state }) => seen.put(state.get("draft")));
    const client = await running.open("/rooms/a");
    registry.room("/rooms/a").state.set("draft", "text");
    await leave(running, client);
    expect(seen.all).toEqual([["/rooms/a", 0, "text"], "too late"]);
    await running.open("/rooms/a");
    expect(registry.room("/rooms/a").state.has("draft")).toBe(false);
    expect(running.errors).toEqual([]);
  });

  it("throws ERR_NO_ROOM in an empty room, also through a handle from before", async () => {
    const running = await open();
    const { registry } = running.app;
    expect(() => registry.room("/rooms/a").state).toThrow(noRoom);
    const kept: Room[] = [registry.room("/rooms/a")];
    registry.on("room", (room) => kept.push(room));
    const client = await running.open("/rooms/a");
    kept.push(...registry.rooms);
    for (const room of kept) room.state.set("here", true);
    await leave(running, client);
    expect(kept).toHaveLength(3);
    for (const room of kept) expect(() => room.state).toThrow(noRoom);
  });

  it("lives while the room has a member at home, a joined one, or a subscription", async () => {
    const running = await open();
    const { registry } = running.app;
    const client = await running.open("/rooms/a");
    registry.room("/rooms/a").state.set("n", 1);
    await running.open("/lobby");
    const visitor = newestConnection(running.app);
    registry.join(visitor, "/rooms/a");
    await leave(running, client);
    expect(registry.room("/rooms/a").state.get("n")).toBe(1);
    const subscription = registry.room("/rooms/a").subscribe();
    registry.leave(visitor, "/rooms/a");
    expect(registry.room("/rooms/a").state.get("n")).toBe(1);
    await subscription.return();
    expect(() => registry.room("/rooms/a").state).toThrow(noRoom);
  });

  it("accepts __proto__ and constructor as keys, and has none before they are set", async () => {
    const running = await open();
    await running.open("/rooms/__proto__");
    const { state } = running.app.registry.room("/rooms/__proto__");
    const keys = ["__proto__", "constructor", "toString", ""];
    for (const key of keys) expect(state.get(key)).toBeUndefined();
    for (const key of keys) state.set(key, key.length);
    expect([...state]).toEqual(keys.map((key) => [key, key.length]));
    expect(({} as { length?: unknown }).length).toBeUndefined();
  });
});

/** The first `length` bytes that a client reads. */
async function bytesOf(client: TestClient, length: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for (let read = 0; read < length; ) {
    const { bytes } = await client.read();
    chunks.push(bytes);
    read += bytes.length;
  }
  return Buffer.concat(chunks);
}

/** A source that is always as fast as its reader. */
function sourceOf<T>(count: number, chunk: (n: number) => T): ReadableStream<T> {
  let n = 0;
  return new ReadableStream<T>({
    pull(controller) {
      if (n === count) controller.close();
      else controller.enqueue(chunk(n));
      n += 1;
    },
  });
}

const chunkBytes = 16 * 1024;
const chunksOf = (count: number) => sourceOf(count, (n) => String(n % 10).repeat(chunkBytes));
const wholeOf = (count: number) =>
  Buffer.concat(Array.from({ length: count }, (_, n) => Buffer.alloc(chunkBytes, String(n % 10))));

describe("room.writer()", () => {
  it("sends each string as a text message, and each chunk of bytes as a binary one", async () => {
    const running = await open();
    const clients = [await running.open("/rooms/a"), await running.open("/rooms/a")];
    const writer = running.app.registry.room("/rooms/a").writer().getWriter();
    await writer.write("žluť");
    await writer.write(new Uint8Array([1, 2, 255]));
    await writer.write(Buffer.from("text as bytes"));
    await writer.close();
    for (const client of clients) {
      expect(await client.readText()).toBe("žluť");
      expect(await client.readBinary()).toEqual(Buffer.from([1, 2, 255]));
      expect(Buffer.from(await client.readBinary()).toString()).toBe("text as bytes");
    }
  });

  it("joins characters that are split across chunks, and sends no empty message for it", async () => {
    const running = await open();
    const client = await running.open("/rooms/a");
    const text = "a\u010d\u20ac\u{1f40e}\u{1f468}\u200d\u{1f469}\ufffdz";
    const writer = running.app.registry.room("/rooms/a").writer({ text: true }).getWriter();
    for (const byte of Buffer.from(text)) await writer.write(Uint8Array.of(byte));
    await writer.close();
    const heard: string[] = [];
    while (heard.join("").length < text.length) heard.push(await client.readText());
    expect(heard.join("")).toBe(text);
    expect(heard).toEqual([...text]);
  });

  it("sends a replacement character for an incomplete character at the end", async () => {
    const running = await open();
    const client = await running.open("/rooms/a");
    const writer = running.app.registry.room("/rooms/a").writer({ text: true }).getWriter();
    await writer.write(Buffer.from("whole, cut: \u20ac").subarray(0, -1));
    await writer.close();
    expect([await client.readText(), await client.readText()]).toEqual(["whole, cut: ", "\ufffd"]);
  });

  it("sends the output of a process completely", async () => {
    const running = await open();
    const clients = [await running.open("/rooms/a"), await running.open("/rooms/a")];
    const line = "Příliš žluťoučký kůň 🐎 úpěl ďábelské ódy\n";
    const lines = 30_000;
    const script = `process.stdout.write(${JSON.stringify(line)}.repeat(${lines}))`;
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const expected = Buffer.from(line.repeat(lines));
    const all = Promise.all(clients.map((client) => bytesOf(client, expected.length)));
    const piped = Readable.toWeb(child.stdout).pipeTo(running.app.registry.room("/rooms/a").writer({ text: true }));
    const [received] = await Promise.all([all, piped]);
    for (const bytes of received) expect(bytes.equals(expected)).toBe(true);
    running.app.registry.sendTextToAll("end");
    for (const client of clients) expect(await client.readText()).toBe("end");
    expect(running.app.status().totals.slow).toBe(0);
  });

  for (const [readers, count] of [
    ["its reader", 1],
    ["several readers", 3],
  ] as const) {
    it(`goes no faster than ${readers}: a faster source closes no client, and loses nothing`, async () => {
      const running = await open();
      const clients = [];
      while (clients.length < count) clients.push(await running.open("/rooms/a"));
      const expected = wholeOf(512);
      const all = Promise.all(clients.map((client) => bytesOf(client, expected.length)));
      const piped = chunksOf(512).pipeTo(running.app.registry.room("/rooms/a").writer());
      const [received] = await Promise.all([all, piped]);
      for (const bytes of received) expect(bytes.equals(expected)).toBe(true);
      expect(running.app.status()).toMatchObject({ connections: count, totals: { slow: 0, dropped: 0 } });
    });
  }

  for (const [where, count] of [
    ["an empty room", 0],
    ["a room with a member", 1],
  ] as const) {
    it(`leaves the event loop free while a source that never waits is written to ${where}`, async () => {
      const running = await open();
      for (let n = 0; n < count; n += 1) await running.open("/rooms/a");
      let turned = false;
      setImmediate(() => {
        turned = true;
      });
      const source = sourceOf(10_000, (n) => String(n));
      await source.pipeTo(running.app.registry.room("/rooms/a").writer());
      expect(turned).toBe(true);
    });
  }

  it("goes no faster than its readers with a small outbox, over linked streams too", async () => {
    await using app = new App({ limits: { outboxBytesMax: 2 * chunkBytes, highWaterBytes: chunkBytes } }).route(
      "/rooms/:name",
      Member,
    );
    const client = await connect(app, "/rooms/a");
    const expected = wholeOf(256);
    const all = bytesOf(client, expected.length);
    await chunksOf(256).pipeTo(app.registry.room("/rooms/a").writer());
    expect((await all).equals(expected)).toBe(true);
    expect(app.status()).toMatchObject({ connections: 1, totals: { slow: 0 } });
  });

  it("is not stalled by a client that stopped reading: the other gets all, and that one is closed", async () => {
    const running = await open();
    const stalled = await rawConnection(running.port, "/rooms/a");
    stalled.socket.pause();
    const client = await running.open("/rooms/a");
    const slow = new Promise<number>((resolve) => running.app.on("close", (_connection, code) => resolve(code)));
    const expected = wholeOf(2_048);
    const all = bytesOf(client, expected.length);
    await chunksOf(2_048).pipeTo(running.app.registry.room("/rooms/a").writer());
    expect((await all).equals(expected)).toBe(true);
    stalled.socket.resume();
    expect(await slow).toBe(4008);
    expect(running.app.status()).toMatchObject({ connections: 1, totals: { slow: 1 } });
  });

  it("is not stalled by 20 clients that stopped reading, while one reads", async () => {
    const running = await open();
    for (let n = 0; n < 20; n += 1) (await rawConnection(running.port, "/rooms/a")).socket.pause();
    const client = await running.open("/rooms/a");
    const expected = wholeOf(1_024);
    const all = bytesOf(client, expected.length);
    await chunksOf(1_024).pipeTo(running.app.registry.room("/rooms/a").writer());
    expect((await all).equals(expected)).toBe(true);
  }, 10_000);

  it("continues when the only slow client has disconnected", async () => {
    const running = await open();
    const stalled = await rawConnection(running.port, "/rooms/a");
    stalled.socket.pause();
    let taken = 0;
    const source = sourceOf(4_096, () => {
      taken += 1;
      if (taken === 64) stalled.socket.destroy();
      return "x".repeat(chunkBytes);
    });
    await source.pipeTo(running.app.registry.room("/rooms/a").writer());
    expect(taken).toBe(4_096);
    const client = await running.open("/rooms/a");
    const writer = running.app.registry.room("/rooms/a").writer().getWriter();
    await writer.write("still there");
    expect(await client.readText()).toBe("still there");
  });

  it("does nothing in an empty room, and reaches clients that come later", async () => {
    const running = await open();
    const writer = running.app.registry.room("/rooms/a").writer().getWriter();
    await writer.write("not received");
    const client = await running.open("/rooms/a");
    await writer.write("received");
    expect(await client.readText()).toBe("received");
  });

  it("leaves the room unchanged when it is aborted, and accepts no more", async () => {
    const running = await open();
    const client = await running.open("/rooms/a");
    const writer = running.app.registry.room("/rooms/a").writer({ text: true }).getWriter();
    await writer.write("before");
    await writer.write(Buffer.from("\u20ac").subarray(0, 2));
    await writer.abort(new Error("no more of it"));
    await expect(writer.write("after")).rejects.toThrow("no more of it");
    client.sendText("alive");
    expect([await client.readText(), await client.readText()]).toEqual(["before", "alive"]);
    expect(running.errors).toEqual([]);
  });

  it("ends with the signal of its pipe, in the middle of a long source", async () => {
    const running = await open();
    const client = await running.open("/rooms/a");
    const controller = new AbortController();
    const source = sourceOf(100_000, (n) => `${n} ${"x".repeat(1_000)}`);
    const piped = source.pipeTo(running.app.registry.room("/rooms/a").writer(), { signal: controller.signal });
    const ended = expect(piped).rejects.toMatchObject({ name: "AbortError" });
    for (let n = 0; n < 100; n += 1) expect(await client.readText()).toMatch(new RegExp(`^${n} `));
    controller.abort();
    await ended;
    running.app.registry.sendTextToAll("end");
    for (let text = ""; text !== "end"; ) text = await client.readText();
    expect(running.app.status()).toMatchObject({ connections: 1, totals: { slow: 0 } });
  });

  it("keeps its messages in the history of the room, and leaves out excepted members", async () => {
    const running = await open({ history: { size: 10 } });
    const room = running.app.registry.room("/rooms/a");
    const excepted = await running.open("/rooms/a");
    const writer = room.writer({ except: newestConnection(running.app) }).getWriter();
    const client = await running.open("/rooms/a");
    for (const chunk of ["one", Uint8Array.of(2)]) await writer.write(chunk);
    await writer.close();
    room.sendText("end");
    expect(await excepted.readText()).toBe("end");
    expect(await client.readText()).toBe("one");
    expect((await room.history()).map(({ text, bytes }) => text ?? bytes)).toEqual(["one", Uint8Array.of(2), "end"]);
  });

  it("fails with the error of the backplane", async () => {
    class EngineAway extends MemoryBackplane {
      override publish() {
        return Promise.reject(new Error("engine away"));
      }
    }
    const app = new App({ backplane: new EngineAway() });
    await expect(chunksOf(2).pipeTo(app.registry.room("/rooms/a").writer())).rejects.toThrow("engine away");
  });

  it("sends an empty string as an empty message", async () => {
    const running = await open();
    const client = await running.open("/rooms/a");
    const writer = running.app.registry.room("/rooms/a").writer().getWriter();
    await writer.write("");
    await writer.write("end");
    expect(await client.readText()).toBe("");
    expect(await client.readText()).toBe("end");
  });

  for (const wrong of [5, { a: 1 }, new ArrayBuffer(4), null]) {
    it(`drops no chunk silently: ${Object.prototype.toString.call(wrong)} is an error, or is sent`, async () => {
      const running = await open();
      const client = await running.open("/rooms/a");
      const room = running.app.registry.room("/rooms/a");
      const writer = room.writer().getWriter();
      writer.closed.catch(() => undefined);
      const refused = await writer.write(wrong as never).then(
        () => false,
        () => true,
      );
      room.sendText("end");
      const message = await client.read();
      expect(refused || message.isText === false).toBe(true);
    });
  }
});

describe("room.close()", () => {
  it("closes members with code and reason, at home or joined, and no others, and ends subscriptions", async () => {
    const running = await open();
    const { registry } = running.app;
    const inside = [await running.open("/rooms/a"), await running.open("/rooms/a"), await running.open("/lobby")];
    registry.join(newestConnection(running.app), "/rooms/a");
    const outside = await running.open("/rooms/b");
    const room = registry.room("/rooms/a");
    const loop = (async () => {
      const heard = [];
      for await (const { text } of room.subscribe()) heard.push(text);
      return heard;
    })();
    const elsewhere = registry.room("/rooms/b").subscribe();
    const emptied = new Promise((resolve) =>
      registry.on("room-empty", ({ path }) => path === "/rooms/a" && resolve(path)),
    );
    room.sendText("last words");
    room.close(4001, "over");
    expect(await loop).toEqual(["last words"]);
    for (const client of inside) {
      expect(await client.readText()).toBe("last words");
      expect(await client.closed).toMatchObject({ code: 4001, reason: "over" });
    }
    await emptied;
    outside.sendText("alive");
    expect(await outside.readText()).toBe("alive");
    expect((await elsewhere.next()).value).toEqual({ text: "alive" });
    await elsewhere.return();
  });

  it("closes with 1000 by default, ends subscriptions without members, and does nothing in an empty room", async () => {
    const running = await open();
    const room = running.app.registry.room("/rooms/a");
    room.close();
    const subscription = room.subscribe();
    expect(running.app.status().rooms).toBe(1);
    room.close();
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
    expect(running.app.status().rooms).toBe(0);
    const client = await running.open("/rooms/a");
    room.close();
    expect(await client.closed).toMatchObject({ code: 1000, reason: "" });
    expect(await (await running.open("/rooms/a")).close(1000)).toMatchObject({ code: 1000 });
  });

  it("accepts the codes that an application may send, and closes no client with another", async () => {
    const running = await open();
    const client = await running.open("/rooms/a");
    const room = running.app.registry.room("/rooms/a");
    for (const code of [1001, 1006, 2999, 5000]) {
      expect(() => room.close(code)).toThrow(expect.objectContaining({ code: "ERR_CLOSE_CODE" }));
    }
    client.sendText("alive");
    expect(await client.readText()).toBe("alive");
  });
});

describe("a connection and its rooms", () => {
  it("is in a room once after any number of joins, its home included, and out of it after one leave", async () => {
    const running = await open();
    const { registry } = running.app;
    const client = await running.open("/rooms/a");
    const connection = newestConnection(running.app);
    for (const path of ["/rooms/b", "/rooms/b/", "/rooms/b", "/rooms/a"]) registry.join(connection, path);
    expect(registry.roomsOf(connection).map(({ path, size }) => [path, size])).toEqual([
      ["/rooms/a", 1],
      ["/rooms/b", 1],
    ]);
    for (const path of ["/rooms/a", "/rooms/b"]) registry.sendTextToRoom(path, path);
    registry.leave(connection, "/rooms/b");
    registry.leave(connection, "/rooms/b");
    registry.sendTextToRoom("/rooms/b", "not received");
    registry.sendTextToRoom("/rooms/a", "end");
    const heard = [await client.readText(), await client.readText(), await client.readText()];
    expect(heard).toEqual(["/rooms/a", "/rooms/b", "end"]);
    expect(registry.rooms.map(({ path }) => path)).toEqual(["/rooms/a"]);
  });

  it("is closed when it leaves its last room, home or joined, if its route has that option", async () => {
    const running = await open({ closeOnLastRoomLeft: true });
    const { registry } = running.app;
    const stays = await running.open("/rooms/a");
    const staying = newestConnection(running.app);
    registry.join(staying, "/rooms/b");
    registry.leave(staying, "/rooms/a");
    registry.leave(staying, "/rooms/never-there");
    registry.sendTextToRoom("/rooms/b", "still in b");
    expect(await stays.readText()).toBe("still in b");
    registry.leave(staying, "/rooms/b");
    expect(await stays.closed).toMatchObject({ code: 1000 });
    const goes = await running.open("/rooms/a");
    const going = newestConnection(running.app);
    registry.join(going, "/rooms/b");
    registry.leaveAll(going);
    expect(await goes.closed).toMatchObject({ code: 1000 });
    const lobby = await running.open("/lobby");
    registry.join(newestConnection(running.app), "/rooms/a");
    registry.leaveAll(newestConnection(running.app));
    lobby.sendText("to an empty room");
    registry.sendTextToAll("a route that does not say so");
    expect(await lobby.readText()).toBe("a route that does not say so");
  });

  it("is reported in order: the room, its presence, the leave, the freed room, and again on a return", async () => {
    const running = await open({ presence: { mode: "full", leaveGraceMs: 0 } });
    const { registry } = running.app;
    const reported = new Mailbox<string>();
    registry.on("room", ({ path, size }) => reported.put(`room ${path} ${size}`));
    registry.on("presence", ({ path, size }, { version, joined, left }) => {
      reported.put(`presence ${path} ${size}, version ${version}: +${joined.length} -${left.length}`);
    });
    registry.on("room-empty", ({ path, size }) => reported.put(`empty ${path} ${size}`));
    await running.open("/lobby");
    const connection = newestConnection(running.app);
    for (const before of [1, 5]) {
      registry.join(connection, "/rooms/a");
      await reported.have(before + 2);
      registry.leave(connection, "/rooms/a");
      await reported.have(before + 4);
    }
    const life = [
      "room /rooms/a 1",
      "presence /rooms/a 1, version 1: +1 -0",
      "presence /rooms/a 0, version 2: +0 -1",
      "empty /rooms/a 0",
    ];
    expect(reported.all).toEqual(["room /lobby 1", ...life, ...life]);
  });

  it("may be added back by a listener: each life of a room is reported from its beginning to its end", async () => {
    const running = await open({ presence: { mode: "full", leaveGraceMs: 0 } });
    const { registry } = running.app;
    const reported: string[] = [];
    await running.open("/lobby");
    const connection = newestConnection(running.app);
    registry.on("room", ({ path }) => reported.push(`room ${path}`));
    let returns = 1;
    registry.on("presence", (_room, { left }) => {
      if (left.length === 0 || returns === 0) return;
      returns -= 1;
      registry.join(connection, "/rooms/a");
    });
    registry.on("room-empty", ({ path, state }) => reported.push(`empty ${path}: ${state.get("draft")}`));
    const client = await running.open("/rooms/a");
    registry.room("/rooms/a").state.set("draft", "text");
    await leave(running, client);
    expect(reported).toEqual(["room /rooms/a", "empty /rooms/a: text", "room /rooms/a"]);
    expect(registry.room("/rooms/a").size).toBe(1);
    expect(registry.room("/rooms/a").state.size).toBe(0);
  });

  it("may be removed by a listener: no user is reported as present in a freed room", async () => {
    const running = await open({ presence: { mode: "full", leaveGraceMs: 0 } });
    const { registry } = running.app;
    await running.open("/lobby");
    const connection = newestConnection(running.app);
    const present = new Set<string>();
    registry.on("presence", (_room, { joined, left }) => {
      for (const { id } of joined) present.add(id);
      for (const { id } of left) present.delete(id);
    });
    registry.on("room", () => registry.leave(connection, "/rooms/a"));
    registry.join(connection, "/rooms/a");
    await new Promise((resolve) => setImmediate(resolve));
    expect(registry.room("/rooms/a").size).toBe(0);
    expect([...present]).toEqual([]);
  });
});
