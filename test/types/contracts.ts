import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { type ClientRoom, connect } from "../../src/client/index.js";
import {
  App,
  type Authorized,
  type Contract,
  contract,
  type DataOf,
  EventHandler,
  type EventMethods,
  On,
  type ReplyOf,
  Route,
  type SentDataOf,
} from "../../src/index.js";

/** Compiles only for a value of that type. */
function is<Type>(value: Type): Type {
  return value;
}

/** The same contract three times: the schemas of each library have the same types. */
const withZod = contract({
  receives: {
    join: { data: z.object({ name: z.string() }), reply: z.object({ size: z.number() }) },
    at: { data: z.string().transform(Number), reply: z.number().transform(String) },
    typing: z.boolean(),
    leave: {},
  },
  sends: {
    joined: z.object({ name: z.string(), at: z.date() }),
    bye: {},
    confirm: { data: z.object({ text: z.string() }), reply: z.boolean() },
  },
});
const withValibot = contract({
  receives: {
    join: { data: v.object({ name: v.string() }), reply: v.object({ size: v.number() }) },
    at: {
      data: v.pipe(v.string(), v.transform(Number)),
      reply: v.pipe(v.number(), v.transform(String)),
    },
    typing: v.boolean(),
    leave: {},
  },
  sends: {
    joined: v.object({ name: v.string(), at: v.date() }),
    bye: {},
    confirm: { data: v.object({ text: v.string() }), reply: v.boolean() },
  },
});
const withArktype = contract({
  receives: {
    join: { data: type({ name: "string" }), reply: type({ size: "number" }) },
    at: { data: type("string").pipe(Number), reply: type("number").pipe(String) },
    typing: type("boolean"),
    leave: {},
  },
  sends: {
    joined: type({ name: "string", at: "Date" }),
    bye: {},
    confirm: { data: type({ text: "string" }), reply: type("boolean") },
  },
});

@Route("/zod/:channel")
class WithZod extends EventHandler.of(withZod)<{ channel: string }> implements EventMethods<typeof withZod> {
  async onJoin({ name }: DataOf<typeof withZod, "join">) {
    this.emitToThisRoom("joined", { name, at: new Date() });
    const isSure: boolean = await this.sendRequest("confirm", { text: name }, { timeoutMs: 5 });
    return { size: this.room.size + Number(isSure) + this.params.channel.length };
  }
  onAt(at: number) {
    return at + 1;
  }
  onTyping(isTyping: boolean) {
    if (isTyping) this.emit("bye");
  }
  onLeave() {
    this.emit("bye", undefined, {});
    this.emitToRoom("/other", "bye", undefined, { except: this });
    this.emitToUser("ann", "joined", { name: "x", at: new Date() }, { except: this });
    this.emitToAll("bye");
  }
  mistakes() {
    // @ts-expect-error: the contract sends no such event
    this.emit("byee");
    // @ts-expect-error: the name is a string
    this.emitToThisRoom("joined", { name: 7, at: new Date() });
    // @ts-expect-error: the data is missing
    this.emitToAll("joined");
    // @ts-expect-error: the event has no data
    this.emitToRoom("/other", "bye", 7);
    // @ts-expect-error: a field is missing
    this.emitToUser("ann", "joined", { name: "x" });
    // @ts-expect-error: there is no such option
    this.emit("bye", undefined, { polcy: 7 });
    // @ts-expect-error: it has a reply: it is a request
    this.emit("confirm", { text: "x" });
    // @ts-expect-error: it has no reply: it is an event
    this.sendRequest("joined", { name: "x", at: new Date() });
    // @ts-expect-error: the text is a string
    this.sendRequest("confirm", { text: 7 });
    // @ts-expect-error: the reply is a boolean
    is<Promise<string>>(this.sendRequest("confirm", { text: "x" }));
  }
}

@Route("/valibot/:channel")
class WithValibot extends EventHandler.of(withValibot)<{ channel: string }> {
  onJoin({ name }: DataOf<typeof withValibot, "join">) {
    this.emitToThisRoom("joined", { name, at: new Date() });
    // @ts-expect-error: the name is a string
    this.emit("joined", { name: 7, at: new Date() });
    // @ts-expect-error: the contract sends no such event
    this.emit("jioned", { name, at: new Date() });
    return { size: this.room.size };
  }
  onAt(at: number) {
    return at + 1;
  }
}

@Route("/arktype/:channel")
class WithArktype extends EventHandler.of(withArktype)<{ channel: string }> {
  onJoin({ name }: DataOf<typeof withArktype, "join">) {
    this.emitToThisRoom("joined", { name, at: new Date() });
    // @ts-expect-error: the name is a string
    this.emit("joined", { name: 7, at: new Date() });
    // @ts-expect-error: the contract sends no such event
    this.emit("jioned", { name, at: new Date() });
    return { size: this.room.size };
  }
  onAt(at: number) {
    return at + 1;
  }
}

export const app = new App({ handlers: [WithZod, WithValibot, WithArktype] });

/** A wrong method does not compile: neither the class nor its registration. */
// @ts-expect-error: onJoin does not fit the event join of the contract
class WrongData extends EventHandler.of(withZod) {
  onJoin({ name }: { name: number }) {
    return { size: name };
  }
}
// @ts-expect-error: onJoin does not fit the event join of the contract
class WrongReply extends EventHandler.of(withZod) {
  onJoin() {
    return { size: "many" };
  }
}
// @ts-expect-error: the same, in a promise
class WrongLateReply extends EventHandler.of(withValibot) {
  async onJoin() {
    return { length: 1 };
  }
}
// @ts-expect-error: onTyping does not fit the event typing of the contract, which has no reply
class NeedlessReply extends EventHandler.of(withArktype) {
  onTyping() {
    return 1;
  }
}
// @ts-expect-error: the wrong class cannot be registered
app.route("/wrong", WrongData);
// @ts-expect-error: nor that one
export const wrong = new App({ handlers: [WrongReply] });
// @ts-expect-error: nor that one
Route("/wrong")(WrongLateReply);
// @ts-expect-error: nor that one
app.route("/wrong", NeedlessReply);

/** `implements` reports the method itself, and one that is missing. */
// @ts-expect-error: onAt is missing
export class Missing extends EventHandler.of(withZod) implements EventMethods<typeof withZod> {
  onJoin() {
    return { size: 1 };
  }
  // @ts-expect-error: the data is a boolean
  onTyping(_data: string): void {
    this.emit("bye");
  }
  onLeave(): void {
    this.emit("bye");
  }
}

/** Another method may answer an event. Hooks are those of every handler. */
export class Renamed extends EventHandler.of(contract({ receives: { close: z.string(), "who is": z.string() } })) {
  @On("close")
  shut(reason: string): void {
    this.close(4000, reason);
  }
  @On("who is")
  find(_name: string): void {
    this.close();
  }
  override onClose(code: number): void {
    is<number>(code);
  }
}
app.route("/renamed", Renamed);

/** A class of one's own keeps its members. */
interface Person {
  readonly id: string;
  readonly name: string;
}
abstract class PersonHandler<Params extends object = object> extends EventHandler<Params, Person> {
  override authorize(): Authorized<Person> {
    return { id: "ann", name: "Ann" };
  }
  greeting(): string {
    return `hello ${this.user.name}`;
  }
}
class OfPerson extends PersonHandler.of(withZod)<{ channel: string }> {
  onJoin() {
    this.emit("joined", { name: this.user.name + this.greeting() + this.params.channel, at: new Date() });
    // @ts-expect-error: the name is a string
    this.emit("joined", { name: 7, at: new Date() });
    return { size: 1 };
  }
}
app.route("/person/:channel", OfPerson);
// @ts-expect-error: this route has no channel
app.route("/person", OfPerson);
// @ts-expect-error: onJoin does not fit the event join of the contract
export class WrongPerson extends PersonHandler.of(withZod) {
  onJoin(name: string) {
    return { size: name.length };
  }
}

/** A class whose constructor has arguments, for dependency injection. */
abstract class StoreHandler extends EventHandler {
  constructor(readonly store: ReadonlyMap<string, number>) {
    super();
  }
}
class OfStore extends StoreHandler.of(withZod) {
  constructor() {
    // @ts-expect-error: the store is a map
    super(7);
  }
  onJoin() {
    return { size: this.store.size };
  }
}
app.route("/store", OfStore);

/** Both ends of each event: inputs of schemas are what one side sends, outputs are what the other one gets. */
is<number>(0 as DataOf<typeof withZod, "at">);
is<number>(0 as ReplyOf<typeof withZod, "at">);
is<{ name: string; at: Date }>({ name: "x", at: new Date() } as SentDataOf<typeof withZod, "joined">);
// @ts-expect-error: there is no such event
export type NoData = DataOf<typeof withZod, "jion">;
// @ts-expect-error: the schemas of the contract are missing
contract({ receives: { join: "string" } });
// @ts-expect-error: there is no such direction
contract({ receive: {} });
// @ts-expect-error: of() takes a contract
EventHandler.of({});
is<Contract>(withArktype);

/** The client, by the contract of each library and by the class. */
export function use(room: ClientRoom<typeof withZod>): void {
  is<Promise<{ size: number }>>(room.request("join", { name: "x" }, { timeoutMs: 5 }));
  is<Promise<string>>(room.request("at", "7"));
  is<Promise<void>>(room.request("leave"));
  room.emit("typing", true);
  room.onEvent("joined", ({ name, at }) => is<string>(name + at.slice(0, 10)));
  room.onEvent("bye", () => undefined);
  room.onRequest("confirm", ({ text }) => text.endsWith("?"));
  // @ts-expect-error: there is no such event
  room.request("jion", { name: "x" });
  // @ts-expect-error: the name is a string
  room.request("join", { name: 7 });
  // @ts-expect-error: the data is missing
  room.request("join");
  // @ts-expect-error: the event has no data
  room.emit("leave", 7);
  // @ts-expect-error: the client sends a string
  room.request("at", 7);
  // @ts-expect-error: the size is a number
  is<Promise<{ size: string }>>(room.request("join", { name: "x" }));
  // @ts-expect-error: a Date arrives as a string
  room.onEvent("joined", ({ at }) => at.getTime());
  // @ts-expect-error: the server sends no such event
  room.onEvent("join", () => undefined);
  // @ts-expect-error: the server requests it
  room.onEvent("confirm", () => undefined);
  // @ts-expect-error: the server only sends it
  room.onRequest("joined", () => undefined);
  // @ts-expect-error: the answer is a boolean
  room.onRequest("confirm", () => "yes");
}
use(connect<typeof withZod>("/zod/a"));

const valibotRoom = connect<typeof withValibot>("/valibot/a");
is<Promise<{ size: number }>>(valibotRoom.request("join", { name: "x" }));
is<Promise<string>>(valibotRoom.request("at", "7"));
valibotRoom.onEvent("joined", ({ at }) => is<string>(at));
// @ts-expect-error: the name is a string
valibotRoom.request("join", { name: 7 });
// @ts-expect-error: the server sends no such event
valibotRoom.onEvent("join", () => undefined);

const arktypeRoom = connect<typeof withArktype>("/arktype/a");
is<Promise<{ size: number }>>(arktypeRoom.request("join", { name: "x" }));
is<Promise<string>>(arktypeRoom.request("at", "7"));
arktypeRoom.onEvent("joined", ({ at }) => is<string>(at));
// @ts-expect-error: the name is a string
arktypeRoom.request("join", { name: 7 });
// @ts-expect-error: the server sends no such event
arktypeRoom.onEvent("join", () => undefined);

const byClass = connect<WithZod>("/zod/a");
is<Promise<{ size: number }>>(byClass.request("join", { name: "x" }));
byClass.onEvent("joined", ({ at }) => is<string>(at));
// @ts-expect-error: the server sends no such event
byClass.onEvent("jioned", () => undefined);
// @ts-expect-error: the method is no event of the contract
byClass.emit("mistakes");

const model = contract({
  receives: { ask: { data: z.string(), items: z.number().transform(String), reply: z.boolean() } },
});

class Model extends EventHandler.of(model) implements EventMethods<typeof model> {
  async *onAsk(question: string) {
    yield question.length;
    return true;
  }
}
new App().route("/model", Model);

// @ts-expect-error: the values are numbers
class WrongItems extends EventHandler.of(model) {
  async *onAsk(question: string) {
    yield question;
    return true;
  }
}
// @ts-expect-error: the values are numbers
new App().route("/wrong-items", WrongItems);

// @ts-expect-error: the answer is a stream
class NoItems extends EventHandler.of(model) {
  onAsk() {
    return true;
  }
}
// @ts-expect-error: the answer is a stream
new App().route("/no-items", NoItems);

async function readItems(room: ClientRoom<typeof model>): Promise<boolean> {
  for await (const item of room.stream("ask", "question")) is<string>(item);
  // @ts-expect-error: the data is a string
  room.stream("ask", 7);
  const { done, value } = await room.stream("ask", "question").next();
  return done === true && value;
}
is<(room: ClientRoom<typeof model>) => Promise<boolean>>(readItems);
