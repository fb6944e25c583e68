import { describe, expect, it, onTestFinished } from "vitest";
import { App, EventHandler, On, type SendOptions, WebSocketHandler } from "../src/index.js";
import { connect } from "../src/testing/index.js";
import { Mailbox } from "./support/app.js";

/** Options that JavaScript code can pass. */
function wrong(options: object): never {
  return options as never;
}

function refusal(what: string, name: string, near: string): object {
  const message = expect.stringContaining(`${what} has no option "${name}"; did you mean "${near}"?`);
  return expect.objectContaining({ code: "ERR_OPTION", message });
}

/** The error that a call throws, or with which it rejects. */
async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

class Chat extends EventHandler {
  static readonly opened = new Mailbox<Chat>();
  override onConnect() {
    Chat.opened.put(this);
  }
  @On() onLook() {
    return "nothing";
  }
}

/** A handler with its connection. */
async function openHandler(): Promise<{ app: App; chat: Chat }> {
  const app = new App().route("/x", Chat, { history: { size: 10 } });
  onTestFinished(() => app.close());
  Chat.opened.all.length = 0;
  await connect(app, "/x");
  const [chat] = await Chat.opened.have(1);
  if (chat === undefined) throw new Error("it has one");
  return { app, chat };
}

describe("an option that does not exist is refused", () => {
  it("by methods that send to one client, or request from it", async () => {
    const { chat } = await openHandler();
    const options = wrong({ polcy: { kind: "skip" } });
    const { connection } = chat;
    const calls = [
      () => chat.sendJSON(1, options),
      () => chat.sendText("x", options),
      () => chat.sendBinary(new Uint8Array(1), options),
      () => chat.emit("x", 1, options),
      () => connection.sendJSON(1, options),
      () => connection.sendText("x", options),
      () => connection.sendBinary(new Uint8Array(1), options),
    ];
    for (const call of calls) expect(await thrownBy(call)).toEqual(refusal("a send to one client", "polcy", "policy"));
    expect(await thrownBy(() => chat.sendText("x", wrong({ except: chat })))).toMatchObject({
      code: "ERR_OPTION",
      message: 'a send to one client has no option "except". It has: policy',
    });
  });

  it("by methods that send to many clients", async () => {
    const { app, chat } = await openHandler();
    const { registry } = app;
    const options: SendOptions = wrong({ exept: chat });
    const calls = [
      () => chat.sendJSONToThisRoom(1, options),
      () => chat.sendTextToRoom("/x", "x", options),
      () => chat.sendBinaryToAll(new Uint8Array(1), options),
      () => chat.sendJSONToUser("ann", 1, options),
      () => chat.emitToThisRoom("x", 1, options),
      () => chat.emitToUser("ann", "x", 1, options),
      () => registry.sendTextToAll("x", options),
      () => registry.emitToRoom("/x", "x", 1, options),
      () => registry.room("/x").sendJSON(1, options),
      () => registry.user("ann").publishText("x", options),
      () => registry.room("/x").publish(1, options),
    ];
    for (const call of calls) expect(await thrownBy(call)).toEqual(refusal("a send", "exept", "except"));
    expect(await thrownBy(() => chat.sendJSONToAll(1, { policy: undefined, keep: false, except: [] }))).toBeUndefined();
  });

  it("by reading, subscribing and writing", async () => {
    const { app } = await openHandler();
    const room = app.registry.room("/x");
    expect(await thrownBy(() => room.history(wrong({ limt: 1 })))).toEqual(refusal("history()", "limt", "limit"));
    expect(await thrownBy(() => room.subscribe(wrong({ replya: 1 })))).toEqual(
      refusal("subscribe()", "replya", "replay"),
    );
    expect(await thrownBy(() => room.writer(wrong({ txt: true })))).toEqual(refusal("writer()", "txt", "text"));
    await room.writer({ text: true, except: "absent" }).close();
  });

  it("by the history of a route", async () => {
    const route = (history: object) => new App().route("/x", Chat, { history: wrong(history) });
    expect(await thrownBy(() => route({ size: 1, second: 60 }))).toEqual(refusal("history", "second", "seconds"));
    expect(await thrownBy(() => route([1]))).toMatchObject({ code: "ERR_OPTION" });
    expect(await thrownBy(() => new App().route("/x", Chat, { history: wrong(new Date(0)) }))).toMatchObject({
      code: "ERR_OPTION",
    });
  });

  it("by listen(), close() and drain()", async () => {
    const app = new App();
    onTestFinished(() => app.close());
    const objectCall = await thrownBy(() => app.listen(wrong({ port: 0 })));
    expect(objectCall).toMatchObject({
      code: "ERR_OPTION",
      message: 'listen() takes a port from 0 to 65535 and a host, such as listen(8000, "127.0.0.1"), got an object',
    });
    expect(await thrownBy(() => app.drain(wrong({ withinMS: 1 })))).toEqual(refusal("drain()", "withinMS", "withinMs"));
    expect(await thrownBy(() => app.drain(wrong([1_000])))).toMatchObject({ code: "ERR_OPTION" });
    const closing = app.close(wrong({ timeoutMS: 1 }));
    expect(closing).toBeInstanceOf(Promise);
    expect(await thrownBy(() => closing)).toEqual(refusal("close()", "timeoutMS", "timeoutMs"));
    expect(app.status()).toMatchObject({ state: "open", ready: true });
  });

  it("by @On and static events, with the class in the error", () => {
    expect(() => {
      On("look", wrong({ shema: {} }));
    }).toThrow(refusal('@On("look")', "shema", "schema"));
    class Declared extends EventHandler {
      static events = { look: { method: "onLook", shema: {} } };
      onLook() {
        return "nothing";
      }
    }
    expect(() => new App().route("/x", Declared)).toThrow(refusal('the event "look" of Declared', "shema", "schema"));
    class Nothing extends EventHandler {
      static events = { look: undefined };
    }
    expect(() => new App().route("/x", Nothing)).toThrow(
      expect.objectContaining({ code: "ERR_EVENTS", message: expect.stringContaining('the event "look" of Nothing') }),
    );
  });
});

it("an object without a prototype, or of a class, is accepted as options", async () => {
  class Options {
    keep = false;
  }
  const { chat } = await openHandler();
  expect(await thrownBy(() => chat.sendJSONToThisRoom(1, new Options()))).toBeUndefined();
  expect(await thrownBy(() => chat.sendJSONToThisRoom(1, Object.create(null)))).toBeUndefined();
});

describe("an event that does not exist is refused", () => {
  it.each([
    ["opne", "open"],
    ["closed", "close"],
    ["errors", "error"],
  ])("by app.on: %s", (event, near) => {
    const message = expect.stringContaining(`the app has no event "${event}"; did you mean "${near}"?`);
    expect(() => new App().on(event as never, () => undefined)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message }),
    );
  });

  it.each([
    ["presense", "presence"],
    ["joined", "join"],
  ])("by registry.on: %s", (event, near) => {
    const { registry } = new App();
    const message = expect.stringContaining(`the registry has no event "${event}"; did you mean "${near}"?`);
    expect(() => registry.on(event as never, () => undefined)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message }),
    );
    expect(() => registry.on("toString" as never, () => undefined)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION" }),
    );
  });

  it("as are an unknown option of a listener, and a listener that is not a function", () => {
    const app = new App();
    expect(() => app.on("open", () => undefined, wrong({ onec: true }))).toThrow(refusal("a listener", "onec", "once"));
    expect(() => app.on("open", undefined as never)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: 'on("open") takes a function, got undefined' }),
    );
  });
});

describe("an error about a route names the route and the class", () => {
  class Mute extends WebSocketHandler {}
  class Silent extends EventHandler {}
  const inScope = (pattern: string, options: object) => () =>
    new App().scope("/org", (org) => org.route(pattern as "/x", Chat, wrong(options)));

  it.each([
    ["ERR_NO_READER", () => new App().route("/chat/:x", Mute), 'the route "/chat/:x" of Mute: Mute implements none'],
    [
      "ERR_EVENTS",
      () => new App().route("/chat/:x", Silent),
      'the route "/chat/:x" of Silent: Silent answers no event',
    ],
    ["ERR_OPTION", inScope("/:x", { nmae: "x" }), 'the route "/org/:x" of Chat: a route has no option "nmae"'],
    ["ERR_OPTION", inScope("/:x", { replay: 1 }), 'the route "/org/:x" of Chat: replay needs history'],
    [
      "ERR_OPTION",
      inScope("/:x", { limits: { joinsMax: 0 } }),
      'the route "/org/:x" of Chat: the limit "joinsMax" takes',
    ],
    [
      "ERR_OPTION",
      inScope("/:x", { limits: wrong({ mesageBytesMax: 1 }) }),
      'there is no limit "mesageBytesMax"; did you mean "messageBytesMax"?',
    ],
    [
      "ERR_OPTION",
      inScope("/:x", { limits: wrong({ connectionsMax: 1 }) }),
      'the limit "connectionsMax" can only be set for the whole app; a scope or a route may set: ',
    ],
    ["ERR_OPTION", inScope("/:x", { origins: ["x"] }), 'the route "/org/:x" of Chat: origins takes'],
    ["ERR_ROUTE_PATTERN", inScope("/{x}", {}), 'the route "/org/{x}" of Chat: the pattern "/org/{x}" has "{x}"'],
    ["ERR_ROUTE_PATTERN", inScope("x", {}), 'the route "/orgx" of Chat: a route begins with "/"'],
    [
      "ERR_ROUTE_CONFLICT",
      () => new App().route("/a", Chat).route("/a", class Other extends Chat {}),
      'the route "/a" of Other: "/a" (Chat) and "/a" (Other) match the same paths',
    ],
  ])("with %s", (code, register, message) => {
    expect(register).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });
});
