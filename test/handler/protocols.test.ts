import { type } from "arktype";
import { pack, unpack } from "msgpackr";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  App,
  type AppOptions,
  commandEvents,
  type DeliveryPolicy,
  EnfiladeError,
  EventError,
  EventHandler,
  type EventProtocol,
  type IncomingEvent,
  jsonEvents,
  latest,
  MessageError,
  On,
  Route,
  type RouteOptions,
  reliable,
  type ScopeOptions,
  skip,
  spacedEvents,
} from "../../src/index.js";
import { ManualClock, type TestClient } from "../../src/testing/index.js";
import { closes, Mailbox, start, startWith } from "../support/app.js";
import { clientFrame, rawConnection } from "../support/raw.js";

async function ask(client: TestClient, message: unknown): Promise<unknown> {
  client.sendJSON(message);
  return client.readJSON();
}

async function askText(client: TestClient, text: string): Promise<string> {
  client.sendText(text);
  return client.readText();
}

/** The ids of an app's connections, in the order in which they connected. */
function idsOf({ registry }: App): string[] {
  return registry.connections.map(({ id }) => id);
}

/** A promise that the test settles. */
function createGate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

describe("the schema of an event", () => {
  interface Player {
    name: string;
    age: number;
  }

  const called: unknown[] = [];
  const notTaken = (name: string) => Promise.resolve(name !== "taken");

  class Players extends EventHandler {
    @On("zod", { schema: z.object({ name: z.string().trim(), age: z.string().regex(/^\d+$/).transform(Number) }) })
    onZod(player: Player) {
      return this.#enter(player);
    }

    @On("valibot", {
      schema: v.object({
        name: v.pipe(v.string(), v.trim()),
        age: v.pipe(v.string(), v.regex(/^\d+$/), v.transform(Number)),
      }),
    })
    onValibot(player: Player) {
      return this.#enter(player);
    }

    @On("arktype", { schema: type({ name: "string.trim", age: "string.integer.parse" }) })
    onArktype(player: Player) {
      return this.#enter(player);
    }

    @On("zod async", { schema: z.object({ name: z.string().trim().refine(notTaken, "is taken") }) })
    onZodAsync({ name }: { name: string }) {
      return this.#enter({ name, age: 0 });
    }

    @On("valibot async", {
      schema: v.objectAsync({ name: v.pipeAsync(v.string(), v.trim(), v.checkAsync(notTaken, "is taken")) }),
    })
    onValibotAsync({ name }: { name: string }) {
      return this.#enter({ name, age: 0 });
    }

    @On("declined", {
      schema: z.string().transform((): never => {
        throw new Error("secret");
      }),
    })
    onDeclined() {
      called.push("declined");
    }

    #enter(player: Player): Player {
      called.push(player);
      return player;
    }
  }

  async function connectPlayers() {
    called.length = 0;
    const running = await startWith("/players", Players);
    return { ...running, client: await running.open("/players") };
  }

  it.each(["zod", "valibot", "arktype"])("of %s passes its output for valid data to the method", async (event) => {
    const { client } = await connectPlayers();
    const data = { name: " ann ", age: "42" };
    expect(await ask(client, { event, data, id: 1 })).toEqual({ id: 1, data: { name: "ann", age: 42 } });
    expect(called).toEqual([{ name: "ann", age: 42 }]);
  });

  it.each(["zod", "valibot", "arktype"])("of %s reports the place and the reason for invalid data", async (event) => {
    const { client } = await connectPlayers();
    const issue = (path: string) => ({ path, message: expect.stringMatching(/./) });
    const issues = expect.arrayContaining([issue("name"), issue("age")]);
    expect(await ask(client, { event, data: { name: 7, age: "old" }, id: 1 })).toEqual({
      id: 1,
      error: { code: "bad_data", message: expect.stringContaining("name"), issues },
    });
    expect(await ask(client, { event, id: 2 })).toMatchObject({ id: 2, error: { code: "bad_data", issues: [{}] } });
    expect(await ask(client, { event, data: null })).toMatchObject({ event, error: { code: "bad_data" } });
    expect(called).toEqual([]);
  });

  it.each(["zod async", "valibot async"])("may be async: %s", async (event) => {
    const { client } = await connectPlayers();
    client.sendJSON({ event, data: { name: " ann " }, id: 1 });
    client.sendJSON({ event, data: { name: "taken" }, id: 2 });
    client.sendJSON({ event: "zod", data: { name: "bob", age: "1" }, id: 3 });
    expect(await client.readJSON()).toEqual({ id: 1, data: { name: "ann", age: 0 } });
    expect(await client.readJSON()).toMatchObject({
      id: 2,
      error: { code: "bad_data", issues: [{ path: "name", message: "is taken" }] },
    });
    expect(await client.readJSON()).toEqual({ id: 3, data: { name: "bob", age: 1 } });
    expect(called).toHaveLength(2);
  });

  it("that throws causes an internal error, without details for the client", async () => {
    const { client, errors } = await connectPlayers();
    expect(await ask(client, { event: "declined", data: "x", id: 1 })).toEqual({
      id: 1,
      error: { code: "internal", message: "internal error" },
    });
    expect([called, errors.map(({ message }) => message)]).toEqual([[], ["secret"]]);
    expect(await ask(client, { event: "unknown", id: 2 })).toMatchObject({ id: 2 });
  });
});

describe("commands", () => {
  class Commands extends EventHandler {
    @On()
    ping() {
      return "pong";
    }

    @On()
    chat(text: unknown, { channel = this.request.path }: IncomingEvent) {
      this.emitToRoom(channel, "chat", text);
    }

    @On("join-room", { schema: z.string() })
    joinRoom(path: string) {
      this.join(path);
      return this.rooms.map((room) => room.path);
    }

    @On("leave-room", { schema: z.string() })
    leaveRoom(path: string) {
      this.leave(path);
    }

    @On()
    announce(text: unknown) {
      this.emitToAll("announce", text);
    }

    @On()
    here(text: unknown) {
      this.emitToThisRoom("here", text, { except: this });
      this.emit("here", "sent");
    }

    @On()
    full() {
      throw new EventError("full", "the room is full");
    }
  }

  function startApp() {
    return startWith("/chat/:room", Commands, { eventProtocol: commandEvents });
  }

  it("are answered by their id, with a parameter or an error, and without an id only on failure", async () => {
    const { open } = await startApp();
    const client = await open("/chat/a");
    client.sendJSON({ cmd: "ping" });
    expect(await ask(client, { cmd: "ping", id: 1 })).toEqual({ id: 1, param: "pong" });
    expect(await ask(client, { cmd: "leave-room", param: "/b", id: "x" })).toEqual({ id: "x", param: null });
    expect(await ask(client, { cmd: "full", id: 2 })).toEqual({
      id: 2,
      error: { code: "full", message: "the room is full" },
    });
    expect(await ask(client, { cmd: "full" })).toEqual({
      cmd: "full",
      error: { code: "full", message: "the room is full" },
    });
    expect(await ask(client, { cmd: "fly", id: 3 })).toEqual({
      id: 3,
      error: { code: "unknown_event", message: "there is no such event" },
    });
    expect(await ask(client, { cmd: "join-room", param: 7, id: 4 })).toMatchObject({
      id: 4,
      error: { code: "bad_data", issues: [{ path: "" }] },
    });
    const expected = 'expected {"cmd": "name", "channel"?: "/path", "param"?: …, "id"?: …}';
    for (const message of [{ event: "ping" }, { cmd: 7 }, null, ["ping"], "ping"]) {
      expect(await ask(client, message)).toEqual({ error: { code: "bad_message", message: expected } });
    }
    client.sendText("{");
    expect(await client.readJSON()).toEqual({ error: { code: "bad_json", message: "the message is not JSON" } });
    expect(await ask(client, { cmd: "ping", id: 5 })).toEqual({ id: 5, param: "pong" });
  });

  it("reach others with the id of the sender's connection, which the client cannot forge", async () => {
    const { app, open } = await startApp();
    const [ann, bob] = [await open("/chat/a"), await open("/chat/a")];
    const [annId, bobId] = idsOf(app);
    const forged = { from: bobId, id: undefined, cmd: "chat", param: { text: "hi", from: bobId } };
    const reported = { from: annId, channel: "/chat/a", cmd: "chat", param: { text: "hi", from: bobId } };
    expect(await ask(ann, forged)).toEqual(reported);
    expect(await bob.readJSON()).toEqual(reported);
    expect(await ask(bob, { cmd: "announce", channel: "/chat/a", from: annId })).toEqual({
      from: bobId,
      cmd: "announce",
    });
    expect(await ann.readJSON()).toEqual({ from: bobId, cmd: "announce" });
    expect(await ask(bob, { cmd: "here", param: 1, from: annId })).toEqual({ cmd: "here", param: "sent" });
    expect(await ann.readJSON()).toEqual({ from: bobId, channel: "/chat/a", cmd: "here", param: 1 });
  });

  it("for a channel that the sender is not in are refused, and reach no client", async () => {
    const { app, open } = await startApp();
    const [ann, bob] = [await open("/chat/a"), await open("/chat/b")];
    const error = { code: "not_member", message: "you are not in this channel" };
    expect(await ask(ann, { cmd: "chat", channel: "/chat/b", param: "x", id: 1 })).toEqual({ id: 1, error });
    expect(await ask(ann, { cmd: "chat", channel: "/chat/b", param: "x" })).toEqual({ cmd: "chat", error });
    expect(await ask(ann, { cmd: "announce", channel: "/chat/b", id: 2 })).toEqual({ id: 2, error });
    expect(await ask(ann, { cmd: "chat", channel: "/nowhere", id: 3 })).toEqual({ id: 3, error });
    app.registry.sendJSONToAll("end");
    expect([await ann.readJSON(), await bob.readJSON()]).toEqual(["end", "end"]);
    expect(app.registry.rooms.map(({ path }) => path)).toEqual(["/chat/a", "/chat/b"]);
  });

  it("for a channel that the sender has joined, once or twice, reach it until it leaves", async () => {
    const { app, open } = await startApp();
    const [ann, bob, cid] = [await open("/chat/a"), await open("/chat/b"), await open("/chat/a")];
    const [annId] = idsOf(app);
    for (const id of [1, 2]) {
      expect(await ask(ann, { cmd: "join-room", param: "/chat/b", id })).toEqual({ id, param: ["/chat/a", "/chat/b"] });
    }
    const reported = { from: annId, channel: "/chat/b", cmd: "chat", param: "hi" };
    expect(await ask(ann, { cmd: "chat", channel: "/chat/b", param: "hi" })).toEqual(reported);
    expect(await bob.readJSON()).toEqual(reported);
    expect(await ask(ann, { cmd: "leave-room", param: "/chat/b", id: 3 })).toEqual({ id: 3, param: null });
    expect(await ask(ann, { cmd: "chat", channel: "/chat/b", param: "again", id: 4 })).toMatchObject({
      id: 4,
      error: { code: "not_member" },
    });
    app.registry.sendJSONToAll("end");
    expect([await bob.readJSON(), await cid.readJSON()]).toEqual(["end", "end"]);
  });

  it("have the canonical path of the channel, for any spelling", async () => {
    const { open } = await startApp();
    const client = await open("/chat/caf%C3%A9");
    const reported = { channel: "/chat/café", cmd: "chat" };
    expect(await ask(client, { cmd: "chat", channel: "/chat/café" })).toMatchObject(reported);
    expect(await ask(client, { cmd: "chat", channel: "/chat/café/" })).toMatchObject(reported);
    expect(await ask(client, { cmd: "chat", channel: "/chat/cafe\u0301" })).toMatchObject(reported);
  });

  const noPaths = ["", "general", "chat/a", "//", "/chat//a", "/chat/../a", "/chat/a?x", "/chat/*", "/**", "/chat/**"];
  const noRooms = ["all", "user:ann", "channel:main", "__proto__", "constructor"];
  it.each([...noPaths, ...noRooms])("for %j, which is not a path, are refused", async (channel) => {
    const { app, open, errors } = await startApp();
    const [ann, bob] = [await open("/chat/a"), await open("/chat/a")];
    expect(await ask(ann, { cmd: "chat", channel, id: 1 })).toMatchObject({ id: 1, error: { code: "not_member" } });
    expect(await ask(ann, { cmd: "ping", id: 2 })).toEqual({ id: 2, param: "pong" });
    app.registry.sendJSONToAll("end");
    expect(await bob.readJSON()).toBe("end");
    expect(errors).toEqual([]);
  });

  it.each([7, null, true, ["/chat/a"], { path: "/chat/a" }])(
    "for %j, which is not a string, are invalid",
    async (channel) => {
      const { open, errors } = await startApp();
      const client = await open("/chat/a");
      expect(await ask(client, { cmd: "chat", channel })).toMatchObject({ error: { code: "bad_message" } });
      expect(await ask(client, { cmd: "ping", id: 2 })).toEqual({ id: 2, param: "pong" });
      expect(errors).toEqual([]);
    },
  );

  it("that cannot be read are answered by their id if it can be read", async () => {
    const { open } = await startApp();
    const client = await open("/chat/a");
    const error = { code: "bad_message" };
    expect(await ask(client, { cmd: 7, id: 1 })).toMatchObject({ id: 1, error });
    expect(await ask(client, { id: 2 })).toMatchObject({ id: 2, error });
    expect(await ask(client, { cmd: "chat", channel: 7, id: 3 })).toMatchObject({ id: 3, error });
  });

  it("come from connections that the app knows by channel and by id, and can address one by one", async () => {
    const { app, open } = await startApp();
    const [ann, bob, cid] = [await open("/chat/a"), await open("/chat/a"), await open("/chat/b")];
    const [annId, bobId, cidId] = idsOf(app);
    expect(await ask(cid, { cmd: "join-room", param: "/chat/a", id: 1 })).toMatchObject({ id: 1 });
    const membersOf = (path: string) =>
      app.registry
        .room(path)
        .members()
        .map(({ id }) => id);
    expect(app.status()).toMatchObject({ state: "open", connections: 3, rooms: 2, totals: { opened: 3, received: 1 } });
    expect([membersOf("/chat/a"), membersOf("/chat/b"), membersOf("/chat/c")]).toEqual([
      ...[[annId, bobId, cidId], [cidId], []],
    ]);
    app.registry.connection(bobId ?? "")?.sendJSON({ cmd: "whisper", param: "only you" });
    expect(app.registry.connection("absent")).toBeUndefined();
    ann.sendJSON({ cmd: "announce", param: "all of you" });
    expect(await bob.readJSON()).toEqual({ cmd: "whisper", param: "only you" });
    for (const client of [ann, bob, cid]) {
      expect(await client.readJSON()).toEqual({ from: annId, cmd: "announce", param: "all of you" });
    }
    const closed = closes(app, 1);
    cid.terminate();
    await closed;
    expect([membersOf("/chat/a"), membersOf("/chat/b")]).toEqual([[annId, bobId], []]);
    expect(app.status()).toMatchObject({ connections: 2, rooms: 1, totals: { opened: 3, closed: 1 } });
  });
});

describe("events as a name and JSON", () => {
  class Den extends EventHandler {
    #name = "";

    @On("join", { schema: z.object({ name: z.string().min(1) }) })
    onJoin({ name }: { name: string }) {
      this.#name = name;
      this.join("/den");
      this.emitToRoom("/den", "joined", { name, size: this.app.registry.room("/den").size });
    }

    @On()
    onMsg(text: unknown) {
      this.emitToRoom("/den", "msg", { name: this.#name, text });
    }

    @On()
    onLeave() {
      this.emitToRoom("/den", "left", { name: this.#name });
      this.leave("/den");
    }

    @On()
    onHush() {
      this.emit("hushed");
    }

    @On()
    onSay(event: string) {
      const sends = [
        () => this.emit(event, 1),
        () => this.emitToThisRoom(event, 1),
        () => this.emitToRoom("/den", event, 1),
        () => this.emitToAll(event, 1),
        () => this.emitToUser("ann", event, 1),
      ];
      this.emit("said", sends.map(codeOf));
    }
  }

  function codeOf(work: () => void): string {
    try {
      work();
      return "";
    } catch (error) {
      return error instanceof EnfiladeError ? error.code : String(error);
    }
  }

  async function openDen() {
    const { app, open, errors } = await startWith("/:name", Den, { eventProtocol: spacedEvents });
    const clients = [await open("/one"), await open("/two"), await open("/three")] as const;
    return { app, errors, clients, room: app.registry.room("/den") };
  }

  async function readError(client: TestClient): Promise<unknown> {
    const text = await client.readText();
    expect(text).toMatch(/^error \{/);
    return JSON.parse(text.slice("error ".length));
  }

  it("join, send and leave by name, and the room is freed with its last member", async () => {
    const freed = new Mailbox<string>();
    const { app, clients, room } = await openDen();
    const [ann, bob, cid] = clients;
    app.registry.on("room-empty", ({ path }) => freed.put(path));
    expect(await askText(ann, 'join {"name":"ann"}')).toBe('joined {"name":"ann","size":1}');
    expect(await askText(bob, 'join {"name":"bob"}')).toBe('joined {"name":"bob","size":2}');
    expect(await askText(cid, 'join {"name":"cid"}')).toBe('joined {"name":"cid","size":3}');
    expect(await askText(cid, 'msg "hello there"')).toBe('msg {"name":"cid","text":"hello there"}');
    expect(await askText(cid, "leave")).toBe('left {"name":"cid"}');
    expect([await bob.readText(), await bob.readText(), await bob.readText()]).toEqual([
      'joined {"name":"cid","size":3}',
      'msg {"name":"cid","text":"hello there"}',
      'left {"name":"cid"}',
    ]);
    expect([room.size, app.status().rooms]).toEqual([2, 4]);
    for (const client of [ann, bob]) client.sendText("leave");
    expect(await freed.have(1)).toEqual(["/den"]);
    expect([room.size, app.status().rooms, app.status().connections]).toEqual([0, 3, 3]);
  });

  it("may be only a name, in both directions", async () => {
    const { clients } = await openDen();
    expect(await askText(clients[0], "hush")).toBe("hushed");
    expect(await askText(clients[0], "hush null")).toBe("hushed");
    expect(await askText(clients[0], 'join {"name":"a b"}')).toBe('joined {"name":"a b","size":1}');
    expect(await askText(clients[0], "msg")).toBe('msg {"name":"a b"}');
    expect(await askText(clients[0], "msg  [1, 2] ")).toBe('msg {"name":"a b","text":[1,2]}');
  });

  it("are answered with an error if they cannot be handled, and the connection continues", async () => {
    const { clients, errors } = await openDen();
    const [client] = clients;
    const badJSON = { code: "bad_json", message: "the message is not JSON" };
    const badMessage = { code: "bad_message", message: 'expected name {"some":"json"}' };
    const unknown = { code: "unknown_event", message: "there is no such event" };
    const answers: [string, unknown][] = [
      ["join {name}", badJSON],
      ["join ", badJSON],
      ["hush {", badJSON],
      ["nothing {", badJSON],
      ["", badMessage],
      [" 1", badMessage],
      ["nothing", { event: "nothing", ...unknown }],
      ["nothing {}", { event: "nothing", ...unknown }],
      ['{"event":"join"}', { event: '{"event":"join"}', ...unknown }],
      ["JOIN", { event: "JOIN", ...unknown }],
      ["join", { event: "join", code: "bad_data", message: expect.any(String), issues: [expect.anything()] }],
      [
        'join {"name":""}',
        { event: "join", code: "bad_data", message: expect.any(String), issues: [{ path: "name" }] },
      ],
    ];
    for (const [text, answer] of answers) {
      client.sendText(text);
      expect(await readError(client)).toMatchObject(answer as object);
      expect(await askText(client, "hush")).toBe("hushed");
    }
    expect(errors).toEqual([]);
  });

  it.each(["two words", "", " ", "trailing "])("are never sent under the name %j", async (event) => {
    const { clients, errors } = await openDen();
    const codes = Array.from({ length: 5 }, () => "ERR_VALUE");
    expect(await askText(clients[0], `say ${JSON.stringify(event)}`)).toBe(`said ${JSON.stringify(codes)}`);
    expect(await askText(clients[1], "hush")).toBe("hushed");
    expect(errors).toEqual([]);
  });

  it("count no client that has disconnected, one by one or all at once", async () => {
    const { app, clients, room } = await openDen();
    const [ann, bob, cid] = clients;
    for (const client of clients) expect(await askText(client, 'join {"name":"x"}')).toMatch(/^joined /);
    const vanished = closes(app, 1);
    ann.terminate();
    await vanished;
    expect([room.size, app.status().connections, app.status().rooms]).toEqual([2, 2, 3]);
    await bob.readText();
    expect(await askText(bob, 'msg "still here"')).toBe('msg {"name":"x","text":"still here"}');
    const gone = closes(app, 2);
    for (const client of [bob, cid]) client.terminate();
    await gone;
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0, totals: { opened: 3, closed: 3 } });
    expect([room.size, app.registry.rooms]).toEqual([0, []]);
  });

  it("treat joining twice as once: one member, one copy of each message, and one leave", async () => {
    const { app, clients, room } = await openDen();
    const [ann, bob] = clients;
    const rooms: string[] = [];
    app.registry.on("room", ({ path }) => rooms.push(path));
    expect(await askText(ann, 'join {"name":"ann"}')).toBe('joined {"name":"ann","size":1}');
    expect(await askText(ann, 'join {"name":"eva"}')).toBe('joined {"name":"eva","size":1}');
    expect(await askText(bob, 'join {"name":"bob"}')).toBe('joined {"name":"bob","size":2}');
    expect(await askText(bob, "msg 1")).toBe('msg {"name":"bob","text":1}');
    app.registry.sendTextToAll("end");
    expect([await ann.readText(), await ann.readText(), await ann.readText()]).toEqual([
      ...['joined {"name":"bob","size":2}', 'msg {"name":"bob","text":1}', "end"],
    ]);
    expect(await askText(ann, "leave")).toBe('left {"name":"eva"}');
    expect(await askText(ann, "hush")).toBe("hushed");
    expect([room.size, rooms]).toEqual([1, ["/den"]]);
  });
});

describe("events as MessagePack", () => {
  let encoded = 0;

  /** In: `[event, data, id?]`. Out: `[0, event, data]`, a reply `[1, id, data]`, an error `[2, id or event, code]`. */
  const packedEvents: EventProtocol = {
    example: "[event, data, id?]",
    format: "binary",
    decode({ bytes }) {
      const { 0: event, 1: data, 2: id } = fieldsOf(unpack(bytes));
      return {
        event: typeof event === "string" ? event : undefined,
        data,
        id: typeof id === "string" || typeof id === "number" ? id : undefined,
      };
    },
    encode(outgoing) {
      encoded += 1;
      if (outgoing.kind === "event") return pack([0, outgoing.event, outgoing.data]);
      if (outgoing.kind === "reply" || outgoing.kind === "item") return pack([1, outgoing.id, outgoing.data]);
      return pack([2, outgoing.id ?? outgoing.event, outgoing.error.code]);
    },
  };

  class Packed extends EventHandler {
    @On("hash", { schema: z.instanceof(Uint8Array) })
    onHash(bytes: Uint8Array) {
      return bytes.map((byte) => byte ^ 0xff);
    }

    @On()
    onShare(data: unknown) {
      this.emitToThisRoom("shared", data);
    }

    @On()
    onNothing() {
      return undefined;
    }

    @On()
    onFull() {
      throw new EventError("full", "the room is full");
    }

    @On()
    onBoom() {
      throw new Error("secret");
    }
  }

  async function askPacked(client: TestClient, ...message: readonly unknown[]): Promise<unknown> {
    client.sendBinary(pack(message));
    return unpack(await client.readBinary());
  }

  function startApp(options: AppOptions = {}) {
    return startWith("/packed", Packed, { eventProtocol: packedEvents, ...options });
  }

  it("are answered by their id, with values that JSON cannot express", async () => {
    const client = await (await startApp()).open("/packed");
    const answer = await askPacked(client, "hash", new Uint8Array([0, 1, 255]), 7);
    expect(answer).toEqual([1, 7, Buffer.from([255, 254, 0])]);
    expect(await askPacked(client, "nothing", null, 0)).toEqual([1, 0, undefined]);
    expect(await askPacked(client, "nothing", null, "")).toEqual([1, "", undefined]);
  });

  it("reach a whole room, and are encoded once for all members", async () => {
    const { open } = await startApp();
    const clients = [await open("/packed"), await open("/packed"), await open("/packed")];
    const at = new Date("2020-02-02T02:02:02Z");
    encoded = 0;
    clients[0]?.sendBinary(pack(["share", { at }]));
    for (const client of clients) expect(unpack(await client.readBinary())).toEqual([0, "shared", { at }]);
    expect(encoded).toBe(1);
  });

  it("are answered with an error in the same format if they cannot be handled; the connection continues", async () => {
    const { open, errors } = await startApp();
    const client = await open("/packed");
    expect(await askPacked(client, "fly", 1, 1)).toEqual([2, 1, "unknown_event"]);
    expect(await askPacked(client, "fly", 1)).toEqual([2, "fly", "unknown_event"]);
    expect(await askPacked(client, "hash", "text", 2)).toEqual([2, 2, "bad_data"]);
    expect(await askPacked(client, "full", 1, 3)).toEqual([2, 3, "full"]);
    expect(await askPacked(client, 7, 1, 4)).toEqual([2, 4, "bad_message"]);
    expect(await askPacked(client)).toEqual([2, undefined, "bad_message"]);
    expect(await askPacked(client, "nothing", null, 5)).toEqual([1, 5, undefined]);
    expect(errors).toEqual([]);
  });

  it("that are garbage, and texts, are answered with bad_message, and the connection continues", async () => {
    const { open, errors } = await startApp();
    const client = await open("/packed");
    const garbage = [[], [0xc1], [0x93, 1], [0xdf, 0xff, 0xff, 0xff, 0xff], [0xc0], [1, 2, 3]];
    const texts = ["", "hello", '{"event":"nothing","id":1}', "7", "[]"];
    const sends = [
      ...garbage.map((bytes) => () => client.sendBinary(new Uint8Array(bytes))),
      ...texts.map((text) => () => client.sendText(text)),
    ];
    for (const send of sends) {
      send();
      expect(unpack(await client.readBinary())).toEqual([2, undefined, "bad_message"]);
      expect(await askPacked(client, "nothing", null, 1)).toEqual([1, 1, undefined]);
    }
    expect(errors).toEqual([]);
  });

  it("that are garbage close the connection with 1007 if the app has that option", async () => {
    const { open, errors } = await startApp({ badMessage: "close" });
    const [one, two] = [await open("/packed"), await open("/packed")];
    one.sendBinary(new Uint8Array([0x93, 1]));
    two.sendText("hello");
    expect([await one.closed, await two.closed]).toMatchObject([{ code: 1007 }, { code: 1007 }]);
    expect(errors).toEqual([]);
  });

  it("are answered without details if the method throws, and the connection stays open", async () => {
    const { open, errors } = await startApp();
    const client = await open("/packed");
    expect(await askPacked(client, "boom", null, 1)).toEqual([2, 1, "internal"]);
    expect(errors.map(({ message }) => message)).toEqual(["secret"]);
    expect(await askPacked(client, "boom", null, 2)).toEqual([2, 2, "internal"]);
  });
});

describe("an event protocol", () => {
  const shipped = { jsonEvents, commandEvents, spacedEvents };
  /** How a client sends `ping` in each protocol, and the reply. */
  const dialogues = {
    jsonEvents: ['{"event":"ping","id":1}', '{"id":1,"data":"pong"}'],
    commandEvents: ['{"cmd":"ping","id":1}', '{"id":1,"param":"pong"}'],
    spacedEvents: ["ping", "pong"],
  } as const;
  const names = ["jsonEvents", "commandEvents", "spacedEvents"] as const;

  class Ping extends EventHandler {
    @On()
    ping(_data: unknown, { id }: IncomingEvent) {
      if (id === undefined) this.emit("pong");
      return "pong";
    }
  }

  @Route("/declared", { eventProtocol: spacedEvents })
  class Declared extends Ping {}

  const app = () => {
    const below: ScopeOptions = { eventProtocol: spacedEvents };
    return new App({ eventProtocol: commandEvents, handlers: [Declared] })
      .route("/of-app", Ping)
      .route("/of-route", Ping, { eventProtocol: jsonEvents })
      .scope("/plain", (scope) => scope.route("/of-app", Ping))
      .scope(
        "/scope",
        (scope) => {
          scope.route("/of-scope", Ping).route("/of-route", Ping, { eventProtocol: jsonEvents });
          scope.scope("/inner", (inner) => inner.route("/of-outer", Ping));
          scope.scope("/own", (inner) => inner.route("/of-inner", Ping), { eventProtocol: jsonEvents });
        },
        below,
      );
  };

  it.each([
    ["/of-app", "commandEvents"],
    ["/of-route", "jsonEvents"],
    ["/declared", "spacedEvents"],
    ["/plain/of-app", "commandEvents"],
    ["/scope/of-scope", "spacedEvents"],
    ["/scope/of-route", "jsonEvents"],
    ["/scope/inner/of-outer", "spacedEvents"],
    ["/scope/own/of-inner", "jsonEvents"],
  ] as const)("is that of the app, the scope or the route, the innermost first: %s has %s", async (path, name) => {
    const { open } = await start(app());
    const [question, answer] = dialogues[name];
    expect(await askText(await open(path), question)).toBe(answer);
  });

  it("is jsonEvents by default, and set per app", async () => {
    const one = await startWith("/ping", Ping);
    const other = await startWith("/ping", Ping, { eventProtocol: spacedEvents });
    const [question, answer] = dialogues.jsonEvents;
    expect(await askText(await one.open("/ping"), question)).toBe(answer);
    expect(await askText(await other.open("/ping"), "ping")).toBe("pong");
  });

  it.each(names)(
    "of text closes the connection with 1003 for a binary message, unless the class has onBinary: %s",
    async (name) => {
      class Both extends Ping {
        override onBinary(bytes: Uint8Array) {
          this.sendBinary(bytes);
        }
      }
      const { open } = await start(new App({ eventProtocol: shipped[name] }).route("/ping", Ping).route("/both", Both));
      const [ping, both] = [await open("/ping"), await open("/both")];
      both.sendBinary(new Uint8Array([1, 2]));
      expect(await both.readBinary()).toEqual(Buffer.from([1, 2]));
      const [question, answer] = dialogues[name];
      expect(await askText(both, question)).toBe(answer);
      ping.sendBinary(Buffer.from(question));
      expect(await ping.closed).toMatchObject({ code: 1003 });
    },
  );

  it.each(names)("calls only methods of events, for any name: %s", async (name) => {
    const called: string[] = [];
    class Careful extends Ping {
      static readonly events = { declared: "onDeclared" };
      constructor() {
        super();
        called.push("constructor");
      }
      onDeclared() {
        called.push("declared");
      }
      override toString() {
        called.push("toString");
        return "";
      }
      override hasOwnProperty() {
        called.push("hasOwnProperty");
        return true;
      }
      override valueOf() {
        called.push("valueOf");
        return this;
      }
      unmarked() {
        called.push("unmarked");
      }
    }
    const { open, errors } = await startWith("/careful", Careful, { eventProtocol: shipped[name] });
    const client = await open("/careful");
    const inherited = ["constructor", "__proto__", "toString", "onJSON", "hasOwnProperty", "valueOf", "prototype"];
    for (const event of [...inherited, "unmarked", "onDeclared", "emitToAll", "close", "events"]) {
      const error = { code: "unknown_event", message: "there is no such event" };
      const answers = {
        jsonEvents: [
          { event, id: 1, data: {} },
          { id: 1, error },
        ],
        commandEvents: [
          { cmd: event, id: 1, param: {} },
          { id: 1, error },
        ],
        spacedEvents: [`${event} {}`, `error ${JSON.stringify({ event, ...error })}`],
      };
      const [question, answer] = answers[name].map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
      expect(await askText(client, question ?? "")).toBe(answer);
    }
    const [question, answer] = dialogues[name];
    expect(await askText(client, question)).toBe(answer);
    expect([called, errors]).toEqual([["constructor"], []]);
  });

  it("may report bad JSON of its own as bad_json, and any other error becomes bad_message", async () => {
    const picky: EventProtocol = {
      ...jsonEvents,
      example: "nothing",
      decode({ text }) {
        if (text === "json") throw new MessageError("ERR_BAD_JSON", "secret");
        throw text === "error" ? new Error("secret") : new MessageError("ERR_SCHEMA", "secret");
      },
    };
    const { open, errors } = await startWith("/ping", Ping, { eventProtocol: picky });
    const client = await open("/ping");
    const badMessage = { error: { code: "bad_message", message: "expected nothing" } };
    expect(JSON.parse(await askText(client, "json"))).toMatchObject({ error: { code: "bad_json" } });
    expect(JSON.parse(await askText(client, "error"))).toEqual(badMessage);
    expect(JSON.parse(await askText(client, "schema"))).toEqual(badMessage);
    expect(errors).toEqual([]);
  });
});

describe("a wrong option is refused", () => {
  class Ping extends EventHandler {
    static readonly events = { ping: "onPing" };
    onPing() {
      return "pong";
    }
  }

  /** Registrations with these options on the app, a scope, a route, and a class. */
  function registrations(options: unknown): (() => unknown)[] {
    const wrong = options as RouteOptions & ScopeOptions;
    class Declared extends Ping {
      static readonly route = { pattern: "/ping", ...wrong };
    }
    return [
      () => new App(wrong).route("/ping", Ping),
      () => new App().scope("/scope", (scope) => scope.route("/ping", Ping), wrong),
      () => new App().route("/ping", Ping, wrong),
      () => new App({ handlers: [Declared] }),
    ];
  }

  const refusal = expect.objectContaining({ code: "ERR_OPTION" });
  const { example, format, decode, encode } = jsonEvents;

  it.each([
    ["is a name", "commandEvents"],
    ["is null", null],
    ["is empty", {}],
    ["is a function", () => jsonEvents],
    ["cannot encode", { example, format, decode }],
    ["cannot decode", { example, format, encode }],
    ["has a format that does not exist", { ...jsonEvents, format: "bytes" }],
  ])("for an eventProtocol that %s", (_what, eventProtocol) => {
    for (const register of registrations({ eventProtocol })) expect(register).toThrow(refusal);
  });

  it.each([
    ["is a name", "skip"],
    ["is null", null],
    ["is empty", {}],
    ["was not called with its key", latest],
    ["is of a kind that does not exist", { kind: "sometimes" }],
    ["is latest without a key", { kind: "latest" }],
  ])("for a policy, of a route or of an event, that %s", (_what, policy) => {
    for (const register of registrations({ policy })) expect(register).toThrow(refusal);
    expect(() => new App().route("/ping", Ping, { eventPolicies: { ping: policy as DeliveryPolicy } })).toThrow(
      refusal,
    );
  });

  it("for event policies on an app or a scope", () => {
    const [onApp, onScope, onRoute, onClass] = registrations({ eventPolicies: { ping: skip } });
    for (const register of [onApp, onScope]) expect(register).toThrow(refusal);
    for (const register of [onRoute, onClass]) expect(register).not.toThrow();
  });
});

describe("the second parameter of an event's method", () => {
  class Whole extends EventHandler {
    static events = { declared: { method: "onEvent", schema: z.string().transform((text) => text.toUpperCase()) } };

    onEvent(data: unknown, incoming: IncomingEvent) {
      return { data, incoming };
    }

    @On("marked", { schema: z.object({ n: z.coerce.number() }) })
    async onMarked({ n }: { n: number }, incoming: IncomingEvent) {
      return { data: n, incoming };
    }

    @On("raw", { raw: true })
    onRaw(data: string, incoming: IncomingEvent) {
      return { data, incoming };
    }

    @On()
    onTell(_data: unknown, incoming: IncomingEvent) {
      this.emit("told", incoming);
    }
  }

  it("is the event as received: its name, its data before the schema, and its id", async () => {
    const client = await (await startWith("/whole", Whole)).open("/whole");
    for (const [message, data] of [
      [{ event: "declared", data: "x", id: 1 }, "X"],
      [{ event: "marked", data: { n: "7", more: true }, id: "id" }, 7],
      [{ event: "raw", data: { a: [1] }, id: 0 }, '{"a":[1]}'],
    ] as const) {
      expect(await ask(client, message)).toEqual({ id: message.id, data: { data, incoming: message } });
    }
    const reported = { event: "told", data: { event: "tell", data: 1 } };
    expect(await ask(client, { event: "tell", data: 1, channel: "/whole", from: "x" })).toEqual(reported);
  });

  it("has the channel too, if the protocol has channels", async () => {
    const { open } = await startWith("/whole", Whole, { eventProtocol: commandEvents });
    const client = await open("/whole");
    const message = { cmd: "marked", param: { n: "7" }, channel: "/whole", id: 1 };
    const incoming = { event: "marked", data: { n: "7" }, channel: "/whole", id: 1 };
    expect(await ask(client, message)).toEqual({ id: 1, param: { data: 7, incoming } });
  });

  it("has only the name and the data, if the protocol has no more", async () => {
    const { open } = await startWith("/whole", Whole, { eventProtocol: spacedEvents });
    const client = await open("/whole");
    expect(await askText(client, "tell [1]")).toBe('told {"event":"tell","data":[1]}');
    expect(await askText(client, "tell")).toBe('told {"event":"tell"}');
  });
});

describe("an event whose sender has left meanwhile", () => {
  const protocols = { jsonEvents, commandEvents, spacedEvents };
  const names = ["jsonEvents", "commandEvents", "spacedEvents"] as const;

  /** A client with a slow request; `about` is how the method continues when the gate opens. */
  async function startRequest(name: (typeof names)[number], about: string) {
    const reported = new Mailbox<string>();
    const going = createGate();
    const clock = new ManualClock();
    class Slow extends EventHandler {
      @On()
      async onWait(how: unknown) {
        reported.put("waiting");
        await going.opened;
        this.emit("private");
        this.emitToThisRoom("late", how);
        this.join("/late");
        reported.put("done");
        if (how === "refuse") throw new EventError("late", "too late");
        return how;
      }
      override onClose(code: number) {
        reported.put(`closed ${code}`);
      }
    }
    const options = { eventProtocol: protocols[name], clock, limits: { closeMs: 500 } };
    const { app, open, errors } = await startWith("/slow", Slow, options);
    const [leaving, staying] = [await open("/slow"), await open("/slow")];
    const [connection] = app.registry.connections;
    const questions = {
      jsonEvents: JSON.stringify({ event: "wait", data: about, id: 1 }),
      commandEvents: JSON.stringify({ cmd: "wait", param: about, id: 1 }),
      spacedEvents: `wait ${JSON.stringify(about)}`,
    };
    leaving.sendText(questions[name]);
    await reported.have(1);
    return { app, reported, going, clock, leaving, staying, connection, errors };
  }

  const cases = names.flatMap((name) => [[name, "reply"] as const, [name, "refuse"] as const]);

  it.each(cases)("gets no answer, and harms no other client: %s, %s", async (name, about) => {
    const { app, reported, going, leaving, staying, connection, errors } = await startRequest(name, about);
    const closed = closes(app, 1);
    leaving.terminate();
    await connection?.ended;
    going.open();
    await closed;
    expect(reported.all).toEqual(["waiting", "done", "closed 1006"]);
    expect(await staying.readText()).toMatch(new RegExp(`late.*${about}`));
    expect(app.status()).toMatchObject({ connections: 1, rooms: 1 });
    expect(errors).toEqual([]);
  });

  it.each(cases)("harms no other client if its handler has stopped waiting: %s, %s", async (name, about) => {
    const { app, reported, going, clock, leaving, staying, connection, errors } = await startRequest(name, about);
    const closed = closes(app, 1);
    leaving.terminate();
    await connection?.ended;
    clock.advance(500);
    await closed;
    going.open();
    expect(await reported.have(3)).toEqual(["waiting", "closed 1006", "done"]);
    expect(await staying.readText()).toMatch(new RegExp(`late.*${about}`));
    expect(app.status()).toMatchObject({ connections: 1, rooms: 1 });
    expect(errors).toEqual([]);
  });

  it("gets no answer if the client has closed normally", async () => {
    const { app, reported, going, leaving, connection, errors } = await startRequest("jsonEvents", "reply");
    const closed = closes(app, 1);
    await leaving.close(1000);
    await connection?.ended;
    going.open();
    await closed;
    expect(reported.all).toEqual(["waiting", "done", "closed 1000"]);
    await expect(leaving.read()).rejects.toMatchObject({ closeCode: 1000 });
    expect(errors).toEqual([]);
  });
});

describe("the policy of an event", () => {
  const policies: Readonly<Record<string, DeliveryPolicy>> = { reliable, skip, latest: latest("one") };

  /** A client that does not read, with so many messages that it lags; its own messages are still handled. */
  async function connectLagging(app: AppOptions, scope: ScopeOptions, route: RouteOptions) {
    const reported = new Mailbox<unknown>();
    class Feed extends EventHandler {
      override authorize() {
        return { id: "slow" };
      }

      @On()
      onPublish([event, by, data]: readonly [string, string | null, unknown]) {
        const options = by === null ? {} : { policy: policies[by] };
        this.emitToThisRoom(event, data, options);
        reported.put(event);
      }

      @On()
      onEverywhere(policy: unknown) {
        const options = { policy: policies[String(policy)] };
        this.emit("alone", 1, options);
        this.emitToThisRoom("here", 1, options);
        this.emitToRoom(this.request.path, "room", 1, options);
        this.emitToAll("all", 1, options);
        this.emitToUser("slow", "user", 1, options);
        this.emitToAll("excepted", 1, { ...options, except: this });
        reported.put("everywhere");
      }

      @On()
      onPlain() {
        this.sendJSON({ event: "plain" });
        this.sendJSONToThisRoom({ event: "plain" });
        this.sendJSONToRoom(this.request.path, { event: "plain" });
        this.sendJSONToAll({ event: "plain" });
        this.sendJSONToUser("slow", { event: "plain" });
        reported.put("plain");
      }

      @On()
      onAsk() {
        reported.put("asked");
        return "answer";
      }
    }
    const limits = { outboxBytesMax: 10_000_000, highWaterBytes: 10_000 };
    const built = new App({ ...app, limits });
    built.scope("/slow", (inner) => inner.route("/feed", Feed, route), scope);
    const { port, open } = await start(built);
    const stalled = await rawConnection(port, "/slow/feed");
    stalled.socket.pause();
    const [connection] = built.registry.connections;
    if (connection === undefined) throw new Error("there is no connection");
    const reading = await open("/slow/feed");
    let taken = Number.POSITIVE_INFINITY;
    // The network may accept more: enough is sent once it accepts nothing while another client gets an answer.
    while (taken > 0) {
      while (connection.bufferedBytes < 1_000_000) connection.sendText("x".repeat(60_000));
      const { bufferedBytes } = connection;
      expect(await ask(reading, { event: "unknown", id: 0 })).toMatchObject({ id: 0 });
      taken = bufferedBytes - connection.bufferedBytes;
    }
    /** Makes the lagging client send an event, and waits until it is handled. */
    const send = async (message: unknown) => {
      const handled = reported.all.length + 1;
      stalled.socket.write(clientFrame(0x81, JSON.stringify(message)));
      await reported.have(handled);
    };
    const publish = (event: string, data: unknown = 1, by: string | null = null) =>
      send({ event: "publish", data: [event, by, data] });
    /** Lets the client read, and resolves with the received events, by name and data. */
    const seen = async () => {
      connection.sendText('{"event":"the end"}');
      stalled.socket.resume();
      await stalled.received("the end");
      stalled.socket.destroy();
      const all = (await stalled.ended).toString("latin1");
      const events = [...all.matchAll(/"event":"([\w ]+)"(?:,"data":(\d+))?/g)];
      return events.map(([, event, data]) => (data === undefined ? event : `${event} ${data}`)).slice(0, -1);
    };
    const dropped = () => built.status().totals.dropped;
    return { app: built, send, publish, seen, dropped, reading, stalled };
  }

  it("is that of the route of the addressed room, like that of other messages to it", async () => {
    const { send, seen, dropped, reading } = await connectLagging({}, {}, { policy: skip });
    await send({ event: "everywhere" });
    // Messages to everyone and to a user address no route, so they wait.
    expect(dropped()).toBe(3);
    await send({ event: "plain" });
    expect(dropped()).toBe(6);
    await send({ event: "everywhere", data: "reliable" });
    expect(dropped()).toBe(6);
    const unrouted = ["all 1", "user 1", "plain", "plain"];
    expect(await seen()).toEqual([...unrouted, "alone 1", "here 1", "room 1", "all 1", "user 1"]);
    const events = ["here", "room", "all", "user", "excepted"];
    for (const event of events) expect(await reading.readJSON()).toEqual({ event, data: 1 });
    for (let n = 0; n < 4; n += 1) expect(await reading.readJSON()).toEqual({ event: "plain" });
    for (const event of events) expect(await reading.readJSON()).toEqual({ event, data: 1 });
  });

  it("takes precedence over that of the route, and that of the call over both", async () => {
    const { publish, seen, dropped } = await connectLagging(
      {},
      {},
      { policy: skip, eventPolicies: { said: reliable, price: latest("price") } },
    );
    await publish("moved");
    expect(dropped()).toBe(1);
    await publish("said", 1);
    expect(dropped()).toBe(1);
    for (const price of [1, 2, 3]) await publish("price", price);
    expect(dropped()).toBe(3);
    await publish("said", 2, "skip");
    await publish("price", 4, "skip");
    expect(dropped()).toBe(5);
    await publish("price", 5, "reliable");
    await publish("moved", 6, "reliable");
    await publish("moved", 7, "latest");
    await publish("said", 8, "latest");
    expect(dropped()).toBe(6);
    expect(await seen()).toEqual(["said 1", "price 3", "price 5", "moved 6", "said 8"]);
  });

  it("may be skip for one event only", async () => {
    const { publish, seen, dropped } = await connectLagging({}, {}, { eventPolicies: { moved: skip } });
    await publish("moved", 1);
    await publish("said", 2);
    await publish("constructor", 3);
    await publish("__proto__", 4);
    expect(dropped()).toBe(1);
    expect(await seen()).toEqual(["said 2", "constructor 3", "__proto__ 4"]);
  });

  it.each([
    ["app", { policy: skip }, {}, {}, 1],
    ["scope", {}, { policy: skip }, {}, 1],
    ["scope before the app", { policy: skip }, { policy: reliable }, {}, 0],
    ["route before the scope", { policy: reliable }, { policy: reliable }, { policy: skip }, 1],
    ["route, reliable before the scope", { policy: skip }, { policy: skip }, { policy: reliable }, 0],
  ] as const)("is that of the %s", async (_whose, app, scope, route, drops) => {
    const { publish, dropped, seen } = await connectLagging(app, scope, route);
    await publish("moved");
    expect(dropped()).toBe(drops);
    expect(await seen()).toHaveLength(1 - drops);
  });

  it("never drops a reply or an error, because the client waits for it", async () => {
    const { send, publish, seen, dropped, stalled } = await connectLagging(
      {},
      {},
      { policy: skip, eventPolicies: { ask: skip } },
    );
    stalled.socket.write(clientFrame(0x81, JSON.stringify({ event: "unknown" })));
    await send({ event: "ask", id: 7 });
    await publish("said", 1, "reliable");
    expect(dropped()).toBe(0);
    expect(await seen()).toEqual(["unknown", "said 1"]);
    expect((await stalled.ended).toString("latin1")).toContain('{"id":7,"data":"answer"}');
  });

  it("makes no difference for a client that keeps up", async () => {
    const { publish, reading } = await connectLagging({}, {}, { policy: skip });
    for (let n = 0; n < 100; n += 1) await publish("moved", n);
    for (let n = 0; n < 100; n += 1) expect(await reading.readJSON()).toEqual({ event: "moved", data: n });
  });
});
