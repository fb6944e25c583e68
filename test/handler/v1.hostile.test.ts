import { describe, expect, it } from "vitest";
import { type HistoryPage, type HistoryQuery, MemoryBackplane } from "../../src/backplane/index.js";
import {
  App,
  type AppOptions,
  anonymous,
  EventError,
  EventHandler,
  HttpError,
  On,
  type RoomPath,
  type RouteOptions,
  WebSocketHandler,
} from "../../src/index.js";
import { type ConnectOptions, connect, ManualClock, type TestClient } from "../../src/testing/index.js";
import { closes, Mailbox, start } from "../support/app.js";
import { rawConnection } from "../support/raw.js";

class Chat extends WebSocketHandler {
  onJSON(message: unknown) {
    this.sendJSONToThisRoom(message);
  }
}

const v1: ConnectOptions = { protocols: ["enfilade.v1", `enfilade.secret.${"s".repeat(22)}`] };
const clientId = "client-0123456789";
const history = { history: { size: 100 } };
const silent = { warn: () => undefined, error: () => undefined };

function appWith(route: RouteOptions = {}, options: AppOptions = {}): App {
  return new App({ logger: silent, ...options }).route("/chat/:room", Chat, route);
}

async function connectWelcomed(app: App, path: string): Promise<TestClient> {
  const client = await connect(app, path, v1);
  expect(await client.readJSON()).toMatchObject({ type: "welcome" });
  return client;
}

/** A backplane that reads history only when the test releases it. */
class Gate extends MemoryBackplane {
  readonly asked = new Mailbox<HistoryQuery>();
  #open: () => void = () => undefined;
  #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  release(): void {
    this.#open();
  }

  override async readHistory(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
    this.asked.put(query);
    await this.#opened;
    return super.readHistory(path, query);
  }
}

describe("a malicious client of enfilade.v1", () => {
  it.each([5_000, 100_000])(
    "ends no connection with JSON nested %i deep, which some versions of Node cannot write",
    async (depth) => {
      class Quiet extends WebSocketHandler {
        onJSON() {
          // Not needed here.
        }
      }
      await using app = new App({ limits: { messageBytesMax: 1_000_000 } }).route("/chat/:room", Quiet);
      const [bad, good] = [await connectWelcomed(app, "/chat/a"), await connectWelcomed(app, "/chat/b")];
      const nested = "[".repeat(depth) + "]".repeat(depth);
      bad.sendText(`{"type":"message","data":${nested},"id":1}`);
      const answer = await bad.readJSON();
      expect([
        { data: null },
        { error: { code: "bad_frame", message: "this is no frame of enfilade.v1" } },
      ]).toContainEqual({
        ...(answer as object),
        type: undefined,
        id: undefined,
      });
      bad.sendText(`{"type":"event","event":"x","data":${nested}}`);
      bad.sendText("no frame");
      expect(await bad.closed).toMatchObject({ code: 4500 });
      good.sendJSON({ type: "ping" });
      expect(await good.readJSON()).toEqual({ type: "pong" });
    },
  );

  it("gets one roster per tick, for any number of requests", async () => {
    const { app, open } = await start(appWith({ presence: "full" }));
    const client = await open("/chat/a", v1);
    expect([await client.readJSON(), await client.readJSON()]).toMatchObject([
      { type: "welcome" },
      { type: "presence" },
    ]);
    for (let n = 0; n < 1_000; n += 1) client.sendJSON({ type: "watch" });
    client.sendJSON({ type: "message", data: "end" });
    let rosters = 0;
    while (((await client.readJSON()) as { type: string }).type !== "message") rosters += 1;
    expect(rosters).toBeLessThan(100);
    expect(app.status().totals.received).toBe(1_001);
  });

  it("gets no second list of the same version, and one list per presenceListMs", async () => {
    const clock = new ManualClock();
    await using app = appWith({ presence: "count" }, { clock, limits: { heartbeatMs: false } });
    const client = await connectWelcomed(app, "/chat/a");
    const frames: object[] = [];
    const framesUntilPong = async () => {
      client.sendJSON({ type: "ping" });
      for (frames.length = 0; ; ) {
        // The server sends JSON objects.
        const frame = (await client.readJSON()) as { type: string; joined?: unknown };
        if (frame.type === "pong") return frames.length;
        frames.push(frame);
      }
    };
    const watch = async () => {
      client.sendJSON({ type: "watch" });
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    };
    await watch();
    // The list after the welcome, and the list that the client asked for.
    expect(await framesUntilPong()).toBe(2);
    clock.advance(60_000);
    for (let n = 0; n < 10; n += 1) await watch();
    expect(await framesUntilPong()).toBe(0);
    clock.advance(60_000);
    const lists: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      await connectWelcomed(app, "/chat/a");
      await watch();
      lists.push(await framesUntilPong());
    }
    // Each time there is a change. The first list is due, the others have to wait.
    expect(lists).toEqual([2, 1, 1]);
    clock.advance(1_000);
    expect(await framesUntilPong()).toBe(1);
    expect(frames).toMatchObject([{ type: "presence", count: 4 }]);
  });

  it("has its credentials checked refreshesPerMinuteMax times a minute; then the newest token waits", async () => {
    const clock = new ManualClock();
    const asked = new Mailbox<string>();
    class Guarded extends WebSocketHandler {
      override authorize({ token = "first" }: { token?: string | undefined }) {
        asked.put(token);
        return { id: "ann" };
      }
      onMessage() {
        this.sendText("ok");
      }
    }
    await using app = new App({ clock, limits: { refreshesPerMinuteMax: 2, heartbeatMs: false } }).route("/x", Guarded);
    const client = await connectWelcomed(app, "/x");
    const refresh = async (token: string) => {
      client.sendJSON({ type: "refresh", token });
      client.sendJSON({ type: "ping" });
      expect(await client.readJSON()).toEqual({ type: "pong" });
      await new Promise((resolve) => setImmediate(resolve));
    };
    for (const token of ["a", "b", "c", "d", "e"]) await refresh(token);
    expect(asked.all).toEqual(["first", "a", "b"]);
    clock.advance(30_000);
    expect(await asked.have(4)).toEqual(["first", "a", "b", "e"]);
    await refresh("f");
    await client.close();
    clock.advance(60_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked.all).toEqual(["first", "a", "b", "e"]);
  });

  it("has one renewal of its credentials checked at a time, and only the last of those that wait", async () => {
    const asked = new Mailbox<string>();
    const answers: (() => void)[] = [];
    class Guarded extends WebSocketHandler {
      override async authorize({ token = "first" }: { token?: string | undefined }) {
        asked.put(token);
        if (token !== "first") await new Promise<void>((resolve) => answers.push(resolve));
        if (token === "busy") throw new HttpError(503);
        return { id: "ann", token };
      }
      onMessage() {
        this.sendJSON([this.user, this.connection.user, this.request.token]);
      }
    }
    await using app = new App().route("/x", Guarded);
    const client = await connectWelcomed(app, "/x");
    for (let n = 1; n <= 500; n += 1) client.sendJSON({ type: "refresh", token: `${n}` });
    client.sendJSON({ type: "message", text: "?" });
    expect(await client.readJSON()).toMatchObject({ data: [{ token: "first" }, { token: "first" }, null] });
    expect(asked.all).toEqual(["first", "1"]);
    answers.shift()?.();
    expect(await asked.have(3)).toEqual(["first", "1", "500"]);
    answers.shift()?.();
    client.sendJSON({ type: "refresh", token: "busy" });
    await asked.have(4);
    client.sendJSON({ type: "message", text: "?" });
    expect(await client.readJSON()).toMatchObject({ data: [{ token: "500" }, { token: "500" }, "500"] });
    answers.shift()?.();
    expect(await client.closed).toMatchObject({ code: 1013, reason: "try again later" });
  });
});

describe("a frame with an id", () => {
  class Work extends EventHandler {
    static readonly finish: (() => void)[] = [];
    override authorize() {
      const id = this.query.get("user");
      return id === null ? anonymous : { id };
    }
    @On() async onSlow(value: unknown) {
      await new Promise<void>((resolve) => Work.finish.push(resolve));
      if (value === "fail") throw new EventError("no_money", "there is no money");
      return `slow ${value}`;
    }
    @On() onFast(value: unknown) {
      return `${this.query.get("user")} fast ${value}`;
    }
  }
  const event = (name: string, data: unknown, id: number | string) => ({ type: "event", event: name, data, id });
  const workApp = (options: AppOptions = {}) => new App(options).route("/work", Work);

  it("gets its own reply, with any number of frames waiting behind it", async () => {
    await using app = workApp();
    const client = await connectWelcomed(app, `/work?client=${clientId}`);
    client.sendJSON(event("slow", 1, "first"));
    for (let n = 0; n < 300; n += 1) client.sendJSON(event("fast", n, n));
    client.sendJSON(event("slow", "fail", "last"));
    while (Work.finish.length === 0) await new Promise((resolve) => setImmediate(resolve));
    Work.finish.shift()?.();
    expect(await client.readJSON()).toEqual({ type: "reply", id: "first", data: "slow 1" });
    for (let n = 0; n < 300; n += 1) expect(await client.readJSON()).toMatchObject({ id: n, data: `null fast ${n}` });
    while (Work.finish.length === 0) await new Promise((resolve) => setImmediate(resolve));
    Work.finish.shift()?.();
    expect(await client.readJSON()).toMatchObject({ id: "last", error: { code: "no_money" } });
  });

  it("belongs to the user who sent it; another user with the same client id gets nothing of it", async () => {
    await using app = workApp();
    const ann = await connectWelcomed(app, `/work?user=ann&client=${clientId}`);
    ann.sendJSON(event("fast", "secret", 1));
    expect(await ann.readJSON()).toMatchObject({ id: 1, data: "ann fast secret" });
    const bob = await connectWelcomed(app, `/work?user=bob&client=${clientId}`);
    bob.sendJSON(event("fast", "mine", 1));
    expect(await bob.readJSON()).toMatchObject({ id: 1, data: "bob fast mine" });
  });

  it("is remembered while its client is connected, and five minutes longer", async () => {
    const clock = new ManualClock();
    const app = workApp({ clock, limits: { heartbeatMs: false } });
    const ask = async (client: TestClient, id: number) => {
      client.sendJSON(event("fast", Math.random(), id));
      return ((await client.readJSON()) as { data: string }).data;
    };
    const first = await connectWelcomed(app, `/work?client=${clientId}`);
    clock.advance(6 * 60_000);
    await connectWelcomed(app, "/work?client=another-0123456789");
    const answer = await ask(first, 1);
    const left = closes(app, 1);
    first.terminate();
    await left;
    clock.advance(4 * 60_000);
    const second = await connectWelcomed(app, `/work?client=${clientId}`);
    expect(await ask(second, 1)).toBe(answer);
    const leftAgain = closes(app, 1);
    second.terminate();
    await leftAgain;
    clock.advance(5 * 60_000 + 1);
    expect(await ask(await connectWelcomed(app, `/work?client=${clientId}`), 1)).not.toBe(answer);
    const closing = app.close();
    clock.advance(60_000);
    await closing;
  });

  it("is answered with an error if its handler hung and was abandoned", async () => {
    await using app = workApp({ limits: { closeMs: 50 }, logger: silent });
    const first = await connectWelcomed(app, `/work?client=${clientId}`);
    first.sendJSON(event("slow", "for ever", 1));
    while (Work.finish.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const left = closes(app, 1);
    first.terminate();
    await left;
    const second = await connectWelcomed(app, `/work?client=${clientId}`);
    second.sendJSON(event("slow", "for ever", 1));
    expect(await second.readJSON()).toMatchObject({ id: 1, error: { code: "internal" } });
    for (const finish of Work.finish.splice(0)) finish();
  });

  it("is answered too if the event came inside a message", async () => {
    await using app = workApp();
    const client = await connectWelcomed(app, "/work");
    client.sendJSON({ type: "message", data: { event: "fast", data: 1, id: 5 } });
    expect(await client.readJSON()).toEqual({ type: "reply", id: 5, data: "null fast 1" });
    client.sendJSON({ type: "message", data: { event: "none", id: 6 } });
    expect(await client.readJSON()).toMatchObject({ type: "reply", id: 6, error: { code: "unknown_event" } });
    client.sendJSON({ type: "message", data: { event: "fast", data: 2 }, id: 9 });
    expect(await client.readJSON()).toEqual({ type: "reply", id: 9, data: "null fast 2" });
  });
});

describe("during a read of history", () => {
  it("nothing comes before the welcome, and later messages come in order, with their rooms", async () => {
    const gate = new Gate();
    await using app = appWith(history, { backplane: gate });
    app.on("open", (connection) => connection.sendJSON("from open"));
    const client = await connect(app, "/chat/a", v1);
    client.sendJSON({ type: "ping" });
    await gate.asked.have(1);
    app.registry.sendJSONToAll("all");
    app.registry.sendJSONToRoom("/chat/**", "tree");
    app.registry.sendJSONToRoom("/chat/a", "room");
    const drained = app.drain({ withinMs: 10_000 });
    while (app.status().totals.received === 0) await new Promise((resolve) => setImmediate(resolve));
    gate.release();
    const types = [];
    // Publications before the read of the history are before the position.
    while (types.length < 6) types.push(await client.readJSON());
    expect(types[0]).toMatchObject({ type: "welcome", position: { offset: 1 } });
    expect(types.slice(1)).toEqual(
      expect.arrayContaining([
        { type: "message", data: "from open" },
        { type: "message", data: "all" },
        { type: "drain", withinMs: 10_000, afterMs: expect.any(Number) },
        { type: "pong" },
        { type: "message", room: "/chat/**", data: "tree" },
      ]),
    );
    await client.close();
    await drained;
  });

  it("an evicted client gets nothing more from the room", async () => {
    const gate = new Gate();
    await using app = appWith({ ...history, replay: 10 }, { backplane: gate });
    app.registry.sendJSONToRoom("/chat/a", "old secret");
    const client = await connect(app, "/chat/a", v1);
    await gate.asked.have(1);
    const [connection] = app.registry.connections;
    if (connection === undefined) throw new Error("there is no connection");
    app.registry.leave(connection, "/chat/a");
    app.registry.sendJSONToRoom("/chat/a", "new secret");
    gate.release();
    expect(await client.readJSON()).toMatchObject({ type: "welcome" });
    client.sendJSON({ type: "ping" });
    expect(await client.readJSON()).toEqual({ type: "pong" });
  });

  it("a plain client is closed rather than left with a gap", async () => {
    const gate = new Gate();
    const options = { backplane: gate, limits: { subscriberMessagesMax: 5 } };
    await using app = appWith({ history: { size: 10 }, replay: 5 }, options);
    for (let n = 1; n <= 5; n += 1) app.registry.sendJSONToRoom("/chat/a", n);
    let reads = 0;
    const read = gate.readHistory.bind(gate);
    gate.readHistory = async (path, query) => {
      const kept = await read(path, query);
      reads += 1;
      // Between the read and its answer, more is published than is kept.
      if (reads === 1) for (let n = 6; n <= 40; n += 1) app.registry.sendJSONToRoom("/chat/a", n);
      return kept;
    };
    const client = await connect(app, "/chat/a");
    gate.release();
    expect(await client.closed).toMatchObject({ code: 4008 });
  });

  it("a subscription gets the number of missed publications that are no longer kept", async () => {
    const { registry } = appWith(history, { limits: { subscriberMessagesMax: 10 } });
    const subscription = registry.room("/chat/a").subscribe({ replay: 0 });
    for (let n = 1; n <= 1_500; n += 1) registry.sendJSONToRoom("/chat/a", n);
    let [received, missed] = [0, 0];
    for await (const publication of subscription) {
      received += 1;
      missed += publication.missed ?? 0;
      expect(publication.data).toBe(received + missed);
      if (publication.data === 1_500) break;
    }
    expect(received + missed).toBe(1_500);
  });

  it("a client that does not read is closed as slow, as at any other time", async () => {
    const limits = { outboxAgeMsMax: 100, closeMs: 100 };
    const { app, port } = await start(appWith({ history: { size: 1_000, bytesMax: 1e8 }, replay: 1_000 }, { limits }));
    for (let n = 0; n < 1_000; n += 1) app.registry.sendJSONToRoom("/chat/a", "x".repeat(20_000));
    const left = new Promise<number>((resolve) => app.on("close", (_connection, code) => resolve(code)));
    const { socket } = await rawConnection(port, "/chat/a");
    socket.pause();
    expect(await left).toBe(4_008);
    expect(app.status().totals.slow).toBe(1);
    socket.destroy();
  });
});

describe("offsets", () => {
  it("come in order to every client, also if one delivery causes the next publication", async () => {
    class Leaving extends WebSocketHandler {
      override onConnect() {
        this.signal.addEventListener("abort", () => this.sendJSONToThisRoom("left"));
      }
      onMessage() {
        this.sendJSON("unused");
      }
    }
    const limits = { outboxBytesMax: 100_000, highWaterBytes: 50_000 };
    const { app, port, open } = await start(new App({ limits }).route("/x", Leaving, history));
    const { socket } = await rawConnection(port, "/x");
    socket.pause();
    const client = await open("/x", v1);
    expect(await client.readJSON()).toMatchObject({ type: "welcome" });
    for (let offset = 1; app.status().totals.slow === 0; offset += 1) {
      app.registry.sendJSONToRoom("/x", "kept");
      // No history keeps this, so it fills the outbox of the other client.
      app.registry.sendJSONToAll("x".repeat(40_000));
      expect([await client.readJSON(), await client.readJSON()]).toMatchObject([{ offset }, {}]);
      if (app.status().totals.slow === 1)
        expect(await client.readJSON()).toMatchObject({ offset: offset + 1, data: "left" });
    }
    socket.destroy();
  });

  it("are also reported for the last messages that were dropped for a slow client", async () => {
    const route: RouteOptions = { ...history, policy: { kind: "skip" } };
    class Skipping extends WebSocketHandler {
      onMessage() {
        for (let n = 0; n < 90; n += 1) this.sendTextToThisRoom("x".repeat(60_000), { keep: true });
      }
    }
    const { app, open } = await start(new App().route("/x", Skipping, route));
    const client = await open("/x", v1);
    await client.readJSON();
    client.sendJSON({ type: "message", text: "go" });
    let [sent, lost] = [0, 0];
    while (sent + lost < 90) {
      const frame = (await client.readJSON()) as { type: string; missed: number; position: { offset: number } };
      if (frame.type === "message") sent += 1;
      else lost += frame.missed;
      if (frame.type === "lagged") expect(frame.position.offset).toBe(90);
    }
    expect(sent + lost).toBe(90);
    expect(app.status().totals.dropped).toBeGreaterThan(0);
  });

  it("count publications that were not for the client, also when it resumes", async () => {
    await using app = appWith(history);
    const path = `/chat/a?client=${clientId}`;
    const first = await connect(app, path, v1);
    const { position } = (await first.readJSON()) as { position: { epoch: string } };
    app.registry.sendJSONToRoom("/chat/a", "not for you", { except: app.registry.connections });
    expect(await first.readJSON()).toEqual({ type: "message", offset: 1 });
    first.terminate();
    const second = await connect(app, `${path}&since=${position.epoch}:0`, v1);
    expect(await second.readJSON()).toMatchObject({ recovered: true });
    expect(await second.readJSON()).toEqual({ type: "message", offset: 1 });
  });
});

describe("presence", () => {
  it("is not watched by a client that a listener has just evicted from the room", async () => {
    await using app = appWith({ presence: "full" });
    const { registry } = app;
    registry.on("presence", (_room, { joined }) => {
      const connection = registry.connection(joined[0]?.id ?? "");
      if (connection?.request.query.has("kick")) registry.leave(connection, "/chat/a");
    });
    const stays = await connectWelcomed(app, "/chat/a");
    const kicked = await connectWelcomed(app, "/chat/a?kick=1");
    kicked.sendJSON({ type: "ping" });
    expect(await kicked.readJSON()).toEqual({ type: "pong" });
    const versions = [await stays.readJSON(), await stays.readJSON(), await stays.readJSON()];
    expect(versions).toMatchObject([
      { version: 1 },
      { version: 2, joined: [{}] },
      { version: 3, left: [expect.any(String)] },
    ]);
  });
});

it("a subscription that begins after the app has closed ends at once", async () => {
  const app = appWith();
  await app.close();
  expect(await app.registry.room("/chat/a").subscribe().next()).toEqual({ done: true, value: undefined });
  expect(app.status().rooms).toBe(0);
});

describe("a client or handler that fails or floods", () => {
  it("costs only its own message: a failed send throws, and the next message arrives", async () => {
    const { app, open, errors } = await start(appWith());
    const client = await open("/chat/a", v1);
    await client.readJSON();
    const detached = new Uint8Array(8);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    expect(() => app.registry.sendBinaryToRoom("/chat/a", detached)).toThrow(TypeError);
    app.registry.sendJSONToAll("next");
    expect(await client.readJSON()).toEqual({ type: "message", data: "next" });
    expect(errors).toEqual([]);
  });

  it("leaves no record of frames that never started, and they run when they are repeated", async () => {
    const run = new Mailbox<unknown>();
    class Counting extends WebSocketHandler {
      override async onConnect() {
        if (this.query.has("stuck"))
          await new Promise<void>((resolve) => this.signal.addEventListener("abort", () => resolve()));
      }
      onJSON(message: unknown) {
        run.put(message);
      }
    }
    const app = new App().route("/x", Counting);
    const path = `/x?client=${clientId}`;
    const stuck = await connectWelcomed(app, `${path}&stuck=1`);
    for (let id = 0; id < 60; id += 1) stuck.sendJSON({ type: "message", data: id, id });
    stuck.sendText("no frame");
    const left = closes(app, 1);
    expect(await stuck.closed).toMatchObject({ code: 4500 });
    await left;
    const again = await connectWelcomed(app, path);
    for (let id = 0; id < 60; id += 1) again.sendJSON({ type: "message", data: id, id });
    for (let id = 0; id < 60; id += 1) expect(await again.readJSON()).toEqual({ type: "reply", id, data: null });
    expect(run.all).toEqual(Array.from({ length: 60 }, (_, id) => id));
    await app.close();
  });

  it("costs no room its history by connecting to many others", async () => {
    await using app = appWith(history, { limits: { roomsMax: 20 } });
    await app.registry.room("/chat/kept").publish("kept");
    for (let n = 0; n < 100; n += 1) {
      const left = closes(app, 1);
      const client = await connectWelcomed(app, `/chat/evil${n}`);
      client.terminate();
      await left;
    }
    expect(await app.registry.room("/chat/kept").history()).toMatchObject([{ data: "kept" }]);
  });

  it("a request that outlives its connection is answered on the next one with its result", async () => {
    let finish: () => void = () => undefined;
    class Paying extends EventHandler {
      @On() async onPay() {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return "paid";
      }
    }
    await using app = new App({ limits: { closeMs: 50 } }).route("/pay", Paying);
    const path = `/pay?client=${clientId}`;
    const first = await connectWelcomed(app, path);
    first.sendJSON({ type: "event", event: "pay", id: 1 });
    while (app.status().totals.received === 0) await new Promise((resolve) => setImmediate(resolve));
    const left = closes(app, 1);
    first.terminate();
    const second = await connectWelcomed(app, path);
    second.sendJSON({ type: "event", event: "pay", id: 1 });
    second.sendJSON({ type: "ping" });
    expect(await second.readJSON()).toEqual({ type: "pong" });
    await left;
    finish();
    expect(await second.readJSON()).toEqual({ type: "reply", id: 1, data: "paid" });
  });
});
