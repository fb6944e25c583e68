import { describe, expect, it } from "vitest";
import { App, anonymous, EventHandler, type Limits } from "../../../src/index.js";
import { ManualClock } from "../../../src/testing/index.js";
import { Mailbox, start } from "../../support/app.js";
import { RoomsClient } from "../../support/roomsClient.js";
import { Chat, silent, startChat } from "./chat.js";

describe("a room that is refused", () => {
  it.each([
    ["/nowhere", {}, 404, "No route for this path"],
    ["/chat/a", { token: "nobody" }, 401, "who are you"],
    ["/chat/a", { query: "refuse=403&why=not+you" }, 403, "not you"],
    ["/chat/a", { query: "refuse=404" }, 404, "Not Found"],
    ["/chat/a", { query: "refuse=503&why=later" }, 503, "later"],
    ["chat/a", {}, 400, "The path is not valid"],
    ["", {}, 400, "The path is not valid"],
    ["/chat/a/", {}, 400, "The path is not valid"],
    ["/chat/../b", {}, 400, "The path is not valid"],
    ["/chat//b", {}, 400, "The path is not valid"],
    ["/chat/*", {}, 400, "The path is not valid"],
    ["/chat/cafe\u0301", {}, 400, "The path is not valid"],
    ["/chat/a?as=ann", {}, 400, "The path is not valid"],
    ["/chat/\ud800", {}, 400, "The path is not valid"],
    ["/chat/a\nb", {}, 400, "The path is not valid"],
    [`/chat/${"x".repeat(510)}`, {}, 400, "The path is not valid"],
    ["/chat/a", { query: "a=b c" }, 400, "The path is not valid"],
    ["/chat/a", { query: "a=\r\nx: y" }, 400, "The path is not valid"],
    ["/chat/a", { query: "a#b" }, 400, "The path is not valid"],
    ["/chat/a", { query: "ä" }, 400, "The path is not valid"],
    ["/chat/a", { query: "x".repeat(20_000) }, 431, "Request Header Fields Too Large"],
    ["/chat/a", { token: "x".repeat(20_000) }, 431, "Request Header Fields Too Large"],
    ["/chat/a", { secret: "x".repeat(20_000) }, 431, "Request Header Fields Too Large"],
  ])("(%j, %j) gets its status and reason, and the socket stays", async (room, fields, status, reason) => {
    const { port, app, errors } = await startChat();
    const client = await RoomsClient.open(port);
    expect(await client.open(room, fields)).toEqual({ type: "refused", room, status, reason });
    expect(await client.open("/chat/other")).toMatchObject({ type: "opened" });
    expect(app.status()).toMatchObject({ connections: 1, totals: { refused: 1, opened: 1 } });
    expect(errors).toEqual([]);
  });

  it("gets no details of an error of the application", async () => {
    class Broken extends Chat {
      override authorize(): never {
        throw new Error("the password of the database is 1234");
      }
    }
    const { port, errors } = await start(new App({ logger: silent }).route("/chat/:channel", Broken));
    const client = await RoomsClient.open(port);
    expect(await client.open("/chat/a")).toEqual({
      type: "refused",
      room: "/chat/a",
      status: 500,
      reason: "Internal Server Error",
    });
    expect(errors).toHaveLength(1);
  });

  it("is reported with a path of one line and without its query", async () => {
    const { port, app } = await startChat();
    const client = await RoomsClient.open(port);
    const seen = new Mailbox<unknown>();
    app.tap({}, ({ entries }) => {
      for (const entry of entries) if ("request" in entry) seen.put(entry.request.url);
    });
    await client.open("/chat/a\nforged: line?token=secret", { query: "token=secret" });
    await client.open("/nowhere", { query: "token=secret", token: "secret" });
    expect(await seen.have(2)).toEqual(["/chat/a%0Aforged:%20line?[hidden]", "/nowhere?[hidden]"]);
  });

  it("is refused for its origin, by the route of the room and the headers of the socket", async () => {
    const origin = "https://a.example";
    const app = new App({ logger: silent })
      .route("/open/:channel", Chat, { origins: "*" })
      .route("/own/:channel", Chat, { origins: [origin] })
      .route("/other/:channel", Chat, { origins: ["https://b.example"] });
    const { port } = await start(app);
    const client = await RoomsClient.open(port, { headers: { origin } });
    expect(await client.open("/open/a")).toMatchObject({ type: "opened" });
    expect(await client.open("/own/a")).toMatchObject({ type: "opened" });
    expect(await client.open("/other/a")).toMatchObject({
      type: "refused",
      status: 403,
      reason: "This origin may not connect",
    });
  });

  it("gets 503 while too many calls of authorize run, and when its own takes too long", async () => {
    const clock = new ManualClock();
    class Slow extends Chat {
      override authorize(): Promise<never> {
        return new Promise(() => undefined);
      }
    }
    const app = new App({ clock, logger: silent, limits: { authorizeMax: 2, authorizeMs: 1_000 } });
    const { port } = await start(app.route("/chat/:channel", Slow));
    const client = await RoomsClient.open(port);
    for (const room of ["/chat/a", "/chat/b"]) client.ask(room);
    const refused = { type: "refused", status: 503 };
    expect(await client.open("/chat/c")).toMatchObject({ ...refused, retryAfterMs: 1_000 });
    clock.advance(1_000);
    for (const room of ["/chat/a", "/chat/b"]) {
      expect(await client.first("refused", room)).toMatchObject({ ...refused, retryAfterMs: 5_000 });
    }
    expect(app.status().handshakes).toBe(0);
  });
});

describe("joinsMax", () => {
  const tooMany = { type: "refused", status: 429, reason: "Too many rooms on this socket" };

  it("counts the rooms that are opened and those that are joined, for all rooms of a socket", async () => {
    const { port, app } = await startChat({ limits: { joinsMax: 4 } });
    const client = await RoomsClient.open(port);
    for (const room of ["/chat/a", "/chat/b"]) await client.open(room);
    const call = async (room: string, event: string, data: unknown) => {
      const reply = await client.call(room, event, data);
      return reply.error?.code ?? reply.data;
    };
    expect([await call("/chat/a", "join", "/x"), await call("/chat/b", "join", "/x")]).toEqual([2, 2]);
    expect(await client.open("/chat/c")).toMatchObject(tooMany);
    expect(typeof (await call("/chat/a", "join", "/y"))).toBe("string");
    // Leaving gives space back.
    expect(await call("/chat/b", "leave", "/x")).toBe(1);
    expect(await client.open("/chat/c")).toMatchObject({ type: "opened" });
    expect(await client.open("/chat/d")).toMatchObject(tooMany);
    // So does closing, with all rooms of the connection, and for the very next frame.
    client.send({ type: "close", room: "/chat/a" });
    client.ask("/chat/d");
    client.ask("/chat/e");
    client.ask("/chat/f");
    await client.until(() => client.of("/chat/f").length === 1);
    await client.first("opened", "/chat/d");
    await client.first("opened", "/chat/e");
    expect(client.of("/chat/f")[0]).toMatchObject(tooMany);
    // Another socket has its own.
    expect(await (await RoomsClient.open(port)).open("/chat/a")).toMatchObject({ type: "opened" });
    expect(app.status().connections).toBe(5);
  });

  it("counts rooms that wait for authorize, so that a client cannot ask for more at the same time", async () => {
    const waiting: (() => void)[] = [];
    class Slow extends Chat {
      override authorize(): Promise<typeof anonymous> {
        return new Promise((resolve) => waiting.push(() => resolve(anonymous)));
      }
    }
    const app = new App({ logger: silent, limits: { joinsMax: 3 } }).route("/chat/:channel", Slow);
    const { port } = await start(app);
    const client = await RoomsClient.open(port);
    const rooms = Array.from({ length: 50 }, (_, n) => `/chat/${n}`);
    for (const room of rooms) client.ask(room);
    await client.first("refused", "/chat/49");
    expect(waiting).toHaveLength(3);
    for (const accept of waiting) accept();
    await client.until(() => client.frames.all.filter(({ type }) => type === "opened").length === 3);
    expect(app.status().connections).toBe(3);
    expect(client.frames.all.filter(({ type }) => type === "refused")).toHaveLength(47);
    // Those that were refused take no space.
    client.send({ type: "close", room: "/chat/0" });
    client.ask("/chat/0");
    await client.until(() => waiting.length === 4);
    expect(client.of("/chat/0", "refused")).toEqual([]);
  });
});

describe("the limits of sockets", () => {
  const open = async (port: number, rooms: readonly string[], fields: object = {}, localAddress = "127.0.0.1") => {
    const client = await RoomsClient.open(port, { localAddress });
    const answers = [];
    for (const room of rooms) answers.push((await client.open(room, fields)).status ?? 200);
    return { client, answers };
  };
  const rooms = ["/chat/a", "/chat/b", "/chat/c"];

  it.each([
    ["connectionsMax", 503],
    ["connectionsPerAddressMax", 429],
  ] as const)("%s counts sockets and not rooms", async (name, status) => {
    const limits: Partial<Limits> = { [name]: 2 };
    const { port, app } = await startChat({ limits });
    const first = await open(port, rooms);
    const second = await open(port, rooms);
    expect([first.answers, second.answers]).toEqual([
      [200, 200, 200],
      [200, 200, 200],
    ]);
    await expect(RoomsClient.open(port)).rejects.toThrow(`Unexpected server response: ${status}`);
    expect(app.status().connections).toBe(6);
    second.client.close();
    await second.client.closed;
    expect((await open(port, rooms)).answers).toEqual([200, 200, 200]);
  });

  it("connectionsPerUserMax counts sockets of a user, with a room of its own each time", async () => {
    const { port } = await startChat({ limits: { connectionsPerUserMax: 2 } });
    const ann = { token: "ann" };
    expect((await open(port, rooms, ann)).answers).toEqual([200, 200, 200]);
    const second = await open(port, rooms, ann);
    expect(second.answers).toEqual([200, 200, 200]);
    expect((await open(port, rooms, ann)).answers).toEqual([429, 429, 429]);
    for (const room of rooms) second.client.send({ type: "close", room });
    await second.client.first("closed", "/chat/c");
    expect((await open(port, rooms, ann)).answers).toEqual([200, 200, 200]);
  });

  it("userOverflow closes all rooms of the oldest socket of the user, and those of other users stay", async () => {
    const { port } = await startChat({ limits: { connectionsPerUserMax: 1 }, userOverflow: "closeOldest" });
    const old = await open(port, ["/chat/a", "/chat/b"], { token: "ann" });
    await old.client.open("/chat/c", { token: "bob" });
    expect((await open(port, ["/chat/a"], { token: "ann" })).answers).toEqual([200]);
    for (const room of ["/chat/a", "/chat/b"]) {
      expect(await old.client.first("closed", room)).toMatchObject({ code: 4_009, reason: "too many connections" });
    }
    old.client.event("/chat/c", "mine", 1);
    await old.client.first("message", "/chat/c");
  });

  it("connectsPerSecondMax counts the socket and each room that is opened", async () => {
    const clock = new ManualClock();
    const { port } = await startChat({ clock, limits: { connectsPerSecondMax: 3 } });
    const { client, answers } = await open(port, [...rooms, "/nowhere"]);
    expect(answers).toEqual([200, 200, 429, 429]);
    expect(await client.open("/chat/d")).toMatchObject({ status: 429, retryAfterMs: 1_000 });
    clock.advance(1_000);
    expect(await client.open("/chat/d")).toMatchObject({ type: "opened" });
  });

  it("messagesPerSecondMax counts the frames of all rooms; the socket waits, and nothing is lost", async () => {
    const clock = new ManualClock();
    class Recorder extends EventHandler {
      static readonly got = new Mailbox<unknown>();
      static events = { say: "onSay" };
      onSay(data: unknown) {
        Recorder.got.put(data);
      }
    }
    const app = new App({ clock, logger: silent, limits: { messagesPerSecondMax: 10, heartbeatMs: false } });
    const { port } = await start(app.route("/chat/:channel", Recorder));
    const client = await RoomsClient.open(port);
    for (const room of ["/chat/a", "/chat/b"]) await client.open(room);
    for (let n = 0; n < 60; n += 1) {
      client.event(n % 2 === 0 ? "/chat/a" : "/chat/b", "say", n);
      // A socket is paused between two reads of it, and not within one.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Recorder.got.have(8);
    expect(Recorder.got.all.length).toBeLessThan(60);
    let rounds = 0;
    while (Recorder.got.all.length < 60) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
      rounds += 1;
    }
    expect(rounds).toBeGreaterThanOrEqual(45);
    const ofRoom = (rest: number) => Recorder.got.all.filter((n) => Number(n) % 2 === rest);
    expect([ofRoom(0), ofRoom(1)].map((all) => all.length)).toEqual([30, 30]);
    for (const all of [ofRoom(0), ofRoom(1)]) expect(all).toEqual([...all].sort((a, b) => Number(a) - Number(b)));
  });

  it("messageBytesMax is that of each room's route, without the room in the frame", async () => {
    const app = new App({ logger: silent })
      .route("/chat/:channel", Chat)
      .route("/big/:channel", Chat, { limits: { messageBytesMax: 1_000_000 } });
    const { port } = await start(app);
    const client = await RoomsClient.open(port);
    for (const room of ["/chat/a", "/chat/b", "/big/a"]) await client.open(room);
    const frameOf = (room: string, bytes: number) => {
      const head = { type: "event", event: "mine" };
      const data = "x".repeat(bytes - JSON.stringify({ ...head, data: "" }).length);
      client.send({ room, ...head, data });
    };
    frameOf("/chat/a", 65_536);
    await client.first("message", "/chat/a");
    frameOf("/big/a", 1_000_000);
    await client.first("message", "/big/a");
    const binary = (room: string, bytes: number) =>
      client.send({ type: "message", room, base64: Buffer.alloc(bytes).toString("base64") });
    binary("/chat/a", 65_536);
    await client.until(() => client.of("/chat/a", "message").length === 2);
    frameOf("/chat/a", 65_537);
    expect(await client.first("closed", "/chat/a")).toMatchObject({ code: 1_009 });
    binary("/chat/b", 65_537);
    expect(await client.first("closed", "/chat/b")).toMatchObject({ code: 1_009 });
    client.event("/big/a", "mine", "alive");
    await client.until(() => client.of("/big/a", "message").length === 2);
  });
});

describe("a socket without rooms", () => {
  it("is closed after handshakeMs, also when it opens rooms that are refused", async () => {
    const clock = new ManualClock();
    const { port } = await startChat({ clock, limits: { handshakeMs: 10_000, heartbeatMs: false } });
    const [idle, refused, used] = await Promise.all([1, 2, 3].map(() => RoomsClient.open(port)));
    if (!(idle && refused && used)) throw new Error("there are three");
    await Promise.all([idle.first("welcome"), used.open("/chat/a")]);
    clock.advance(6_000);
    await refused.open("/nowhere");
    clock.advance(3_999);
    await Promise.all([idle.settled(), refused.settled()]);
    clock.advance(1);
    expect(await idle.closed).toEqual({ code: 1_001, reason: "no room" });
    expect(await refused.closed).toEqual({ code: 1_001, reason: "no room" });
    clock.advance(100_000);
    await used.settled();
    used.send({ type: "close", room: "/chat/a" });
    await used.first("closed", "/chat/a");
    clock.advance(9_999);
    await used.settled();
    clock.advance(1);
    expect(await used.closed).toEqual({ code: 1_001, reason: "no room" });
  });

  it("stays while authorize decides, and is closed if it refuses", async () => {
    const clock = new ManualClock();
    const waiting = new Mailbox<(isAccepted: boolean) => void>();
    class Slow extends Chat {
      override authorize(): Promise<typeof anonymous> {
        return new Promise((resolve, reject) => {
          waiting.put((isAccepted) => (isAccepted ? resolve(anonymous) : reject(new Error("no"))));
        });
      }
    }
    const limits = { handshakeMs: 1_000, authorizeMs: 100_000, heartbeatMs: false } as const;
    const { port } = await start(new App({ clock, logger: silent, limits }).route("/chat/:channel", Slow));
    const [good, bad] = [await RoomsClient.open(port), await RoomsClient.open(port)];
    good.ask("/chat/a");
    await waiting.have(1);
    bad.ask("/chat/a");
    await waiting.have(2);
    clock.advance(1_000);
    // No further room is authorized until the first is accepted.
    expect(await good.open("/chat/b")).toMatchObject({ status: 429 });
    waiting.all[0]?.(true);
    waiting.all[1]?.(false);
    await good.first("opened", "/chat/a");
    expect(await bad.first("refused", "/chat/a")).toMatchObject({ status: 500 });
    expect(await bad.closed).toEqual({ code: 1_001, reason: "no room" });
    good.ask("/chat/b");
    await waiting.have(3);
    waiting.all[2]?.(true);
    await good.first("opened", "/chat/b");
  });
});
