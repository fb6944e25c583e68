import { Parser } from "@asyncapi/parser";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  App,
  type AsyncAPIDocument,
  commandEvents,
  contract,
  EventHandler,
  type HandlerClass,
  WebSocketHandler,
} from "../../src/index.js";

/** What the parser of AsyncAPI finds wrong with a document. */
async function mistakesIn(document: AsyncAPIDocument): Promise<unknown[]> {
  const { diagnostics } = await new Parser().parse(JSON.stringify(document));
  const errorSeverity = 0;
  return diagnostics.filter(({ severity }) => severity === errorSeverity).map(({ path, message }) => [path, message]);
}

const Tree = z.object({
  value: z.string(),
  get children() {
    return z.array(Tree);
  },
});

const chat = contract({
  receives: {
    join: {
      data: z.object({ name: z.string().min(1) }),
      reply: z.object({ size: z.number() }),
      summary: "Joins under a name.",
    },
    typing: z.boolean().optional(),
    leave: {},
    "grow a/b": { data: Tree, reply: z.object({ one: Tree, other: Tree }) },
  },
  sends: {
    joined: { data: z.object({ name: z.string(), at: z.date() }), summary: "Someone joined." },
    confirm: { data: z.string(), reply: z.boolean() },
    bye: {},
  },
});

class Chat extends EventHandler.of(chat) {
  onJoin() {
    return { size: 1 };
  }
  onTyping() {
    this.close();
  }
  onLeave() {
    this.close();
  }
}
Reflect.set(Chat.prototype, "onGrow a/b", () => undefined);

class Echo extends WebSocketHandler {
  onMessage() {
    this.close();
  }
}

/** A class that answers nothing. */
function sending(sends: Parameters<typeof contract>[0]["sends"]): HandlerClass {
  return class Sending extends EventHandler.of(contract({ sends })) {};
}

describe("app.asyncapi()", () => {
  it("describes the values of a streamed answer, and its end", async () => {
    const model = contract({ receives: { ask: { data: z.string(), items: z.number(), reply: z.boolean() } } });
    class Model extends EventHandler.of(model) {
      async *onAsk(question: string) {
        yield question.length;
        return true;
      }
    }
    const document = new App().route("/model", Model).asyncapi();
    expect(await mistakesIn(document)).toEqual([]);
    const [operation] = Object.values(document.operations);
    const names = operation?.reply?.messages.map(({ $ref }) => $ref.slice($ref.lastIndexOf("/") + 1));
    expect(names).toEqual(["item.ask", "reply.ask", "error"]);
  });

  it("describes the events of a contract, and the parser of AsyncAPI finds no error", async () => {
    const app = new App().route("/chat/:channel", Chat, { name: "chat" }).route("/echo", Echo);
    const servers = { production: { host: "example.com", protocol: "wss" } };
    const document = app.asyncapi({ info: { title: "Chat", version: "1.2.3", description: "A chat." }, servers });
    expect(await mistakesIn(document)).toEqual([]);
    expect(document).toMatchObject({
      asyncapi: "3.0.0",
      info: { title: "Chat", version: "1.2.3", description: "A chat." },
      servers,
      channels: {
        chat: { address: "/chat/{channel}", title: "Chat", parameters: { channel: {} } },
        echo: { address: "/echo", title: "Echo", messages: {} },
      },
      operations: {
        "chat.receive.join": {
          action: "receive",
          channel: { $ref: "#/channels/chat" },
          summary: "Joins under a name.",
          messages: [{ $ref: "#/channels/chat/messages/receive.join" }],
          reply: {
            messages: [{ $ref: "#/channels/chat/messages/reply.join" }, { $ref: "#/channels/chat/messages/error" }],
          },
        },
        "chat.send.joined": { action: "send", messages: [{ $ref: "#/channels/chat/messages/send.joined" }] },
      },
    });
    const { operations, channels, components } = document;
    expect(operations["chat.send.confirm"]?.reply?.messages).toEqual([
      { $ref: "#/channels/chat/messages/reply.confirm" },
    ]);
    expect(channels.chat?.messages).toMatchObject({
      "send.confirm": { payload: { properties: { type: { const: "request" }, event: { const: "confirm" } } } },
      "reply.confirm": { payload: { properties: { type: { const: "reply" }, data: {} } } },
    });
    expect(Object.keys(channels)).toEqual(["chat", "echo"]);
    expect(Object.keys(operations)).toEqual([
      ...["chat.receive.join", "chat.receive.typing", "chat.receive.leave", "chat.receive.grow_a_b"],
      ...["chat.send.joined", "chat.send.confirm", "chat.send.bye"],
    ]);
    expect(operations["chat.send.bye"]).not.toHaveProperty("reply");
    expect(channels.chat?.messages["receive.join"]).toEqual({
      name: "join",
      title: "join",
      summary: "Joins under a name.",
      contentType: "application/json",
      payload: {
        type: "object",
        properties: {
          event: { const: "join" },
          data: { $ref: "#/components/schemas/Chat.receives.join.data" },
          id: { type: ["string", "number"], description: expect.any(String) },
        },
        required: ["event", "data"],
      },
    });
    expect(channels.chat?.messages["receive.typing"]).toMatchObject({ payload: { required: ["event"] } });
    expect(channels.chat?.messages["receive.grow_a_b"]).toMatchObject({ name: "grow a/b" });
    expect(components.schemas["Chat.receives.join.data"]).toEqual({
      type: "object",
      properties: { name: { type: "string", minLength: 1 } },
      required: ["name"],
    });
    // A Date has no type in JSON Schema; the rest of the schema is described.
    expect(components.schemas["Chat.sends.joined.data"]).toMatchObject({ properties: { name: { type: "string" } } });
  });

  it("gives references of a schema to itself their place in the document", async () => {
    const app = new App().route("/chat", Chat);
    const { schemas } = app.asyncapi().components;
    expect(schemas["Chat.receives.grow_a_b.data"]).toMatchObject({
      properties: { children: { items: { $ref: "#/components/schemas/Chat.receives.grow_a_b.data" } } },
    });
    const place = "#/components/schemas/Chat.receives.grow_a_b.reply/definitions/__schema0";
    expect(schemas["Chat.receives.grow_a_b.reply"]).toMatchObject({
      properties: { one: { $ref: place }, other: { $ref: place } },
      definitions: { __schema0: { properties: { children: { items: { $ref: place } } } } },
    });
    const named = z.object({ kind: z.literal("#") }).meta({ id: "Named", examples: [{ $ref: "#" }] });
    const document = new App().route("/x", sending({ named })).asyncapi();
    expect(document.components.schemas["Sending.sends.named.data"]).toMatchObject({
      allOf: [{ $ref: "#/components/schemas/Sending.sends.named.data/definitions/Named" }],
      definitions: { Named: { examples: [{ $ref: "#" }] } },
    });
    expect(await mistakesIn(document)).toEqual([]);
  });

  it.each([
    ["zod", z.object({ n: z.number() }), { type: "object", properties: { n: { type: "number" } } }],
    ["arktype", type({ n: "number" }), { type: "object", properties: { n: { type: "number" } } }],
    ["valibot", v.object({ n: v.number() }), { description: "Any value: valibot writes no JSON Schema of it." }],
    [
      "a library that fails",
      { "~standard": { version: 1, vendor: "own", validate: () => ({ value: 1 }), jsonSchema: { output: failing } } },
      { description: "Any value: own writes no JSON Schema of it: not today." },
    ],
    [
      "a library that returns no object",
      { "~standard": { version: 1, vendor: "own", validate: failing, jsonSchema: { output: () => [] } } },
      { description: "Any value: own writes no JSON Schema of it." },
    ],
  ] as const)("describes a schema of %s, or says that it cannot", async (_library, schema, expected) => {
    const document = new App().route("/x", sending({ told: schema })).asyncapi();
    expect(document.components.schemas["Sending.sends.told.data"]).toMatchObject(expected);
    expect(await mistakesIn(document)).toEqual([]);
  });

  it("describes every kind of pattern, and the schema of parameters", async () => {
    const params = z.object({ kind: z.enum(["a", "b"]).describe("The kind."), n: z.string().regex(/^\d+$/) });
    const app = new App()
      .route("/", Echo)
      .route("/a/:id(\\d+)/:more?", Echo)
      .route("/files/**:path", Echo)
      .route("/any/**", Echo)
      .route("/one/*/end", Echo)
      .route("/kinds/:kind/:n", Echo, { params })
      .route("/caf\u00e9", Echo);
    const document = app.asyncapi();
    expect(await mistakesIn(document)).toEqual([]);
    const described = Object.entries(document.channels).map(([id, { address, parameters }]) => [
      id,
      address,
      parameters,
    ]);
    expect(described).toEqual([
      ["root", "/", undefined],
      [
        "a_id_d_more",
        "/a/{id}/{more}",
        { id: { description: "It matches \\d+." }, more: { description: "It may be missing." } },
      ],
      ["files_path", "/files/{path}", { path: { description: "It has several segments of the path." } }],
      ["any", "/any/{rest}", { rest: { description: "Any text that matches **." } }],
      ["one_end", "/one/{rest}/end", { rest: { description: "Any text that matches *." } }],
      ["kinds_kind_n", "/kinds/{kind}/{n}", { kind: { description: "The kind.", enum: ["a", "b"] }, n: {} }],
      ["caf", "/caf\u00e9", undefined],
    ]);
    expect(document.channels.a_id_d_more?.description).toBe("The pattern of the route is /a/:id(\\d+)/:more?");
  });

  it("writes the schemas of a contract once, and names parts that would have equal names apart", async () => {
    const app = new App().route("/a", Chat, { name: "chat" }).route("/b", Chat, { name: "chat" });
    class Other extends EventHandler.of(contract({ sends: { "a b": z.string(), "a/b": z.number() } })) {}
    Object.defineProperty(Other, "name", { value: "Chat" });
    const document = app.route("/c", Other).asyncapi();
    expect(await mistakesIn(document)).toEqual([]);
    expect(Object.keys(document.channels)).toEqual(["chat", "chat_2", "c"]);
    const names = Object.keys(document.components.schemas);
    expect(names.filter((name) => name.endsWith("join.data"))).toEqual(["Chat.receives.join.data"]);
    expect(names.slice(-2)).toEqual(["Chat_2.sends.a_b.data", "Chat_2.sends.a_b.data_2"]);
    expect(Object.keys(document.channels.c?.messages ?? {})).toEqual(["send.a_b", "send.a_b_2"]);
  });

  it("shows only the data of events in another event protocol", async () => {
    const document = new App({ eventProtocol: commandEvents }).route("/chat", Chat).asyncapi();
    expect(await mistakesIn(document)).toEqual([]);
    expect(document.channels.chat?.messages["receive.join"]).toEqual({
      name: "join",
      title: "join",
      summary: "Joins under a name.",
      payload: { $ref: "#/components/schemas/Chat.receives.join.data" },
    });
    expect(document.channels.chat?.description).toMatch(/a form of its own/);
  });

  it("leaves out routes on request", async () => {
    const app = new App().route("/chat", Chat).route("/internal/echo", Echo);
    const document = app.asyncapi({ include: ({ pattern }) => !pattern.startsWith("/internal/") });
    expect(Object.keys(document.channels)).toEqual(["chat"]);
    expect(await mistakesIn(document)).toEqual([]);
  });

  it("is the same for the same routes, and valid for an app without routes", async () => {
    const make = () => new App().route("/chat/:channel", Chat).route("/echo", Echo).asyncapi();
    expect(JSON.stringify(make())).toBe(JSON.stringify(make()));
    const empty = new App().asyncapi();
    expect(empty).toMatchObject({ info: { title: "Enfilade app", version: "0.0.0" }, channels: {}, operations: {} });
    expect(await mistakesIn(empty)).toEqual([]);
  });

  it.each<[unknown, RegExp]>([
    [{ inf: {} }, /asyncapi\(\) has no option "inf"; did you mean "info"\?/],
    [{ info: "Chat" }, /info of asyncapi\(\) takes an object, got string/],
    [{ include: "/chat" }, /include of asyncapi\(\) takes a function, got string/],
    [{ servers: [] }, /servers of asyncapi\(\) takes an object, got an array/],
  ])("refuses the options %j", (options, message) => {
    expect(() => new App().asyncapi(options as object)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: expect.stringMatching(message) }),
    );
  });
});

function failing(): never {
  throw new Error("not today");
}
