import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  App,
  EventError,
  EventHandler,
  HttpError,
  type IncomingEvent,
  jsonEvents,
  On,
  Route,
  WebSocketHandler,
} from "../../src/index.js";
import type { TestClient } from "../../src/testing/index.js";
import { closes, start, startWith } from "../support/app.js";

const Join = z.object({ name: z.string().min(1) });

@Route("/golem/:room")
class Golem extends EventHandler {
  #name = "";

  @On("join", { schema: Join })
  enter({ name }: z.output<typeof Join>) {
    this.#name = name;
    this.emitToThisRoom("joined", { name }, { except: this });
    return { size: this.room.size };
  }

  @On()
  onMsg(text: string) {
    this.emitToThisRoom("msg", { from: this.#name, text });
  }

  @On("leave")
  onLeave() {
    this.emitToThisRoom("left", { name: this.#name }, { except: this });
    this.leave(this.request.path);
  }

  @On("raw", { raw: true })
  onRaw(text: string) {
    return { text };
  }

  @On("none")
  async onNone() {
    return undefined;
  }

  @On("late", { schema: z.string().refine(async (text) => text !== "bad", "must not be bad") })
  onLate(text: string) {
    return text;
  }

  @On("full")
  onFull() {
    throw new EventError("full", "the room is full");
  }

  @On("boom")
  onBoom() {
    throw new Error("secret");
  }
}

async function ask(client: TestClient, message: unknown): Promise<unknown> {
  client.sendJSON(message);
  return client.readJSON();
}

describe("events", () => {
  it("join, send and leave by name, and an empty room is freed", async () => {
    const { app, open } = await start(new App({ handlers: [Golem] }));
    const [ann, bob, cid] = [await open("/golem/x"), await open("/golem/x"), await open("/golem/x")];
    expect(await ask(ann, { event: "join", data: { name: "ann" }, id: 1 })).toEqual({ id: 1, data: { size: 3 } });
    expect(await bob.readJSON()).toEqual({ event: "joined", data: { name: "ann" } });
    expect(await ask(bob, { event: "msg", data: "hi" })).toEqual({ event: "msg", data: { from: "", text: "hi" } });
    ann.sendJSON({ event: "leave" });
    expect([await cid.readJSON(), await cid.readJSON(), await cid.readJSON()]).toEqual([
      { event: "joined", data: { name: "ann" } },
      { event: "msg", data: { from: "", text: "hi" } },
      { event: "left", data: { name: "ann" } },
    ]);
    expect(app.registry.room("/golem/x").size).toBe(2);
    const closed = closes(app, 3);
    for (const client of [ann, bob, cid]) client.terminate();
    await closed;
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0 });
  });

  it("answer a request with the result of the method, raw, parsed or empty", async () => {
    const client = await (await start(new App({ handlers: [Golem] }))).open("/golem/x");
    expect(await ask(client, { event: "raw", data: { a: [1] }, id: "r" })).toEqual({
      id: "r",
      data: { text: '{"a":[1]}' },
    });
    expect(await ask(client, { event: "none", id: 0 })).toEqual({ id: 0, data: null });
    expect(await ask(client, { event: "late", data: "good", id: 2 })).toEqual({ id: 2, data: "good" });
  });

  it("are answered with an error if they cannot be handled, never silently, and the connection continues", async () => {
    const client = await (await start(new App({ handlers: [Golem] }))).open("/golem/x");
    const errors = [
      [
        { event: "nothing", id: 1 },
        { id: 1, error: { code: "unknown_event", message: "there is no such event" } },
      ],
      [{ event: "nothing" }, { event: "nothing", error: { code: "unknown_event", message: "there is no such event" } }],
      [
        { event: "constructor", id: 2 },
        { id: 2, error: { code: "unknown_event" } },
      ],
      [
        { event: "__proto__", id: 3 },
        { id: 3, error: { code: "unknown_event" } },
      ],
      [
        { event: "onJSON", id: 3 },
        { id: 3, error: { code: "unknown_event" } },
      ],
      [
        { event: "join", data: { name: 7 }, id: 4 },
        { id: 4, error: { code: "bad_data", issues: [{ path: "name" }] } },
      ],
      [{ event: "join" }, { event: "join", error: { code: "bad_data" } }],
      [
        { event: "late", data: "bad", id: 5 },
        { id: 5, error: { code: "bad_data", issues: [{ message: "must not be bad" }] } },
      ],
      [
        { event: "full", id: 6 },
        { id: 6, error: { code: "full", message: "the room is full" } },
      ],
      [
        { event: 7, id: 7 },
        { id: 7, error: { code: "bad_message" } },
      ],
      [null, { error: { code: "bad_message" } }],
      [[1], { error: { code: "bad_message" } }],
    ];
    for (const [message, answer] of errors) expect(await ask(client, message)).toMatchObject(answer as object);
    client.sendText("{");
    expect(await client.readJSON()).toEqual({ error: { code: "bad_json", message: "the message is not JSON" } });
    expect(await ask(client, { event: "none", id: 8 })).toEqual({ id: 8, data: null });
  });

  it("are answered without details if the method throws, and the connection stays open", async () => {
    const { open, errors } = await start(new App({ handlers: [Golem] }));
    const client = await open("/golem/x");
    expect(await ask(client, { event: "boom", id: 1 })).toEqual({
      id: 1,
      error: { code: "internal", message: "internal error" },
    });
    expect(errors.map(({ message }) => message)).toEqual(["secret"]);
    expect(await ask(client, { event: "boom", id: 2 })).toMatchObject({ id: 2, error: { code: "internal" } });
  });

  it("may be declared without decorators, inherited, and sent to all targets", async () => {
    class Base extends EventHandler {
      static events: Record<string, string | { method: string; schema?: typeof Join }> = {
        one: "first",
        two: { method: "second", schema: Join },
      };
      override authorize() {
        const id = this.query.get("as");
        if (id === null) throw new HttpError(401);
        return { id };
      }
      first(data: unknown) {
        this.emit("me", data);
        this.emitToRoom("/elsewhere", "unheard");
        this.emitToUser("ann", "user", data);
        this.emitToAll("all", data);
      }
      second({ name }: { name: string }) {
        return name;
      }
    }
    class Derived extends Base {
      @On("three")
      third() {
        return 3;
      }
      override second({ name }: { name: string }) {
        return name.toUpperCase();
      }
    }
    const { open } = await startWith("/derived", Derived);
    const ann = await open("/derived?as=ann");
    ann.sendJSON({ event: "one", data: 1 });
    expect([await ann.readJSON(), await ann.readJSON(), await ann.readJSON()]).toEqual([
      ...[
        { event: "me", data: 1 },
        { event: "user", data: 1 },
        { event: "all", data: 1 },
      ],
    ]);
    expect(await ask(ann, { event: "two", data: { name: "x" }, id: 1 })).toEqual({ id: 1, data: "X" });
    expect(await ask(ann, { event: "three", id: 2 })).toEqual({ id: 2, data: 3 });
  });

  it("are checked at registration, so that none is missing silently", () => {
    class None extends EventHandler {}
    class Missing extends EventHandler {
      static events = { join: "onJoin" };
    }
    class Twice extends EventHandler {
      static events = { join: "one" };
      one() {
        return 1;
      }
      @On("join")
      two() {
        return 2;
      }
    }
    class Torn extends EventHandler {
      @On("x", { schema: z.string(), raw: true })
      x() {
        return 1;
      }
    }
    const register = (handlerClass: typeof None) => () => new App().route("/x", handlerClass);
    expect(register(None)).toThrow(/None answers no event: add @On\(\)/);
    expect(register(Missing)).toThrow(/"join" of Missing names the method "onJoin", which Missing does not have/);
    expect(register(Twice)).toThrow(/"join" of Twice has two methods, two and one; keep one/);
    expect(register(Torn)).toThrow(/has both schema and raw: true/);
    class Plain extends WebSocketHandler {
      onMessage() {
        return 1;
      }
    }
    expect(register(Plain as unknown as typeof None)).not.toThrow();
  });
});

it("@On in a class that does not extend EventHandler is refused: it would never be called", () => {
  class Plain extends WebSocketHandler {
    onJSON() {
      return undefined;
    }
    @On()
    onJoin() {
      return 1;
    }
  }
  expect(() => new App().route("/x", Plain)).toThrow(
    expect.objectContaining({
      code: "ERR_EVENTS",
      message:
        'the route "/x" of Plain: @On marks onJoin for the event "join", but the class does not extend EventHandler; ' +
        "write: extends EventHandler",
    }),
  );
});

it("a hook that is to answer an event is refused: a client could call it", () => {
  class Wrong extends EventHandler {
    static readonly events = { close: "onClose" };
    override onClose() {
      return undefined;
    }
  }
  expect(() => new App().route("/x", Wrong)).toThrow(
    expect.objectContaining({
      code: "ERR_EVENTS",
      message: expect.stringContaining('the event "close" of Wrong is answered by "onClose", a hook'),
    }),
  );
});

it("a generator that is not async is refused: clients would get an empty object", () => {
  class Forgotten extends EventHandler {
    @On()
    *onAsk() {
      yield 1;
    }
  }
  expect(() => new App().route("/x", Forgotten)).toThrow(
    expect.objectContaining({
      code: "ERR_EVENTS",
      message:
        'the route "/x" of Forgotten: the event "ask" of Forgotten is answered by a generator that is not async; ' +
        "write: async *onAsk",
    }),
  );
});

describe("@On", () => {
  const method = () => undefined;
  const named = (kind: string, isStatic = false) => ({ kind, name: "onJoin", static: isStatic });
  // JavaScript code, and TypeScript with errors, call a decorator in these ways.
  const onWith = On as (...args: unknown[]) => (...args: unknown[]) => void;

  it.each([
    ["a standard one without parentheses", () => onWith(method, named("method"))],
    ["a legacy one without parentheses", () => onWith({}, "onJoin", { value: method })],
  ])("refuses %s", (_what, decorate) => {
    const message = '@On needs parentheses: write @On() or @On("name") above a method';
    expect(decorate).toThrow(expect.objectContaining({ code: "ERR_EVENTS", message }));
  });

  it("refuses a schema in place of options", () => {
    const message = '@On("join") takes options, got a schema; pass { schema }';
    expect(() => onWith("join", z.string())).toThrow(expect.objectContaining({ code: "ERR_OPTION", message }));
  });

  it.each([
    ["the class Chat", [class Chat {}, { kind: "class", name: "Chat" }]],
    ["the class Chat", [class Chat {}]],
    ["the static onJoin", [method, named("method", true)]],
    ["the static onJoin", [class Chat {}, "onJoin", { value: method }]],
    ["the field onJoin", [undefined, named("field")]],
    ["the field onJoin", [{}, "onJoin"]],
  ])("refuses %s", (came, args) => {
    const message = `@On("join") takes a method of an EventHandler, got ${came}`;
    expect(() => onWith("join")(...args)).toThrow(expect.objectContaining({ code: "ERR_EVENTS", message }));
  });
});

it("@Route without a path is refused", () => {
  // A decorator without parentheses gets the class.
  const decorate = () => Route(class Chat extends WebSocketHandler {} as never);
  expect(decorate).toThrow(
    expect.objectContaining({ code: "ERR_NO_ROUTE", message: expect.stringContaining("@Route takes a path") }),
  );
});

it("a list instead of static events is refused", () => {
  class Listed extends EventHandler {
    static readonly events = ["onJoin"];
    onJoin() {
      return 1;
    }
  }
  expect(() => new App().route("/x", Listed)).toThrow(expect.objectContaining({ code: "ERR_EVENTS" }));
});

describe("an event method", () => {
  it("answers every event that it is marked with, and gets null for missing raw data", async () => {
    class Many extends EventHandler {
      @On("a")
      @On("b")
      onBoth(_data: unknown, { event }: IncomingEvent) {
        return event;
      }
      @On("raw", { raw: true })
      onRaw(text: string) {
        return text;
      }
    }
    const client = await (await startWith("/many", Many)).open("/many");
    expect(await ask(client, { event: "a", id: 1 })).toEqual({ id: 1, data: "a" });
    expect(await ask(client, { event: "b", id: 2 })).toEqual({ id: 2, data: "b" });
    expect(await ask(client, { event: "raw", id: 3 })).toEqual({ id: 3, data: "null" });
  });

  it("is not called for a message that the protocol does not decode", async () => {
    const nothing = { ...jsonEvents, decode: () => null as never };
    const client = await (await startWith("/golem/:room", Golem, { eventProtocol: nothing })).open("/golem/x");
    expect(await ask(client, {})).toMatchObject({ error: { code: "bad_message" } });
  });
});
