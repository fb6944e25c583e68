import { describe, expect, it } from "vitest";
import {
  App,
  type AppOptions,
  EventError,
  EventHandler,
  HttpError,
  On,
  type RouteOptions,
  WebSocketHandler,
} from "../../src/index.js";
import { type ConnectOptions, connect, type TestClient } from "../../src/testing/index.js";
import { Mailbox, start } from "../support/app.js";

class Chat extends WebSocketHandler {
  onJSON(message: unknown) {
    this.sendJSONToThisRoom(message);
  }
}

const history = { history: { size: 100 } };
const v1: ConnectOptions = { protocols: ["enfilade.v1", `enfilade.secret.${"s".repeat(22)}`] };
const clientId = "client-0123456789";

function appWith(route: RouteOptions = {}, options: AppOptions = {}): App {
  return new App(options).route("/chat/:room", Chat, route);
}

/** A client that has read its welcome. */
async function join(app: App, path: string, options: ConnectOptions = v1) {
  const client = await connect(app, path, options);
  return { client, welcome: (await client.readJSON()) as { position: { epoch: string; offset: number } } };
}

async function closeInfoOf(client: TestClient): Promise<number> {
  return (await client.closed).code;
}

describe("a client of enfilade.v1", () => {
  it("gets a welcome first, with its id, its room and a position, even if that is 0", async () => {
    await using app = appWith(history, { limits: { heartbeatMs: 7_000 } });
    const { client, welcome } = await join(app, "/chat/caf%C3%A9?x=1");
    expect(client.protocol).toBe("enfilade.v1");
    expect(welcome).toEqual({
      type: "welcome",
      id: app.registry.connections[0]?.id,
      room: "/chat/café",
      position: { epoch: expect.any(String), offset: 0 },
      heartbeatMs: 7_000,
    });
    await using plain = appWith({}, { limits: { heartbeatMs: false } });
    const without = (await join(plain, "/chat/a")).welcome;
    expect(without).toEqual({ type: "welcome", id: expect.any(String), room: "/chat/a", heartbeatMs: 0 });
  });

  it("gets frames, while a plain client in the room gets the content byte for byte", async () => {
    await using app = appWith(history);
    const { client } = await join(app, "/chat/a");
    const plain = await connect(app, "/chat/a");
    const { registry } = app;
    registry.sendJSONToRoom("/chat/a", { a: [1, "é"] });
    registry.sendTextToRoom("/chat/a", 'say "hi"\n');
    registry.sendBinaryToRoom("/chat/a", new Uint8Array([0, 255, 16]));
    registry.sendJSONToAll("all");
    registry.sendTextToRoom("/**", "tree");
    registry.connections[0]?.sendJSON(null);
    expect(await client.readText()).toBe('{"type":"message","offset":1,"data":{"a":[1,"é"]}}');
    expect(await client.readJSON()).toEqual({ type: "message", offset: 2, text: 'say "hi"\n' });
    expect(await client.readJSON()).toEqual({ type: "message", offset: 3, base64: "AP8Q" });
    expect(await client.readJSON()).toEqual({ type: "message", data: "all" });
    expect(await client.readJSON()).toEqual({ type: "message", room: "/**", text: "tree" });
    expect(await client.readJSON()).toEqual({ type: "message", data: null });
    expect([await plain.readText(), await plain.readText()]).toEqual(['{"a":[1,"é"]}', 'say "hi"\n']);
    expect(await plain.readBinary()).toEqual(Buffer.from([0, 255, 16]));
    expect([await plain.readText(), await plain.readText()]).toEqual(['"all"', "tree"]);
  });

  it("gets the room of messages from another one, and counts publications that are not for it", async () => {
    await using app = appWith(history);
    const { client } = await join(app, "/chat/a");
    const [connection] = app.registry.connections;
    if (connection === undefined) throw new Error("there is no connection");
    app.registry.join(connection, "/chat/b");
    const position = { epoch: expect.any(String), offset: 0 };
    expect(await client.readJSON()).toEqual({ type: "joined", room: "/chat/b", position });
    app.registry.sendJSONToRoom("/chat/b", "b");
    app.registry.sendJSONToRoom("/chat/a", "hidden", { except: connection });
    app.registry.sendJSONToRoom("/chat/a", "a");
    expect(await client.readJSON()).toEqual({ type: "message", room: "/chat/b", roomOffset: 1, data: "b" });
    expect(await client.readJSON()).toEqual({ type: "message", offset: 1 });
    expect(await client.readJSON()).toEqual({ type: "message", offset: 2, data: "a" });
  });

  it("has its messages and events read like those of a plain client, and answered once by their ids", async () => {
    class Events extends EventHandler {
      @On() onAdd({ a, b }: { a: number; b: number }) {
        return a + b;
      }
      @On() onFail() {
        throw new EventError("full", "the room is full");
      }
    }
    await using app = appWith().route("/events", Events);
    const { client } = await join(app, "/chat/a");
    client.sendJSON({ type: "message", data: { n: 1 }, id: 1 });
    expect(await client.readJSON()).toEqual({ type: "message", data: { n: 1 } });
    expect(await client.readJSON()).toEqual({ type: "reply", id: 1, data: null });
    client.sendJSON({ type: "message", text: '"as JSON"' });
    expect(await client.readJSON()).toEqual({ type: "message", data: "as JSON" });
    const events = (await join(app, "/events")).client;
    const asked: [object, object][] = [
      [
        { event: "add", data: { a: 1, b: 2 }, id: "x" },
        { type: "reply", id: "x", data: 3 },
      ],
      [
        { event: "fail", id: 2 },
        { type: "reply", id: 2, error: { code: "full", message: "the room is full" } },
      ],
      [
        { event: "none", id: 3 },
        { type: "reply", id: 3, error: { code: "unknown_event" } },
      ],
      [{ event: "constructor" }, { type: "error", event: "constructor", error: { code: "unknown_event" } }],
    ];
    for (const [question, answer] of asked) {
      events.sendJSON({ type: "event", ...question });
      expect(await events.readJSON()).toMatchObject(answer);
    }
    events.sendJSON({ type: "message", data: "no event", id: 4 });
    expect(await events.readJSON()).toMatchObject({ type: "reply", id: 4, error: { code: "bad_message" } });
    events.sendJSON({ type: "ping" });
    expect(await events.readJSON()).toEqual({ type: "pong" });
  });

  it.each([
    "not json",
    "7",
    "[]",
    "null",
    "{}",
    '{"type":"unknown"}',
    '{"type":"message"}',
    '{"type":"message","data":1,"text":"x"}',
    '{"type":"message","text":7}',
    '{"type":"event"}',
    '{"type":"event","event":7}',
    '{"type":"refresh"}',
    '{"type":"__proto__"}',
    '{"type":"message","data":1,"id":{}}',
    '{"type":"message","data":1,"id":-1}',
    '{"type":"message","data":1,"id":""}',
  ])("is closed with 4500 for the invalid frame %s", async (frame) => {
    await using app = appWith();
    const { client } = await join(app, "/chat/a");
    client.sendText(frame);
    expect(await client.closed).toMatchObject({ code: 4500, reason: "bad frame" });
  });

  it("gets an error by its id for an invalid frame, and continues", async () => {
    await using app = appWith();
    const { client } = await join(app, "/chat/a");
    for (const frame of [{ type: "unknown" }, { type: "message" }, { type: "event", event: 7 }, {}]) {
      client.sendJSON({ ...frame, id: 9 });
      expect(await client.readJSON()).toMatchObject({ type: "reply", id: 9, error: { code: "bad_frame" } });
    }
  });
});

describe("a client of enfilade.v1 that resumes", () => {
  it("gets exactly the missed publications, then live ones", async () => {
    await using app = appWith(history);
    const room = app.registry.room("/chat/a");
    const { client, welcome } = await join(app, "/chat/a");
    const { epoch } = welcome.position;
    for (let n = 1; n <= 5; n += 1) room.sendJSON(n);
    for (let n = 1; n <= 3; n += 1) expect(await client.readJSON()).toMatchObject({ offset: n, data: n });
    client.terminate();
    for (let n = 6; n <= 9; n += 1) room.sendJSON(n);
    const back = await join(app, `/chat/a?since=${epoch}:3`);
    expect(back.welcome).toMatchObject({ recovered: true, position: { epoch, offset: 3 } });
    room.sendJSON(10);
    for (let n = 4; n <= 10; n += 1)
      expect(await back.client.readJSON()).toEqual({ type: "message", offset: n, data: n });
  });

  it("gets only live publications if it missed none", async () => {
    await using app = appWith(history);
    const room = app.registry.room("/chat/a");
    const { epoch } = (await join(app, "/chat/a")).welcome.position;
    for (let n = 1; n <= 3; n += 1) room.sendJSON(n);
    const { client, welcome } = await join(app, `/chat/a?since=${epoch}:3`);
    expect(welcome).toMatchObject({ recovered: true, position: { epoch, offset: 3 } });
    room.sendJSON("live");
    expect(await client.readJSON()).toEqual({ type: "message", offset: 4, data: "live" });
  });

  it("gets the reason for an incomplete recovery, and then everything that is kept", async () => {
    await using app = appWith({ history: { size: 5 }, replay: 2 }, { limits: { recoverMessagesMax: 3 } });
    const room = app.registry.room("/chat/a");
    const { welcome } = await join(app, "/chat/a");
    const { epoch } = welcome.position;
    for (let n = 1; n <= 10; n += 1) room.sendJSON(n);
    const common = { type: "welcome", id: expect.any(String), room: "/chat/a", heartbeatMs: 25_000 };
    const cases: [since: string, offset: number, answer: object][] = [
      [`${epoch}:4`, 5, { reason: "trimmed", missed: 1 }],
      [`${epoch}:0`, 5, { reason: "trimmed", missed: 5 }],
      [`${epoch}:11`, 5, { reason: "epoch" }],
      [`${epoch}:9007199254740991`, 5, { reason: "epoch" }],
      ["another:9", 5, { reason: "epoch" }],
      ...[
        "",
        "x",
        `${epoch}:-1`,
        `${epoch}:1.5`,
        `${epoch}:1e3`,
        `${epoch}:99999999999999999999`,
        `${"e".repeat(65)}:1`,
      ].map((since): [string, number, object] => [since, 8, { reason: "invalid" }]),
    ];
    for (const [since, offset, answer] of cases) {
      const { client, welcome: reported } = await join(app, `/chat/a?since=${encodeURIComponent(since)}`);
      expect(reported).toEqual({ ...common, position: { epoch, offset }, recovered: false, ...answer });
      for (let n = offset + 1; n <= 10; n += 1) expect(await client.readJSON()).toMatchObject({ offset: n, data: n });
      client.terminate();
    }
    await using plain = appWith();
    expect((await join(plain, "/chat/a?since=e:1")).welcome).toMatchObject({ recovered: false, reason: "off" });
  });

  it("gets the newest recoverTotalMessagesMax if it missed more, but never less than a new client", async () => {
    const limits = { recoverMessagesMax: 2, recoverTotalMessagesMax: 4 };
    for (const [replay, offset] of [
      [1, 6],
      [7, 3],
    ] as const) {
      await using app = appWith({ history: { size: 9 }, replay }, { limits });
      const room = app.registry.room("/chat/a");
      const { epoch } = (await join(app, "/chat/a")).welcome.position;
      for (let n = 1; n <= 10; n += 1) room.sendJSON(n);
      const expected = [
        [`${epoch}:${offset}`, { recovered: true }],
        [`${epoch}:${offset - 1}`, { recovered: false, reason: "limit", missed: 1 }],
        [`${epoch}:0`, { recovered: false, reason: "trimmed", missed: offset }],
        ["another:1", { recovered: false, reason: "epoch" }],
        [`${epoch}:11`, { recovered: false, reason: "epoch" }],
      ] as const;
      for (const [since, answer] of expected) {
        const { client, welcome } = await join(app, `/chat/a?since=${since}`);
        const common = { type: "welcome", id: expect.any(String), room: "/chat/a", heartbeatMs: 25_000 };
        expect(welcome).toEqual({ ...common, ...answer, position: { epoch, offset } });
        for (let n = offset + 1; n <= 10; n += 1) expect(await client.readJSON()).toMatchObject({ offset: n, data: n });
        client.terminate();
      }
    }
  });

  it("recovers more than fits into its outbox at once", async () => {
    const limits = { outboxBytesMax: 128 * 1024, highWaterBytes: 64 * 1024 };
    await using app = appWith({ history: { size: 1_000, bytesMax: 64 * 1024 * 1024 } }, { limits });
    const { epoch } = (await join(app, "/chat/b")).welcome.position;
    expect(epoch).not.toBe("");
    const room = app.registry.room("/chat/a");
    const begin = (await join(app, "/chat/a")).welcome.position;
    for (const connection of room.members()) connection.close();
    for (let n = 1; n <= 1_000; n += 1) room.sendText("x".repeat(4_000));
    const { client, welcome } = await join(app, `/chat/a?since=${begin.epoch}:0`);
    expect(welcome).toMatchObject({ recovered: true });
    for (let n = 1; n <= 1_000; n += 1) expect(await client.readJSON()).toMatchObject({ offset: n });
  });
});

describe("a repeated frame", () => {
  it("is run once, and its reply comes again, on any connection that asks", async () => {
    const run = new Mailbox<unknown>();
    class Counting extends EventHandler {
      @On() onCount(step: number) {
        run.put(step);
        return run.all.length;
      }
    }
    await using app = new App().route("/count", Counting);
    const first = (await join(app, `/count?client=${clientId}`)).client;
    const frame = { type: "event", event: "count", data: 1, id: 1 };
    first.sendJSON(frame);
    expect(await first.readJSON()).toEqual({ type: "reply", id: 1, data: 1 });
    // It has its reply already, so a repeat on this connection gets none.
    first.sendJSON(frame);
    first.sendJSON({ type: "ping" });
    expect(await first.readJSON()).toEqual({ type: "pong" });
    first.terminate();
    const second = (await join(app, `/count?client=${clientId}`)).client;
    second.sendJSON(frame);
    second.sendJSON({ ...frame, id: 2 });
    expect(await second.readJSON()).toEqual({ type: "reply", id: 1, data: 1 });
    expect(await second.readJSON()).toEqual({ type: "reply", id: 2, data: 2 });
    const stranger = (await join(app, "/count?client=another-0123456789")).client;
    stranger.sendJSON(frame);
    expect(await stranger.readJSON()).toEqual({ type: "reply", id: 1, data: 3 });
    expect(run.all).toEqual([1, 1, 1]);
  });

  it("waits for its first run, and the new connection takes over the frames behind it", async () => {
    const begun = new Mailbox<string>();
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    class Slow extends EventHandler {
      @On() async onWork(name: string) {
        begun.put(name);
        if (name === "long") await finished;
        return name;
      }
    }
    await using app = new App().route("/work", Slow);
    const first = (await join(app, `/work?client=${clientId}`)).client;
    const frames = ["long", "next"].map((data, id) => ({ type: "event", event: "work", data, id }));
    for (const frame of frames) first.sendJSON(frame);
    await begun.have(1);
    first.terminate();
    const second = (await join(app, `/work?client=${clientId}`)).client;
    for (const frame of frames) second.sendJSON(frame);
    expect(await second.readJSON()).toEqual({ type: "reply", id: 1, data: "next" });
    finish();
    expect(await second.readJSON()).toEqual({ type: "reply", id: 0, data: "long" });
    expect(begun.all).toEqual(["long", "next"]);
  });

  it("whose handler threw is answered with the error, and not run again", async () => {
    const run = new Mailbox<unknown>();
    class Throwing extends WebSocketHandler {
      onJSON(message: unknown) {
        run.put(message);
        throw new Error("secret");
      }
    }
    await using app = new App({ logger: { warn: () => undefined, error: () => undefined } }).route("/x", Throwing);
    const reply = { type: "reply", id: 1, error: { code: "internal", message: "internal error" } };
    for (let n = 0; n < 2; n += 1) {
      const { client } = await join(app, `/x?client=${clientId}`);
      client.sendJSON({ type: "message", data: 1, id: 1 });
      expect(await client.readJSON()).toEqual(reply);
      if (n === 0) expect(await closeInfoOf(client)).toBe(1011);
    }
    expect(run.all).toEqual([1]);
  });

  it("is answered when serve() reads it", async () => {
    class Serving extends WebSocketHandler {
      override async serve() {
        for await (const message of this.connection) this.sendText(message.text);
      }
    }
    await using app = new App().route("/x", Serving);
    const { client } = await join(app, "/x");
    client.sendJSON({ type: "message", text: "hi", id: 1 });
    expect(await client.readJSON()).toEqual({ type: "reply", id: 1, data: null });
    expect(await client.readJSON()).toEqual({ type: "message", text: "hi" });
    client.sendJSON({ type: "message", text: "hi", id: 1 });
    client.sendJSON({ type: "ping" });
    expect(await client.readJSON()).toEqual({ type: "pong" });
  });
});

describe("credentials", () => {
  class Guarded extends WebSocketHandler<object, { id: string; token: string }> {
    override authorize({ token = "" }: { token?: string | undefined }) {
      if (!token.startsWith("good")) throw new HttpError(401);
      return { id: token.endsWith("bob") ? "bob" : "ann", token };
    }
    onMessage() {
      this.sendJSON(this.user);
    }
  }
  const offer = (token: string) => ({
    protocols: ["enfilade.v1", `enfilade.token.${Buffer.from(token).toString("base64url")}`],
  });

  it("come as a subprotocol, are never echoed, and can be renewed; refused ones close with 4501", async () => {
    const { app, open } = await start(new App().route("/x", Guarded));
    expect(await (await open("/x", offer("bad"))).closed).toMatchObject({ code: 4501, reason: "unauthorized" });
    const client = await open("/x", offer("good é"));
    expect(client.protocol).toBe("enfilade.v1");
    await client.readJSON();
    const ask = async () => {
      client.sendJSON({ type: "message", text: "?" });
      return client.readJSON();
    };
    expect(await ask()).toMatchObject({ data: { id: "ann", token: "good é" } });
    client.sendJSON({ type: "refresh", token: "good 2" });
    client.sendJSON({ type: "ping" });
    expect(await client.readJSON()).toEqual({ type: "pong" });
    expect(await ask()).toMatchObject({ data: { id: "ann", token: "good 2" } });
    client.sendJSON({ type: "refresh", token: "bad" });
    expect(await client.closed).toMatchObject({ code: 4501, reason: "unauthorized" });
    const other = await open("/x", offer("good"));
    other.sendJSON({ type: "refresh", token: "good bob" });
    expect(await closeInfoOf(other)).toBe(4501);
    expect(app.status().totals.refused).toBe(1);
  });
});

describe("presence and drain", () => {
  it("sends the roster after the welcome, then changes, and the roster again on request", async () => {
    await using app = appWith({ presence: "full" });
    const ann = (await join(app, "/chat/a")).client;
    const annId = app.registry.connections[0]?.id;
    const about = { type: "presence", room: "/chat/a" };
    expect(await ann.readJSON()).toMatchObject({
      ...about,
      version: 1,
      count: 1,
      users: [{ id: annId, connections: 1 }],
    });
    await join(app, "/chat/a");
    expect(await ann.readJSON()).toMatchObject({ ...about, version: 2, count: 2, joined: [{}], left: [] });
    ann.sendJSON({ type: "watch" });
    expect(await ann.readJSON()).toMatchObject({ ...about, version: 2, count: 2, users: [{}, {}] });
  });

  it("asks clients to reconnect elsewhere, and waits until they have left", async () => {
    await using app = appWith(history);
    const { client } = await join(app, "/chat/a");
    const plain = await connect(app, "/chat/a");
    const drained = app.drain({ withinMs: 60_000 });
    expect(await client.readJSON()).toEqual({ type: "drain", withinMs: 60_000, afterMs: expect.any(Number) });
    await client.close();
    await plain.close();
    expect(await drained).toEqual({ left: 2, remaining: [] });
  });
});
