import { channel } from "node:diagnostics_channel";
import { expect, it, onTestFinished, vi } from "vitest";
import {
  App,
  type AppOptions,
  type DiagnosticMessages,
  HttpError,
  type TapBatch,
  type TapEntry,
  type TapFilter,
  WebSocketHandler,
} from "../src/index.js";
import { Reporter } from "../src/server/diagnostics/reporter.js";
import type { TestClient } from "../src/testing/index.js";
import { closes, Mailbox, type RunningApp, start } from "./support/app.js";

class Chat extends WebSocketHandler<object, { id: string }> {
  override authorize(): { id: string } {
    const id = this.query.get("as") ?? "guest";
    if (id === "mallory") throw new HttpError(401);
    return { id };
  }

  override onMessage(text: string): void {
    if (text === "throw") throw new Error("boom");
    if (text === "echo") this.sendText("echo");
    else this.sendTextToThisRoom(text);
  }

  override onBinary(bytes: Uint8Array): void {
    this.sendBinaryToThisRoom(bytes);
  }
}

function startChat(options: AppOptions = {}): Promise<RunningApp> {
  return start(new App(options).route("/chat/**:room", Chat, { name: "chat" }).route("/other", Chat));
}

/** The entries of a tap, as they arrive. */
function recordTap(app: App, filter: TapFilter, signal?: AbortSignal): Mailbox<TapEntry> {
  const mailbox = new Mailbox<TapEntry>();
  const listener = ({ entries }: TapBatch) => {
    for (const entry of entries) mailbox.put(entry);
  };
  onTestFinished(app.tap(filter, listener, { signal }));
  return mailbox;
}

/** A short summary of an entry. */
function summaryOf(entry: TapEntry): string {
  const content = "data" in entry ? String(entry.data) : entry.type;
  return `${entry.direction} ${content}`;
}

/** A listener that is busy until the test releases it. */
class Busy {
  readonly batches = new Mailbox<TapBatch>();
  #done: () => void = () => undefined;

  readonly listener = (batch: TapBatch): Promise<void> => {
    this.batches.put(batch);
    return new Promise((resolve) => {
      this.#done = resolve;
    });
  };

  finish(): void {
    this.#done();
  }
}

/** Resolves when the work of this turn of the event loop is done. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

it("reports everything that passes through the app, in order", async () => {
  const { app, open } = await startChat();
  const found = recordTap(app, {});
  const client = await open("/chat/a?as=ann");
  const [connection] = app.registry.connections;
  client.sendText("hello");
  await client.read();
  await expect(open("/nowhere")).rejects.toThrow();
  const left = closes(app, 1);
  client.sendText("throw");
  await left;
  const time = expect.any(Number);
  await found.have(7);
  expect(found.all).toEqual([
    { direction: "lifecycle", type: "open", time, connection },
    { direction: "in", time, connection, data: "hello" },
    { direction: "out", time, connection, kind: "text", data: "hello", room: "/chat/a" },
    {
      direction: "publish",
      time,
      to: { kind: "room", path: "/chat/a" },
      kind: "text",
      data: "hello",
      kept: false,
      position: undefined,
    },
    {
      direction: "lifecycle",
      type: "refuse",
      time,
      status: 404,
      reason: "route",
      request: expect.objectContaining({ url: "/nowhere", remoteAddress: "127.0.0.1" }),
    },
    { direction: "in", time, connection, data: "throw" },
    { direction: "lifecycle", type: "error", time, error: new Error("boom"), connection },
  ]);
  expect((await found.have(8)).at(-1)).toMatchObject({
    type: "close",
    code: 1011,
    reason: "internal error",
    connection,
  });
});

it("copies received bytes, and does not read them as text", async () => {
  const { app, open } = await startChat();
  const all = recordTap(app, { direction: "in" });
  const texts = recordTap(app, { text: "a" });
  const client = await open("/chat/a");
  client.sendBinary(new Uint8Array([97, 98]));
  client.sendText("a");
  await client.read();
  await client.read();
  expect((await all.have(2)).map((entry) => "data" in entry && entry.data)).toEqual([new Uint8Array([97, 98]), "a"]);
  const [first] = all.all;
  expect(first !== undefined && "data" in first && typeof first.data !== "string" && first.data.buffer.byteLength).toBe(
    2,
  );
  expect((await texts.have(3)).map(summaryOf)).toEqual(["in a", "out a", "publish a"]);
});

it.each<[what: string, filter: TapFilter, expected: readonly string[]]>([
  ["one room", { room: "/chat/a" }, ["in a1", "out a1", "publish a1"]],
  ["a room of a tree that is published to", { room: "/chat/b/x" }, ["publish tree"]],
  [
    "a tree",
    { room: "/chat/**", direction: ["in", "publish"] },
    ["in a1", "publish a1", "in b1", "publish b1", "publish tree"],
  ],
  [
    "a tree below it",
    { room: "/chat/b/**" },
    ["in b1", "out b1", "out b1", "publish b1", "out tree", "out tree", "publish tree", "out user"],
  ],
  ["the tree of all rooms", { room: "/**", direction: "in" }, ["in a1", "in b1", "in o1"]],
  ["the topmost room", { room: "/" }, []],
  ["no room that only begins alike", { room: "/cha/**" }, []],
  ["a user", { user: "bob" }, ["in b1", "out b1", "out tree", "out user", "publish user"]],
  ["a user as authorize returned it", { user: { id: "ann" } }, ["in a1", "out a1"]],
  ["a direction", { direction: "publish" }, ["publish a1", "publish b1", "publish o1", "publish tree", "publish user"]],
  ["several directions", { direction: ["in", "out"], room: "/other" }, ["in o1", "out o1"]],
  ["a text", { text: "1", direction: "in" }, ["in a1", "in b1", "in o1"]],
  ["a text and a room", { text: "re", room: "/chat/b/c" }, ["out tree", "out tree", "publish tree"]],
])("reports %s and nothing else", async (_what, filter, expected) => {
  const { app, open } = await startChat();
  const ann = await open("/chat/a?as=ann");
  const bob = await open("/chat/b/c?as=bob");
  const other = await open("/other?as=dan");
  await open("/chat/b/c?as=cid");
  const found = recordTap(app, { direction: ["in", "out", "publish"], ...filter });
  const all = recordTap(app, { direction: ["in", "out", "publish"] });
  for (const [client, text] of [
    [ann, "a1"],
    [bob, "b1"],
    [other, "o1"],
  ] as const) {
    client.sendText(text);
    await client.read();
  }
  app.registry.sendTextToRoom("/chat/b/**", "tree");
  await all.have(13);
  app.registry.sendTextToUser("bob", "user");
  await all.have(15);
  expect(found.all.map(summaryOf)).toEqual(expected);
});

it("reports publications to a room, also those with members that have another home", async () => {
  const { app, open } = await startChat();
  const client = await open("/other");
  for (const connection of app.registry.connections) app.registry.join(connection, "/chat/a");
  const found = recordTap(app, { room: "/chat/a", direction: ["in", "out"] });
  const all = recordTap(app, { direction: ["in", "out"] });
  app.registry.sendTextToRoom("/chat/a", "1");
  app.registry.sendTextToRoom("/other", "2");
  client.sendText("3");
  await all.have(4);
  expect(found.all.map(summaryOf)).toEqual(["out 1"]);
});

it.each(["connection", "except"] as const)("filters by one connection: %s", async (key) => {
  const { app, open } = await startChat();
  const [ann, bob] = [await open("/chat/a"), await open("/chat/b")];
  const [first] = app.registry.connections;
  if (first === undefined) throw new Error("there is no connection");
  const byObject = recordTap(app, { [key]: first });
  const byId = recordTap(app, { [key]: first.id });
  const all = recordTap(app, {});
  for (const client of [ann, bob]) {
    client.sendText(client === ann ? "of ann" : "of bob");
    await client.read();
  }
  await expect(open("/nowhere")).rejects.toThrow();
  await all.have(7);
  const expected = {
    connection: ["in of ann", "out of ann"],
    // A publication belongs to no connection.
    except: ["publish of ann", "in of bob", "out of bob", "publish of bob", "lifecycle refuse"],
  };
  expect(byObject.all.map(summaryOf)).toEqual(expected[key]);
  expect(byId.all.map(summaryOf)).toEqual(expected[key]);
});

it("reports refusals by the requested room", async () => {
  const { app, open } = await startChat();
  const found = recordTap(app, { room: "/chat/**", direction: "lifecycle" });
  const ofUser = recordTap(app, { user: "mallory", direction: "lifecycle" });
  const all = recordTap(app, {});
  for (const path of ["/chat/a?as=mallory", "/other?as=mallory", "/chat/%ff"]) {
    await expect(open(path)).rejects.toThrow();
  }
  await all.have(3);
  expect(found.all).toMatchObject([{ type: "refuse", status: 401, request: { url: "/chat/a?[hidden]" } }]);
  // A refused client is not a user.
  expect(ofUser.all).toEqual([]);
});

it("lets a handler send tap entries to its own client without a loop, if it excepts that connection", async () => {
  const app = new App();
  class Watching extends WebSocketHandler {
    override onConnect(): void {
      const listener = ({ entries }: TapBatch) => this.sendJSON(entries.map(summaryOf));
      app.tap({ room: "/watch/**", direction: ["in", "out"], except: this }, listener, { signal: this.signal });
    }
    override onMessage(): void {
      this.close();
    }
  }
  const { open } = await start(app.route("/watch", Watching).route("/watch/chat", Chat));
  const watching = await open("/watch");
  const client = await open("/watch/chat");
  client.sendText("1");
  await client.read();
  expect(await watching.readJSON()).toEqual(["in 1", "out 1"]);
  await endOfTurn();
  client.sendText("2");
  await client.read();
  expect(await watching.readJSON()).toEqual(["in 2", "out 2"]);
  const left = closes(app, 1);
  await watching.close();
  await left;
  expect(channel("enfilade:message:in").hasSubscribers).toBe(false);
});

it("ignores other apps of the process", async () => {
  const [one, two] = [await startChat(), await startChat()];
  const found = recordTap(one.app, { direction: "in" });
  const [ann, bob] = [await one.open("/chat/a"), await two.open("/chat/a")];
  bob.sendText("of two");
  await bob.read();
  ann.sendText("of one");
  await ann.read();
  expect((await found.have(1)).map(summaryOf)).toEqual(["in of one"]);
});

it("calls the listener later, never while its promise is pending, and delays no message to members", async () => {
  const { app, open } = await startChat();
  const busy = new Busy();
  onTestFinished(app.tap({ direction: "publish" }, busy.listener));
  const client = await open("/chat/a");
  const room = app.registry.room("/chat/a");
  await room.publishText("first");
  expect(busy.batches.all).toEqual([]);
  await busy.batches.have(1);
  for (let n = 0; n < 100; n += 1) await room.publishText(String(n));
  expect(await client.readText()).toBe("first");
  for (let n = 0; n < 100; n += 1) expect(await client.readText()).toBe(String(n));
  expect(busy.batches.all).toHaveLength(1);
  busy.finish();
  const [, second] = await busy.batches.have(2);
  expect(second?.entries).toHaveLength(100);
  expect(second?.missed).toBe(0);
});

it("keeps the last tapEntriesMax entries for a busy listener, and counts the missed ones", async () => {
  const { app } = await startChat({ limits: { tapEntriesMax: 3 } });
  const busy = new Busy();
  onTestFinished(app.tap({ direction: "publish" }, busy.listener));
  const publish = async (...texts: readonly string[]) => {
    for (const text of texts) await app.registry.room("/chat/a").publishText(text);
  };
  const batch = ({ entries, missed }: TapBatch) => [entries.map(summaryOf).join(), missed];
  await publish("1");
  await busy.batches.have(1);
  await publish("2", "3", "4", "5", "6", "7");
  busy.finish();
  await busy.batches.have(2);
  await publish("8", "9", "10");
  busy.finish();
  await busy.batches.have(3);
  busy.finish();
  expect(busy.batches.all.map(batch)).toEqual([
    ["publish 1", 0],
    ["publish 5,publish 6,publish 7", 3],
    ["publish 8,publish 9,publish 10", 0],
  ]);
});

it("keeps at most tapBytesMax, and reports missed entries even if none is left", async () => {
  const { app } = await startChat({ limits: { tapBytesMax: 10 } });
  const busy = new Busy();
  onTestFinished(app.tap({ direction: "publish" }, busy.listener));
  const room = app.registry.room("/chat/a");
  await room.publishText("1");
  await busy.batches.have(1);
  for (const text of ["aaaaa", "bbbbb", "ccccc"]) await room.publishText(text);
  busy.finish();
  await busy.batches.have(2);
  await room.publishText("d");
  await room.publishBinary(new Uint8Array(11));
  busy.finish();
  await busy.batches.have(3);
  busy.finish();
  expect(busy.batches.all.map(({ entries, missed }) => [entries.map(summaryOf), missed])).toEqual([
    [["publish 1"], 0],
    [["publish bbbbb", "publish ccccc"], 1],
    [[], 2],
  ]);
});

it("reports the first error of a listener, continues to call it, and does not end other taps", async () => {
  const { app, errors } = await startChat();
  let calls = 0;
  const throwing = app.tap({ direction: "publish" }, () => {
    calls += 1;
    throw new Error(`thrown ${calls}`);
  });
  const rejecting = app.tap({}, async () => Promise.reject(new Error("rejected")));
  onTestFinished(throwing);
  onTestFinished(rejecting);
  const found = recordTap(app, { direction: "publish" });
  for (const text of ["1", "2", "3"]) {
    await app.registry.room("/chat/a").publishText(text);
    await endOfTurn();
    await endOfTurn();
  }
  expect((await found.have(3)).map(summaryOf)).toEqual(["publish 1", "publish 2", "publish 3"]);
  expect(calls).toBe(3);
  expect(errors.map(({ message }) => message)).toEqual(["thrown 1", "rejected"]);
});

it("delivers nothing after its removal, even during a delivery", async () => {
  const { app } = await startChat();
  const batches: TapBatch[] = [];
  const remove = app.tap({ direction: "publish" }, async (batch) => {
    batches.push(batch);
    await app.registry.room("/chat/a").publishText("2");
    remove();
    remove();
  });
  const removedEarly = app.tap({ direction: "publish" }, (batch) => batches.push(batch));
  const found = recordTap(app, { direction: "publish" });
  await app.registry.room("/chat/a").publishText("1");
  removedEarly();
  await found.have(2);
  await app.registry.room("/chat/a").publishText("3");
  await found.have(3);
  await endOfTurn();
  expect(batches.map(({ entries }) => entries.map(summaryOf))).toEqual([["publish 1"]]);
});

it("is removed by its signal, and leaves no subscriber behind", async () => {
  const { app } = await startChat();
  const names: readonly (keyof DiagnosticMessages)[] = [
    ...(["enfilade:connection:open", "enfilade:connection:close"] as const),
    ...(["enfilade:publish", "enfilade:refuse", "enfilade:error"] as const),
  ];
  const subscribed = () => names.filter((name) => channel(name).hasSubscribers);
  const controller = new AbortController();
  const { signal } = controller;
  const remove = app.tap({}, () => undefined, { signal });
  expect(subscribed()).toEqual(names);
  controller.abort();
  expect(subscribed()).toEqual([]);
  remove();
  app.tap({}, () => undefined, { signal });
  expect(subscribed()).toEqual([]);
  onTestFinished(app.tap({ direction: "publish" }, () => undefined));
  expect(subscribed()).toEqual(["enfilade:publish"]);
});

it("is called only for connections and rooms that it may match, also for those that open later", async () => {
  const reported = [vi.spyOn(Reporter.prototype, "onMessageIn"), vi.spyOn(Reporter.prototype, "onMessageOut")];
  onTestFinished(() => {
    for (const spy of reported) spy.mockRestore();
  });
  const calls = () => reported.map((spy) => spy.mock.calls.length);
  const { app, open } = await startChat();
  const elsewhere = await open("/chat/a");
  const early = await open("/other");
  const controller = new AbortController();
  const found = recordTap(app, { room: "/other", direction: ["in", "out"] }, controller.signal);
  const exchange = async (client: TestClient, text: string) => {
    client.sendText(text);
    await client.readText();
  };
  await exchange(elsewhere, "echo");
  await exchange(elsewhere, "to its room");
  expect(calls()).toEqual([0, 0]);
  await exchange(early, "echo");
  expect(calls()).toEqual([1, 1]);
  const late = await open("/other");
  await exchange(late, "echo");
  expect(calls()).toEqual([2, 2]);
  for (const connection of app.registry.connections) app.registry.join(connection, "/other");
  app.registry.sendTextToRoom("/other", "to all");
  await elsewhere.readText();
  expect(calls()).toEqual([2, 5]);
  expect((await found.have(7)).map(summaryOf).slice(-3)).toEqual(["out to all", "out to all", "out to all"]);
  controller.abort();
  await exchange(late, "echo");
  expect(calls()).toEqual([2, 5]);
});

it("delivers earlier entries before the app closes, and ends with it", async () => {
  const { app, open } = await startChat();
  const found = new Mailbox<TapEntry>();
  app.tap({ direction: "lifecycle" }, ({ entries }) => {
    for (const entry of entries) found.put(entry);
  });
  await open("/chat/a");
  await app.close();
  expect((await found.have(2)).map(summaryOf)).toEqual(["lifecycle open", "lifecycle close"]);
  expect(channel("enfilade:connection:close").hasSubscribers).toBe(false);
  expect(() => app.tap({}, () => undefined)).toThrow(expect.objectContaining({ code: "ERR_APP_STATE" }));
});

it.each<[what: string, filter: unknown, code: string, message: RegExp]>([
  ["an unknown key", { rooms: "/a" }, "ERR_OPTION", /did you mean "room"/],
  ["no object", "/a", "ERR_OPTION", /filter of a tap/],
  ["an unknown direction", { direction: "up" }, "ERR_OPTION", /"up".*lifecycle/],
  ["an unknown direction in a list", { direction: ["in", "outt"] }, "ERR_OPTION", /did you mean "out"/],
  ["a text that is none", { text: /a/ }, "ERR_OPTION", /text of a tap is a string, got object/],
  ["no connection", { connection: 7 }, "ERR_OPTION", /a handler or an id, got number/],
  ["no path", { room: "chat" }, "ERR_PATH", /chat/],
  ["no user", { user: true }, "ERR_USER", /boolean/],
])("refuses a filter with %s", (_what, filter, code, message) => {
  const app = new App();
  const tap = () => Reflect.apply(app.tap, app, [filter, () => undefined]);
  expect(tap).toThrow(expect.objectContaining({ code }));
  expect(tap).toThrow(message);
});

it("refuses a listener that cannot be called", () => {
  const app = new App();
  const tap = () => Reflect.apply(app.tap, app, [{}, undefined]);
  expect(tap).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
});
