import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { expect, it, onTestFinished, vi } from "vitest";
import { MemoryBackplane } from "../src/backplane/index.js";
import { Peer } from "../src/connection/peer.js";
import { traces } from "../src/diagnostics.js";
import {
  App,
  type DiagnosticMessages,
  EventHandler,
  HttpError,
  On,
  spacedEvents,
  type TraceSpans,
  WebSocketHandler,
} from "../src/index.js";
import { Reporter } from "../src/server/diagnostics/reporter.js";
import { connectURL } from "../src/testing/index.js";
import { closes, Mailbox, start, startWith } from "./support/app.js";

type ChannelName = keyof DiagnosticMessages;

/** The messages on a channel until the end of the test. */
function listen<Name extends ChannelName>(name: Name): Mailbox<DiagnosticMessages[Name]> {
  const mailbox = new Mailbox<DiagnosticMessages[Name]>();
  // Each channel has one type of message, which Node's types do not know.
  const onMessage = (message: unknown) => mailbox.put(message as DiagnosticMessages[Name]);
  subscribe(name, onMessage);
  onTestFinished(() => {
    unsubscribe(name, onMessage);
  });
  return mailbox;
}

class Chat extends WebSocketHandler<object, { id: string }> {
  isGone = false;

  override onClose(): void {
    this.isGone = true;
  }

  override authorize(): { id: string } {
    const id = this.query.get("user") ?? "guest";
    if (id === "mallory") throw new HttpError(401);
    return { id };
  }

  override onMessage(text: string): void {
    if (text === "throw") throw new Error("boom");
    if (text === "whisper") this.sendText("to you");
    else this.sendTextToThisRoom(text, { except: this.query.has("alone") ? this : [] });
  }
}

const path = "/chat/:room";

it("publishes a connection when it is in its room, and when its last hook is done", async () => {
  const seen: string[] = [];
  class Hooked extends WebSocketHandler {
    override onConnect(): void {
      seen.push("onConnect");
    }
    override onClose(): void {
      seen.push("onClose");
    }
    override onMessage(): void {
      seen.push("onMessage");
    }
  }
  const opened = listen("enfilade:connection:open");
  const closed = listen("enfilade:connection:close");
  const { app, open } = await startWith("/x", Hooked);
  const client = await open("/x?as=ann");
  const [first] = await opened.have(1);
  expect(first?.app).toBe(app);
  expect(first?.connection).toBe(app.registry.connections[0]);
  expect(first?.connection.request.url).toBe("/x?as=ann");
  client.sendText("hello");
  const connection = first?.connection;
  await client.close(3000, "done");
  expect(await closed.have(1)).toEqual([{ app, connection, code: 3000, reason: "done", isClean: true, by: "client" }]);
  expect(seen.at(-1)).toBe("onClose");
});

it("publishes each message for a handler", async () => {
  const came = listen("enfilade:message:in");
  const { app, open } = await startWith(path, Chat);
  const client = await open("/chat/a");
  client.sendText("hello");
  expect(await client.readText()).toBe("hello");
  expect(came.all).toHaveLength(1);
  const [{ message, connection } = { message: undefined, connection: undefined }] = came.all;
  expect(came.all[0]?.app).toBe(app);
  expect(connection).toBe(app.registry.connections[0]);
  expect(message?.text).toBe("hello");
});

it("publishes the content of an enfilade.v1 frame for the handler, and no ping", async () => {
  const came = listen("enfilade:message:in");
  const sent = listen("enfilade:message:out");
  class Events extends EventHandler {
    @On()
    onAdd({ a, b }: { a: number; b: number }): number {
      return a + b;
    }
  }
  const { open } = await startWith("/x", Events);
  const client = await open("/x", { protocols: ["enfilade.v1"] });
  await client.read();
  client.sendJSON({ type: "ping" });
  expect(await client.readJSON()).toEqual({ type: "pong" });
  client.sendJSON({ type: "event", event: "add", data: { a: 1, b: 2 }, id: "7" });
  const reply = await client.readText();
  expect(came.all.map(({ message }) => message.json())).toEqual([{ event: "add", data: { a: 1, b: 2 }, id: "7" }]);
  expect(sent.all.map(({ kind, data, room }) => ({ kind, data, room }))).toEqual([
    { kind: "json", data: reply, room: undefined },
  ]);
});

it("publishes each message once for every member that gets it", async () => {
  const sent = listen("enfilade:message:out");
  const { app, open } = await startWith(path, Chat);
  const ann = await open("/chat/a?alone");
  const bob = await open("/chat/a");
  const cid = await open("/chat/a");
  const [, ofBob, ofCid] = app.registry.connections;
  ann.sendText("hello");
  await Promise.all([bob.read(), cid.read()]);
  const about = { app, kind: "text", data: "hello", bytes: 7, room: "/chat/a" };
  expect(sent.all).toEqual([
    { ...about, connection: ofBob },
    { ...about, connection: ofCid },
  ]);
});

it("publishes a message to one client, and none to a client that has left", async () => {
  const sent = listen("enfilade:message:out");
  const { app, open } = await startWith(path, Chat);
  const client = await open("/chat/a");
  client.sendText("whisper");
  expect(await client.readText()).toBe("to you");
  const [connection] = app.registry.connections;
  const left = closes(app, 1);
  await client.close();
  await left;
  connection?.sendText("too late");
  expect(sent.all).toEqual([{ app, connection, kind: "text", data: "to you", bytes: 8, room: undefined }]);
});

it("publishes the target, the content and the position of a publication", async () => {
  const published = listen("enfilade:publish");
  const { app, open } = await start(
    new App()
      .route(path, Chat, { name: "chat" })
      .route("/kept", Chat, { history: { size: 10 } })
      .route("/spaced", Chat, { eventProtocol: spacedEvents }),
  );
  await open("/chat/a");
  const { registry } = app;
  registry.sendTextToRoom("/chat/a", "1");
  registry.sendJSONToRoom("/chat/**", [2]);
  registry.sendBinaryToUser("ann", new Uint8Array([3]));
  app.channel("chat").sendJSON(4);
  registry.sendTextToAll("5");
  const position = await registry.room("/kept").publish({ n: 6 });
  await registry.room("/kept").publish({ n: 7 }, { keep: false });
  registry.emitToRoom("/spaced", "said", { n: 8 });
  const rest = { app, kept: false, position: undefined };
  expect(await published.have(8)).toEqual([
    { ...rest, to: { kind: "room", path: "/chat/a" }, kind: "text", data: "1" },
    { ...rest, to: { kind: "rooms", pattern: "/chat/**" }, kind: "json", data: "[2]" },
    { ...rest, to: { kind: "user", id: "ann" }, kind: "binary", data: new Uint8Array([3]) },
    { ...rest, to: { kind: "channel", name: "chat" }, kind: "json", data: "4" },
    { ...rest, to: { kind: "all" }, kind: "text", data: "5" },
    { app, to: { kind: "room", path: "/kept" }, kind: "json", data: '{"n":6}', kept: true, position },
    { ...rest, to: { kind: "room", path: "/kept" }, kind: "json", data: '{"n":7}' },
    { ...rest, to: { kind: "room", path: "/spaced" }, kind: "text", data: 'said {"n":8}' },
  ]);
  expect(position?.offset).toBe(1);
});

it("publishes no publication that the backplane did not accept", async () => {
  class Away extends MemoryBackplane {
    override publish(): Promise<undefined> {
      return Promise.reject(new Error("away"));
    }
  }
  const published = listen("enfilade:publish");
  const failed = listen("enfilade:error");
  const { app } = await startWith(path, Chat, { backplane: new Away() });
  await expect(app.registry.room("/chat/a").publish(1)).rejects.toThrow("away");
  app.registry.sendTextToAll("2");
  expect((await failed.have(1)).map(({ error }) => error.message)).toEqual(["away"]);
  expect(published.all).toEqual([]);
});

it.each([
  ["a path that no route has", "/nowhere", 404],
  ["a path that is none", "/chat/%ff", 400],
  ["authorize", "/chat/a?user=mallory", 401],
  ["a full app", "/chat/a", 503],
])("publishes a refusal: %s", async (_why, target, status) => {
  const refused = listen("enfilade:refuse");
  const { app, open } = await startWith(path, Chat, { limits: status === 503 ? { connectionsMax: 1 } : {} });
  if (status === 503) await open("/chat/a");
  await expect(open(target, { headers: { "x-mark": "7" } })).rejects.toMatchObject({ status });
  const url = target.replace(/\?.*/, "?[hidden]");
  expect(refused.all).toMatchObject([
    { app, status, request: { url, headers: { "x-mark": "7" }, remoteAddress: "127.0.0.1" } },
  ]);
  expect(app.status().totals.refused).toBe(1);
});

it("publishes the status that the client got if the refusal of the application cannot be written", async () => {
  class Broken extends WebSocketHandler {
    override authorize(): never {
      throw new HttpError(401, "no", { headers: { "not a name": "x" } });
    }
    override onMessage(): void {
      this.close();
    }
  }
  const refused = listen("enfilade:refuse");
  const { open } = await startWith("/x", Broken);
  await expect(open("/x")).rejects.toMatchObject({ status: 500 });
  expect(refused.all.map(({ status }) => status)).toEqual([500]);
});

it("publishes whether a client could resume, and nothing for a new client", async () => {
  const resumed = listen("enfilade:resume");
  const { app, open } = await start(new App().route("/kept", Chat, { history: { size: 2 } }).route("/plain", Chat));
  const room = app.registry.room("/kept");
  const positions = await Promise.all([1, 2, 3, 4].map((n) => room.publish(n)));
  const [first, , third, last] = positions;
  const join = async (target: string) => (await open(target, { protocols: ["enfilade.v1"] })).read();
  const epoch = first?.epoch ?? "";
  for (const since of ["", `?since=${epoch}:3`, `?since=${epoch}:1`, "?since=other:1", "?since=none"]) {
    await join(`/kept${since}`);
  }
  await join("/plain?since=other:1");
  const lost = { app, recovered: false };
  expect(resumed.all).toMatchObject([
    { app, recovered: true, reason: undefined, missed: undefined, position: third },
    { ...lost, reason: "trimmed", missed: 1, position: { epoch, offset: 2 } },
    { ...lost, reason: "epoch", missed: undefined, position: { epoch, offset: 2 } },
    { ...lost, reason: "invalid", missed: undefined, position: last },
    { ...lost, reason: "off", missed: undefined, position: undefined },
  ]);
  const ids = app.registry.connections.map(({ id }) => id);
  expect(resumed.all.map(({ connection }) => connection.id)).toEqual(ids.slice(1));
});

it("publishes the errors of app.on('error'), also without a listener there", async () => {
  const failed = listen("enfilade:error");
  const error = vi.fn();
  const app = new App({ logger: { warn: vi.fn(), error } }).route(path, Chat);
  const { port } = await app.listen(0, "127.0.0.1");
  onTestFinished(() => app.close({ timeoutMs: 200 }));
  const client = await connectURL(`ws://127.0.0.1:${port}/chat/a`);
  const [connection] = app.registry.connections;
  client.sendText("throw");
  await client.closed;
  expect(await failed.have(1)).toEqual([{ app, error: expect.objectContaining({ message: "boom" }), connection }]);
  expect(error).toHaveBeenCalledTimes(1);
});

it("distinguishes two apps of one process", async () => {
  const opened = listen("enfilade:connection:open");
  const came = listen("enfilade:message:in");
  const sent = listen("enfilade:message:out");
  const published = listen("enfilade:publish");
  const one = await startWith(path, Chat);
  const two = await startWith(path, Chat);
  const [ann, bob] = [await one.open("/chat/a"), await two.open("/chat/a")];
  ann.sendText("of one");
  bob.sendText("of two");
  expect(await ann.readText()).toBe("of one");
  expect(await bob.readText()).toBe("of two");
  for (const mailbox of [opened, came, sent, published]) {
    expect(mailbox.all.filter(({ app }) => app === one.app)).toHaveLength(1);
    expect(mailbox.all.filter(({ app }) => app === two.app)).toHaveLength(1);
  }
});

it("creates and calls nothing without a subscriber", async () => {
  const methods = [
    ...(["onOpened", "onClosed", "onMessageIn", "onMessageOut"] as const),
    ...(["observe", "onRefused", "onResumed", "onError"] as const),
  ];
  const spies = [
    ...methods.map((name) => vi.spyOn(Reporter.prototype, name)),
    vi.spyOn(Peer.prototype, "reportOut"),
    ...[traces.handshake, traces.handler, traces.publish].map(({ start }) => vi.spyOn(start, "runStores")),
  ];
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore();
  });
  const everything = async () => {
    const { app, open } = await startWith(path, Chat);
    const client = await open("/chat/a");
    client.sendText("hello");
    await client.read();
    client.sendText("whisper");
    await client.read();
    await app.registry.room("/chat/a").publish(1);
    await client.read();
    await expect(open("/nowhere")).rejects.toMatchObject({ status: 404 });
    await (await open("/chat/b?since=other:1", { protocols: ["enfilade.v1"] })).read();
    const left = closes(app, 1);
    client.sendText("throw");
    await left;
  };
  await everything();
  expect(spies.map((spy) => spy.mock.calls.length)).toEqual(spies.map(() => 0));
  const names: readonly ChannelName[] = [
    ...(["enfilade:connection:open", "enfilade:connection:close", "enfilade:message:in"] as const),
    ...(["enfilade:message:out", "enfilade:publish", "enfilade:refuse"] as const),
    ...(["enfilade:resume", "enfilade:error"] as const),
  ];
  for (const name of names) listen(name);
  follow("enfilade:handshake");
  follow("enfilade:handler");
  follow("enfilade:publish");
  await everything();
  expect(spies.map((spy) => spy.mock.calls.length > 0)).toEqual(spies.map(() => true));
});

type Phase = "start" | "end" | "asyncStart" | "asyncEnd" | "error";
const phases = ["start", "end", "asyncStart", "asyncEnd", "error"] as const satisfies readonly Phase[];

/** The events of spans, each with a copy of its span at that time, until the end of the test. */
function follow<Name extends keyof TraceSpans>(name: Name): Mailbox<[phase: Phase, span: TraceSpans[Name]]> {
  const mailbox = new Mailbox<[phase: Phase, span: TraceSpans[Name]]>();
  for (const phase of phases) {
    const channel = `tracing:${name}:${phase}`;
    // Each channel has one type of span, which Node's types do not know.
    const onSpan = (span: unknown) => mailbox.put([phase, { ...(span as TraceSpans[Name]) }]);
    subscribe(channel, onSpan);
    onTestFinished(() => {
      unsubscribe(channel, onSpan);
    });
  }
  return mailbox;
}

class Traced extends EventHandler {
  override async authorize(): Promise<{ id: string }> {
    const as = this.query.get("as") ?? "ann";
    if (as === "mallory") throw new HttpError(403);
    if (as === "broken") throw new Error("no database");
    return { id: as };
  }
  @On()
  onAdd({ a, b }: { a: number; b: number }): number {
    return a + b;
  }
  @On()
  async onLater(): Promise<string> {
    return "later";
  }
  @On()
  onFail(): never {
    throw new Error("boom");
  }
  override onClose(): void {
    this.sendText("not read");
  }
}

it("traces a handshake until the connection is open", async () => {
  const spans = follow("enfilade:handshake");
  const { app, open } = await startWith("/x/:id", Traced);
  await open("/x/1");
  await spans.have(4);
  const [connection] = app.registry.connections;
  const about = { app, begunAt: expect.any(Number), request: connection?.request, route: "/x/:id" };
  const before = { ...about, status: undefined, connection: undefined };
  const after = { ...about, status: 101, connection, result: undefined };
  expect(spans.all).toEqual([
    ["start", before],
    ["end", before],
    ["asyncStart", after],
    ["asyncEnd", after],
  ]);
});

it("traces a handshake without authorize", async () => {
  const spans = follow("enfilade:handshake");
  const { open } = await startWith("/x", Text);
  await open("/x");
  await spans.have(4);
  expect(spans.all.map(([phase, { status }]) => [phase, status]).at(-1)).toEqual(["asyncEnd", 101]);
});

it.each([
  ["a refusal, which is no error", "mallory", 403, ["start", "end", "asyncStart", "asyncEnd"], undefined],
  ["an error", "broken", 500, ["start", "end", "error", "asyncStart", "asyncEnd"], "no database"],
] as const)("traces a handshake to %s", async (_what, as, status, expected, message) => {
  const spans = follow("enfilade:handshake");
  const { open, errors } = await startWith("/x", Traced);
  await expect(open(`/x?as=${as}`)).rejects.toMatchObject({ status });
  await spans.have(expected.length);
  expect(spans.all.map(([phase]) => phase)).toEqual(expected);
  const [, last] = spans.all.at(-1) ?? [];
  expect(last).toMatchObject({ status, connection: undefined });
  expect(last?.error).toEqual(message === undefined ? undefined : new Error(message));
  expect(errors.map((error) => error.message)).toEqual(message === undefined ? [] : [message]);
});

class Text extends WebSocketHandler {
  override async onConnect(): Promise<void> {
    await null;
  }
  override onMessage(text: string): void {
    this.sendText(text);
  }
}

it("traces the calls of a handler's methods, each until it has finished", async () => {
  const spans = follow("enfilade:handler");
  const { app, open } = await startWith("/x/:id", Text);
  const client = await open("/x/1");
  client.sendText("hello");
  await client.read();
  const [connection] = app.registry.connections;
  expect(spans.all.map(([phase, { method }]) => [phase, method])).toEqual([
    ["start", "onConnect"],
    ["end", "onConnect"],
    ["asyncStart", "onConnect"],
    ["asyncEnd", "onConnect"],
    ["start", "onMessage"],
    ["end", "onMessage"],
  ]);
  const about = {
    app,
    begunAt: expect.any(Number),
    connection,
    route: "/x/:id",
    method: "onMessage",
    event: undefined,
  };
  expect(spans.all.slice(4).map(([, span]) => span)).toEqual([about, { ...about, result: undefined }]);
});

it("traces events by name, with their results and errors, and onClose", async () => {
  const { app, open } = await startWith("/x", Traced);
  const client = await open("/x");
  const spans = follow("enfilade:handler");
  client.sendJSON({ event: "add", data: { a: 1, b: 2 }, id: "1" });
  client.sendJSON({ event: "later", id: "2" });
  client.sendJSON({ event: "fail", id: "3" });
  expect(await client.readJSON()).toMatchObject({ data: 3 });
  expect(await client.readJSON()).toMatchObject({ data: "later" });
  expect(await client.readJSON()).toMatchObject({ error: { code: "internal" } });
  const left = closes(app, 1);
  await client.close();
  await left;
  const boom = new Error("boom");
  expect(spans.all.map(([phase, { event, method, result, error }]) => [phase, event, method, result ?? error])).toEqual(
    [
      ["start", "add", "onAdd", undefined],
      ["end", "add", "onAdd", 3],
      ["start", "later", "onLater", undefined],
      ["end", "later", "onLater", undefined],
      ["asyncStart", "later", "onLater", "later"],
      ["asyncEnd", "later", "onLater", "later"],
      ["start", "fail", "onFail", undefined],
      ["error", "fail", "onFail", boom],
      ["end", "fail", "onFail", boom],
      ["start", undefined, "onClose", undefined],
      ["end", undefined, "onClose", undefined],
    ],
  );
});

it("traces a publication with its position, and one that fails", async () => {
  class Away extends MemoryBackplane {
    override publish(...args: Parameters<MemoryBackplane["publish"]>): ReturnType<MemoryBackplane["publish"]> {
      return args[0] === "all" ? Promise.reject(new Error("away")) : super.publish(...args);
    }
  }
  const app = new App({ backplane: new Away() }).route("/kept", Text, { history: { size: 10 } });
  await start(app);
  const spans = follow("enfilade:publish");
  const position = await app.registry.room("/kept").publish(1);
  app.registry.sendTextToAll("2");
  await spans.have(9);
  expect(spans.all.map(([phase]) => phase)).toEqual([
    ...["start", "end", "asyncStart", "asyncEnd"],
    ...["start", "end", "error", "asyncStart", "asyncEnd"],
  ]);
  const about = {
    app,
    begunAt: expect.any(Number),
    to: { kind: "room", path: "/kept" },
    kind: "json",
    data: "1",
    kept: true,
  };
  expect(spans.all[0]?.[1]).toEqual(about);
  expect(spans.all[3]?.[1]).toEqual({ ...about, result: position });
  expect(spans.all[8]?.[1]).toMatchObject({ to: { kind: "all" }, error: new Error("away") });
});

it("gives the code of a method the store that was bound to the start of its span, also after an await", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  class Looking extends EventHandler {
    override async authorize(): Promise<{ id: string }> {
      await null;
      seen.push(storage.getStore());
      return { id: "ann" };
    }
    override onConnect(): void {
      seen.push(storage.getStore());
    }
    @On()
    async onLook(): Promise<number> {
      seen.push(storage.getStore());
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(storage.getStore());
      return 1;
    }
  }
  const handshake = tracingChannel<string, TraceSpans["enfilade:handshake"]>("enfilade:handshake");
  const handler = tracingChannel<string, TraceSpans["enfilade:handler"]>("enfilade:handler");
  handshake.start.bindStore(storage, () => "handshake");
  handler.start.bindStore(storage, ({ method }) => `${method} in ${storage.getStore()}`);
  onTestFinished(() => {
    handshake.start.unbindStore(storage);
    handler.start.unbindStore(storage);
  });
  const { open } = await startWith("/x", Looking);
  const client = await open("/x");
  client.sendJSON({ event: "look", id: "1" });
  client.sendJSON({ event: "look", id: "2" });
  await client.read();
  await client.read();
  const look = "onLook in undefined";
  expect(seen).toEqual(["handshake", "onConnect in handshake", look, look, look, look]);
});
