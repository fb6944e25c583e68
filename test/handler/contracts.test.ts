import { type } from "arktype";
import * as v from "valibot";
import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { connect } from "../../src/client/index.js";
import {
  App,
  anonymous,
  type ContractEvents,
  contract,
  type DataOf,
  EventHandler,
  type IncomingEvent,
  type Logger,
  On,
  type Schema,
  spacedEvents,
} from "../../src/index.js";
import { socketsOf, type TestClient } from "../../src/testing/index.js";
import { start, startWith } from "../support/app.js";

const schemas = {
  zod: {
    join: { data: z.object({ name: z.string().min(1) }), reply: z.object({ size: z.number() }) },
    joined: z.object({ name: z.string() }),
  },
  valibot: {
    join: { data: v.object({ name: v.pipe(v.string(), v.minLength(1)) }), reply: v.object({ size: v.number() }) },
    joined: v.object({ name: v.string() }),
  },
  arktype: {
    join: { data: type({ name: "string > 0" }), reply: type({ size: "number" }) },
    joined: type({ name: "string" }),
  },
};

const chat = contract({
  receives: {
    join: schemas.zod.join,
    at: z.string().transform((text) => new Date(text)),
    leave: {},
    late: { data: z.string().refine(async (text) => text !== "bad", "must not be bad") },
  },
  sends: { joined: schemas.zod.joined, bye: {}, confirm: { data: z.string(), reply: z.boolean() } },
});
type Chat = typeof chat;

afterEach(() => vi.unstubAllEnvs());

async function ask(client: TestClient, message: unknown): Promise<unknown> {
  client.sendJSON(message);
  return client.readJSON();
}

/** A class that does one thing for the event `go`, and returns the result. */
function doing(sends: ContractEvents, act: (handler: EventHandler) => unknown, reply: z.ZodType = z.unknown()) {
  class Doing extends EventHandler.of(contract({ receives: { go: { reply } }, sends })) {
    onGo() {
      // The mistakes of this file do not compile with the types of a contract.
      return act(this as unknown as EventHandler);
    }
  }
  return Doing;
}

/** The error that the app reports when a client sends `go`, and the answer of the client. */
async function failureOf(handlerClass: ReturnType<typeof doing>) {
  const { open, errors } = await startWith("/x", handlerClass);
  const answer = await ask(await open("/x"), { event: "go", id: 1 });
  return { answer, error: errors[0] };
}

describe("a contract", () => {
  it.each(["zod", "valibot", "arktype"] as const)("of %s checks data of clients, and answers", async (library) => {
    const { join, joined } = schemas[library];
    class Room extends EventHandler.of(contract({ receives: { join }, sends: { joined } })) {
      onJoin({ name }: { name: string }) {
        this.emit("joined", { name });
        return { size: this.room.size };
      }
    }
    const client = await (await startWith("/x", Room)).open("/x");
    client.sendJSON({ event: "join", data: { name: "Ann" }, id: 1 });
    expect(await client.readJSON()).toEqual({ event: "joined", data: { name: "Ann" } });
    expect(await client.readJSON()).toEqual({ id: 1, data: { size: 1 } });
    expect(await ask(client, { event: "join", data: { name: 7 }, id: 2 })).toMatchObject({
      id: 2,
      error: { code: "bad_data", issues: [{ path: "name" }] },
    });
    expect(await ask(client, { event: "join", data: { name: "" }, id: 3 })).toMatchObject({
      error: { code: "bad_data" },
    });
    expect(await ask(client, { event: "jion", id: 4 })).toMatchObject({ error: { code: "unknown_event" } });
  });

  it("passes the output of a schema to the method, awaits an asynchronous one, discards data without one", async () => {
    const seen: unknown[] = [];
    class Room extends EventHandler.of(chat) {
      onJoin() {
        return { size: 1 };
      }
      onAt(at: Date) {
        seen.push(at);
      }
      onLeave(data: undefined, { event, data: sent }: IncomingEvent) {
        seen.push(data, event, sent);
      }
      onLate(text: string) {
        seen.push(text);
      }
    }
    const client = await (await startWith("/x", Room)).open("/x");
    expect(await ask(client, { event: "at", data: "2030-01-01T00:00:00.000Z", id: 1 })).toEqual({ id: 1, data: null });
    expect(await ask(client, { event: "leave", data: { hidden: true }, id: 2 })).toEqual({ id: 2, data: null });
    expect(await ask(client, { event: "late", data: "good", id: 3 })).toEqual({ id: 3, data: null });
    expect(await ask(client, { event: "late", data: "bad", id: 4 })).toMatchObject({
      error: { code: "bad_data", issues: [{ message: "must not be bad" }] },
    });
    expect(seen).toEqual([new Date("2030-01-01"), undefined, "leave", { hidden: true }, "good"]);
  });

  it("types and checks both ends with enfilade/client, also requests of the server", async () => {
    class Room extends EventHandler.of(chat) {
      async onJoin({ name }: DataOf<Chat, "join">) {
        this.emitToThisRoom("joined", { name });
        const isSure = await this.sendRequest("confirm", `are you ${name}?`);
        return { size: isSure ? 1 : 0 };
      }
      onAt() {
        this.emit("bye");
      }
      async onLate() {
        await this.sendRequest("confirm", "bad");
      }
      onLeave() {
        this.leaveAll();
      }
    }
    const app = new App().route("/x", Room);
    const errors: unknown[] = [];
    app.on("error", (error) => errors.push(error));
    const room = connect<Chat>("ws://localhost/x", { WebSocket: socketsOf(app) });
    const seen: unknown[] = [];
    const bye = new Promise<void>((resolve) => room.onEvent("bye", () => resolve()));
    room.onEvent("joined", ({ name }) => seen.push(name));
    room.onRequest("confirm", (question) => (question === "bad" ? (7 as never) : question === "are you Ann?"));
    expect(await room.request("join", { name: "Ann" })).toEqual({ size: 1 });
    expect(await room.request("join", { name: "Bob" })).toEqual({ size: 0 });
    room.emit("at", "2030-01-01");
    await bye;
    expect(seen).toEqual(["Ann", "Bob"]);
    // The reply of a client is data of a client: what does not fit is refused.
    await expect(room.request("late", "x")).rejects.toMatchObject({ code: "bad_data" });
    room.close();
    await app.close();
    expect(errors).toEqual([]);
  });

  it("lets another method answer an event, by @On or static events", async () => {
    const named = contract({ receives: { close: { reply: z.string() }, "who is": { reply: z.number() } } });
    class Room extends EventHandler.of(named) {
      static readonly events = { "who is": "find" };
      @On("close")
      shut() {
        return "closed";
      }
      find() {
        return 7;
      }
    }
    const client = await (await startWith("/x", Room)).open("/x");
    expect(await ask(client, { event: "close", id: 1 })).toEqual({ id: 1, data: "closed" });
    expect(await ask(client, { event: "who is", id: 2 })).toEqual({ id: 2, data: 7 });
  });

  it("may only send, and holds for classes that extend its own, which keep their hooks", async () => {
    abstract class Base extends EventHandler<object, { readonly id: string }> {
      override authorize() {
        return { id: "ann" };
      }
    }
    class Bell extends Base.of(contract({ sends: { rang: z.string() } })) {
      onConnect() {
        this.emit("rang", this.user.id);
      }
    }
    class Louder extends Bell {}
    const client = await (await startWith("/x", Louder)).open("/x");
    expect(await client.readJSON()).toEqual({ event: "rang", data: "ann" });
    expect(await ask(client, { event: "ring", id: 1 })).toMatchObject({ error: { code: "unknown_event" } });
  });

  it("works with other event protocols", async () => {
    class Room extends EventHandler.of(contract({ receives: { say: z.string() }, sends: { said: z.string() } })) {
      onSay(text: string) {
        this.emit("said", text);
      }
    }
    const client = await (await startWith("/x", Room, { eventProtocol: spacedEvents })).open("/x");
    client.sendText('say "hello"');
    expect(await client.readText()).toBe('said "hello"');
    client.sendText("say 7");
    expect(await client.readText()).toMatch(/^error .*bad_data/);
  });
});

/** zod calls a schema that throws again, asynchronously. */
const throwing: Schema = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: () => {
      throw new Error("broken");
    },
  },
};

describe("in development, a contract refuses", () => {
  const joined = { joined: z.object({ name: z.string() }) };

  it.each<[string, ContractEvents, (handler: EventHandler) => void, RegExp]>([
    [
      "an event that it does not send",
      joined,
      (h) => h.emit("jioned"),
      /Doing sends no event "jioned"; did you mean "joined"/,
    ],
    ["an event if it sends none", {}, (h) => h.emit("x"), /sends no event "x"; it sends none/],
    [
      "data that does not fit",
      joined,
      (h) => h.emitToThisRoom("joined", { name: 7 }),
      /"joined" that Doing sends: .*name: /,
    ],
    ["missing data", joined, (h) => h.emitToAll("joined"), /"joined" that Doing sends: the value does not fit/],
    [
      "data where it has none",
      { bye: {} },
      (h) => h.emitToRoom("/x", "bye", 7),
      /has no data in its contract, got number/,
    ],
    [
      "unknown keys",
      joined,
      (h) => h.emitToUser("a", "joined", { name: "x", password: "y" }),
      /its schema changes the data/,
    ],
    ["a default", { n: z.number().default(1) }, (h) => h.emit("n"), /its schema changes the data/],
    [
      "an asynchronous schema",
      { n: z.string().refine(async () => false) },
      (h) => h.emit("n", "x"),
      /asynchronous schema/,
    ],
    [
      "a request that is emitted",
      { ask: { reply: z.boolean() } },
      (h) => h.emit("ask"),
      /it is a request; call sendRequest/,
    ],
    ["a schema that throws", { n: throwing }, (h) => h.emit("n", "x"), /its schema threw: broken/],
  ])("%s, at the call; the client gets no details", async (_what, sends, act, message) => {
    const { answer, error } = await failureOf(doing(sends, act));
    expect(answer).toEqual({ id: 1, error: { code: "internal", message: "internal error" } });
    expect(error).toMatchObject({ code: "ERR_CONTRACT", message: expect.stringMatching(message) });
  });

  it.each<[string, z.ZodType | undefined, unknown, RegExp]>([
    ["does not fit", z.number(), "many", /the reply of Doing to the event "go": the value does not fit/],
    ["its schema would change", z.object({ a: z.number() }), { a: 1, b: 2 }, /its schema changes the data/],
    ["does not fit an asynchronous schema", z.string().refine(async () => false, "never"), "x", /never/],
  ])("a reply that %s", async (_what, reply, returned, message) => {
    for (const result of [returned, Promise.resolve(returned)]) {
      const { answer, error } = await failureOf(doing({}, () => result, reply));
      expect(answer).toEqual({ id: 1, error: { code: "internal", message: "internal error" } });
      expect(error).toMatchObject({ code: "ERR_CONTRACT", message: expect.stringMatching(message) });
    }
  });

  it("a reply to an event that has none", async () => {
    class Doing extends EventHandler.of(contract({ receives: { go: {} } })) {
      onGo(): never {
        return 7 as never;
      }
    }
    const { error } = await failureOf(Doing as never);
    expect(error).toMatchObject({
      code: "ERR_CONTRACT",
      message: expect.stringContaining("has no data in its contract"),
    });
  });

  it("a request that it does not have, or whose data does not fit", async () => {
    const failures: unknown[] = [];
    const sends = { ask: { data: z.string(), reply: z.boolean() }, joined: z.string() };
    class Room extends EventHandler.of(contract({ receives: { go: {} }, sends })) {
      async onGo() {
        const untyped = this as unknown as { sendRequest(event: string, data?: unknown): Promise<unknown> };
        for (const [event, data] of [["ask", 7], ["joined", "x"], ["nothing"]] as const) {
          await untyped.sendRequest(event, data).catch((error) => failures.push(error));
        }
      }
    }
    const client = await (await startWith("/x", Room)).open("/x");
    await ask(client, { event: "go", id: 1 });
    expect(failures).toMatchObject([
      { code: "ERR_CONTRACT", message: expect.stringContaining('"ask" that Room sends: the value does not fit') },
      { code: "ERR_CONTRACT", message: expect.stringContaining('"joined" that Room sends has no reply') },
      { code: "ERR_CONTRACT", message: expect.stringContaining('sends no event "nothing"; it sends: ask, joined') },
    ]);
  });

  it("nothing that is the same as JSON: a Date that becomes a string, an asynchronous reply that fits", async () => {
    const sends = { at: z.date().transform((date) => date.toISOString()) };
    const reply = z.object({ a: z.number().optional() }).refine(async () => true);
    const handlerClass = doing(
      sends,
      (h) => {
        h.emit("at", new Date(0));
        return { a: undefined };
      },
      reply,
    );
    const client = await (await startWith("/x", handlerClass)).open("/x");
    expect(await ask(client, { event: "go", id: 1 })).toEqual({ event: "at", data: "1970-01-01T00:00:00.000Z" });
    expect(await client.readJSON()).toEqual({ id: 1, data: {} });
  });
});

it("in production, only data of clients is checked, and emit is that of EventHandler", async () => {
  vi.stubEnv("NODE_ENV", "production");
  const fails = vi.fn(() => ({ issues: [{ message: "no" }] }));
  const schema = { "~standard": { version: 1, vendor: "test", validate: fails } } as const;
  class Room extends EventHandler.of(
    contract({ receives: { go: { reply: schema }, bad: schema }, sends: { said: schema } }),
  ) {
    onGo() {
      this.emit("said", 1);
      (this as unknown as EventHandler).emit("unknown", 2);
      return 3;
    }
    onBad() {
      this.close();
    }
  }
  expect(Room.prototype.emit).toBe(EventHandler.prototype.emit);
  const client = await (await startWith("/x", Room)).open("/x");
  client.sendJSON({ event: "go", id: 1 });
  expect([await client.readJSON(), await client.readJSON(), await client.readJSON()]).toEqual([
    { event: "said", data: 1 },
    { event: "unknown", data: 2 },
    { id: 1, data: 3 },
  ]);
  expect(fails).not.toHaveBeenCalled();
  expect(await ask(client, { event: "bad", id: 2 })).toMatchObject({ error: { code: "bad_data" } });
  expect(fails).toHaveBeenCalledTimes(1);
});

describe("at registration, a class with a contract is refused", () => {
  const joins = contract({ receives: { join: z.string() } });
  const register = (handlerClass: unknown) => () => new App().route("/x", handlerClass as typeof EventHandler as never);
  const events = (message: RegExp) =>
    expect.objectContaining({ code: "ERR_EVENTS", message: expect.stringMatching(message) });

  it("if an event has no method; the error names one with a similar name", () => {
    class Chat extends EventHandler.of(joins) {}
    class Misspelled extends EventHandler.of(joins) {
      onJion(): void {
        this.close();
      }
    }
    expect(register(Chat)).toThrow(
      events(/Chat has no method for the event "join" of its contract; implement onJoin\(data\), or mark a method/),
    );
    expect(register(Misspelled)).toThrow(events(/It has onJion; did you mean onJoin\?/));
  });

  it("if a marked method answers an event that the contract does not receive", () => {
    class Chat extends EventHandler.of(joins) {
      onJoin(): void {
        this.close();
      }
      @On("jion")
      onJion(): void {
        this.close();
      }
    }
    class Leaving extends EventHandler.of(joins) {
      static readonly events = { leave: "onJoin" };
      onJoin(): void {
        this.close();
      }
    }
    expect(register(Chat)).toThrow(events(/onJion of Chat answers the event "jion", which .* did you mean "join"\?/));
    expect(register(Leaving)).toThrow(events(/onJoin of Leaving answers the event "leave", .* add it to receives/));
  });

  it("if a marked method has a schema or raw, which the contract has", () => {
    class Chat extends EventHandler.of(joins) {
      @On("join", { schema: z.string() })
      onJoin(): void {
        this.close();
      }
    }
    class Raw extends EventHandler.of(joins) {
      static readonly events = { join: { method: "onJoin", raw: true } };
      onJoin(): void {
        this.close();
      }
    }
    expect(register(Chat)).toThrow(events(/"join" of Chat has its schema in the contract; remove the option schema/));
    expect(register(Raw)).toThrow(events(/remove the option raw/));
  });

  it("if the method of an event would be a hook", () => {
    class Chat extends EventHandler.of(contract({ receives: { close: z.string() } })) {
      override onClose(): void {
        this.close();
      }
    }
    expect(register(Chat)).toThrow(events(/"close" of Chat is answered by "onClose", a hook/));
  });
});

it("a method that is named like one for an event of no contract is logged once", async () => {
  const warnings: string[] = [];
  const logger: Logger = { warn: (text) => warnings.push(text), error: (text) => warnings.push(String(text)) };
  class Chat extends EventHandler.of(contract({ receives: { join: {}, say: {} } })) {
    override authorize() {
      return anonymous;
    }
    onJoin() {
      this.onHelper();
    }
    onSay() {
      this.close();
    }
    onTyping() {
      this.close();
    }
    onSaid() {
      this.close();
    }
    onHelper() {
      this.close();
    }
  }
  const app = new App({ logger }).route("/x", Chat).route("/y", Chat);
  await app.close();
  expect(warnings).toEqual([
    expect.stringMatching(/^enfilade: Chat has "onTyping", but its contract receives no event "typing"; add it to rec/),
    'enfilade: Chat has "onSaid", but its contract receives no event "said"; did you mean "say"?',
  ]);
});

describe("contract()", () => {
  const make = contract as (events: unknown) => unknown;

  it.each<[string, unknown, RegExp]>([
    [
      "a direction that does not exist",
      { recieves: {} },
      /contract\(\) has no option "recieves"; did you mean "receives"\?/,
    ],
    ["a list of events", { receives: ["join"] }, /receives of a contract takes an object of events, got an array/],
    ["no events", { sends: null }, /sends of a contract takes an object of events, got null/],
    [
      "an event that is a type",
      { receives: { join: "string" } },
      /"join" in receives takes a schema or .*, got string/,
    ],
    [
      "an unknown option",
      { receives: { join: { date: z.string() } } },
      /"join" in receives has no option "date".*"data"/,
    ],
    ["data without a schema", { sends: { at: { data: Date } } }, /data of the event "at" in sends takes a schema/],
    ["a reply without a schema", { sends: { at: { reply: 7 } } }, /reply of the event "at" in sends takes a schema/],
    [
      "a summary that is no text",
      { sends: { at: { summary: 7 } } },
      /summary of the event "at" in sends takes a string/,
    ],
    ["nothing", undefined, /contract\(\) takes an object, got undefined/],
  ])("refuses %s", (_what, events, message) => {
    expect(() => make(events)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: expect.stringMatching(message) }),
    );
  });

  it("is needed by EventHandler.of()", () => {
    const of = (value: unknown) => () => EventHandler.of(value as typeof chat);
    expect(of(undefined)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    expect(of({ receives: {}, sends: { at: 7 } })).toThrow(/"at" in sends takes a schema/);
    expect(of({ receives: {} })).toThrow(/of\(\) takes a contract, got object; make one with contract\(\)/);
  });
});

it("classes without a contract keep the methods of EventHandler, and answer any event they name", async () => {
  class Plain extends EventHandler {
    @On()
    onGo() {
      this.emit("anything", { at: 1 });
      return 1;
    }
  }
  expect(Plain.prototype.emit).toBe(EventHandler.prototype.emit);
  const { open } = await start(new App().route("/x", Plain));
  const client = await open("/x");
  expect(await ask(client, { event: "go", id: 1 })).toEqual({ event: "anything", data: { at: 1 } });
});

describe("an event of a contract with items", () => {
  const model = contract({
    receives: { ask: { data: z.string(), items: z.string(), reply: z.object({ tokens: z.number() }) } },
  });
  function answering(answer: (question: string) => unknown) {
    class Model extends EventHandler.of(model) {
      onAsk(question: string) {
        // The mistakes of this file do not compile with the types of a contract.
        return answer(question) as AsyncGenerator<string, { tokens: number }>;
      }
    }
    return Model;
  }

  async function stream(answer: (question: string) => unknown) {
    const { app, errors } = await startWith("/model", answering(answer));
    const room = connect<typeof model>("ws://app/model", { WebSocket: socketsOf(app) });
    await room.opened;
    const values: string[] = [];
    const reading = room.stream("ask", "a b c");
    try {
      for (;;) {
        const { done, value } = await reading.next();
        if (done === true) return { values, end: value, errors };
        values.push(value);
      }
    } catch (error) {
      return { values, end: error, errors };
    } finally {
      room.close();
    }
  }

  it("streams the values and the reply to a typed client", async () => {
    const { values, end } = await stream(async function* (question) {
      yield* question.split(" ");
      return { tokens: 3 };
    });
    expect([values, end]).toEqual([["a", "b", "c"], { tokens: 3 }]);
  });

  it.each([
    [
      "a value",
      async function* () {
        yield "a";
        yield 2;
      },
      ["a"],
      "a value in the reply of Model",
    ],
    [
      "the reply",
      async function* () {
        yield "a";
        return { tokens: "many" };
      },
      ["a"],
      "the reply of Model",
    ],
    ["an answer without values", () => ({ tokens: 1 }), [], "is no stream, but its contract has items"],
  ])("refuses %s that does not fit, in development", async (_name, answer, expected, message) => {
    const { values, end, errors } = await stream(answer);
    expect(values).toEqual(expected);
    expect(end).toMatchObject({ code: "internal" });
    expect(errors).toEqual([
      expect.objectContaining({ code: "ERR_CONTRACT", message: expect.stringContaining(message) }),
    ]);
  });

  it("refuses a stream that the contract does not have", async () => {
    class Plain extends EventHandler.of(contract({ receives: { go: {} } })) {
      onGo() {
        const values = (async function* () {
          yield 1;
        })();
        return values as unknown as undefined;
      }
    }
    const { app, errors } = await startWith("/plain", Plain);
    const room = connect("ws://app/plain", { WebSocket: socketsOf(app) });
    await expect(room.request("go")).rejects.toMatchObject({ code: "internal" });
    expect(errors).toEqual([
      expect.objectContaining({ message: expect.stringContaining("its contract has no items") }),
    ]);
    room.close();
  });

  it("is refused in sends", () => {
    expect(() => contract({ sends: { ask: { items: z.string() } } })).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining("only an event in receives") }),
    );
  });
});
