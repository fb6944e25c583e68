import * as undici from "undici";
import { WebSocket } from "ws";
import type { connectOptionNames } from "../../src/client/connectOptions.js";
import {
  type AsJSON,
  type ClientMessage,
  type ClientRoom,
  ConnectError,
  type ConnectOptions,
  connect,
  type EventName,
  type ReplyAsJSON,
  type RequestError,
  type RoomEvents,
} from "../../src/client/index.js";
import type { roomEventNames } from "../../src/client/roomEvents.js";
import { EventHandler, On, WebSocketHandler } from "../../src/index.js";

interface Join {
  readonly name: string;
}

class Chat extends EventHandler {
  @On()
  async onJoin({ name }: Join) {
    return { size: name.length };
  }
  @On()
  onTyping(_data?: { readonly on: boolean }): void {
    this.emitToThisRoom("typing");
  }
  @On()
  onURLOpened(url: string, _incoming: unknown) {
    return [url];
  }
  @On()
  onNow() {
    return { at: new Date() };
  }
  @On()
  onLeave() {
    return 7;
  }
  override onConnect(): void {
    this.greet();
  }
  override onClose(): void {
    this.greet();
  }
  override onRoomJoin(): void {
    this.greet();
  }
  @On()
  async *onCount(_upTo: number) {
    yield new Date();
    return { total: 1 };
  }
  @On()
  async onLines(): Promise<AsyncIterable<{ readonly line: string }>> {
    return this.lines();
  }
  private async *lines() {
    yield { line: "x" };
  }
  protected onSecret(): void {
    this.greet();
  }
  once(): string {
    return "no event";
  }
  readonly onward: string = "no method";
  private greet(): void {
    this.sendText("hello");
  }
}

declare function value<Type>(): Type;

/** Compiles only for a value of that type. */
function is<Type>(value: Type): Type {
  return value;
}

const room = connect<Chat>("/chat/general", { token: "secret" });

is<Promise<{ size: number }>>(room.request("join", { name: "x" }));
is<Promise<void>>(room.request("typing"));
is<Promise<void>>(room.request("typing", { on: true }, { timeoutMs: 5, signal: new AbortController().signal }));
is<Promise<string[]>>(room.request("uRLOpened", "x"));
is<Promise<{ at: string }>>(room.request("now"));
// @ts-expect-error: a Date arrives as a string
is<Promise<{ at: Date }>>(room.request("now"));
is<Promise<number>>(room.request("leave"));
is<Promise<number>>(room.request("leave", undefined, { timeoutMs: 5 }));
room.emit("join", { name: "x" });
room.emit("typing");
is<EventName<Chat>>("join");

is<AsyncGenerator<string, { total: number }, undefined>>(room.stream("count", 5));
is<AsyncGenerator<string, { total: number }, undefined>>(
  room.stream("count", 5, { signal: new AbortController().signal, key: "0123456789abcdef", from: 1, readAhead: 2 }),
);
is<AsyncGenerator<{ line: string }, unknown, undefined>>(room.stream("lines"));
is<Promise<never>>(room.request("count", 5));
// @ts-expect-error: it is answered with one value
room.stream("join", { name: "x" });
// @ts-expect-error: it counts up to a number
room.stream("count", "5");
// @ts-expect-error: a Date arrives as a string
is<AsyncGenerator<Date, unknown, undefined>>(room.stream("count", 5));
// @ts-expect-error: there is no such option
room.stream("count", 5, { timeoutMs: 5 });

// @ts-expect-error: there is no such event
room.request("jion", { name: "x" });
// @ts-expect-error: the event of onJoin is join
room.request("onJoin", { name: "x" });
// @ts-expect-error: and not Join
room.request("Join", { name: "x" });
// @ts-expect-error: the name is missing
room.request("join", {});
// @ts-expect-error: the data is missing
room.request("join");
// @ts-expect-error: the name is a string
room.request("join", { name: 1 });
// @ts-expect-error: the data has no such field
room.request("join", { name: "x", age: 1 });
// @ts-expect-error: it takes no data
room.request("leave", "now");
// @ts-expect-error: there is no such option
room.request("join", { name: "x" }, { timeout: 5 });
// @ts-expect-error: the reply has a size
is<Promise<{ length: number }>>(room.request("join", { name: "x" }));
// @ts-expect-error: a reply is a promise
is<{ size: number }>(room.request("join", { name: "x" }));
// @ts-expect-error: there is no such event
room.emit("jion", { name: "x" });
// @ts-expect-error: the name is a string
room.emit("join", { name: 1 });
// @ts-expect-error: an event without a reply has no options
room.emit("join", { name: "x" }, { timeoutMs: 5 });
// @ts-expect-error: a hook is no event
room.emit("connect");
// @ts-expect-error: a hook is no event, and this one has arguments
room.emit("close", 1000, "");
// @ts-expect-error: nor is one of a room
room.emit("roomJoin");
// @ts-expect-error: nor are those that this class has not
room.emit("jSON", {});
// @ts-expect-error: a protected method is no event
room.emit("secret");
// @ts-expect-error: a method that only begins like one is none
room.emit("ce");
// @ts-expect-error: nor is a field
room.emit("ward");

/** Without decorators, or without the class at hand, an interface declares the same. */
const declared = connect<{ onMove(at: readonly [number, number]): Promise<"ok" | "taken">; onPing?(): number }>(
  "/game",
);
is<Promise<"ok" | "taken">>(declared.request("move", [1, 2]));
is<Promise<number>>(declared.request("ping"));
// @ts-expect-error: a place has two numbers
declared.request("move", [1]);

const typed = connect<{ ask(question: string): AsyncIterable<string> }, object>("/assistant");
is<AsyncGenerator<string, unknown, undefined>>(typed.stream("ask", "why?"));
is<AsyncGenerator<unknown, unknown, undefined>>(connect("/any").stream("ask", { any: "data" }));

class Plain extends WebSocketHandler {
  override onMessage(): void {
    this.close();
  }
}
const plain = connect<Plain>("/plain");
plain.sendText("x");
// @ts-expect-error: it has no events
plain.emit("message");

const untyped = connect("/chat/general");
is<Promise<unknown>>(untyped.request("anything", { at: "all" }));
untyped.emit("anything");
is<ClientRoom>(untyped);
// @ts-expect-error: of a reply nothing is known
is<Promise<string>>(untyped.request("anything"));
// @ts-expect-error: an event has a name
untyped.emit(7);

/** With interfaces of events, names are those on the wire. */
interface Size {
  readonly size: number;
  readonly at: Date;
  readonly note?: string | undefined;
  readonly tags: ReadonlyMap<string, number>;
  describe(): string;
}
interface ClientEvents {
  "who is"(id: string): Size | undefined;
  typing(on?: boolean): void;
  history: (limit: number) => Promise<readonly (Date | undefined)[]>;
}
interface ServerEvents {
  joined: { readonly name: string; readonly at: Date };
  left: string;
  confirm(question: { readonly text: string; readonly until: Date }): boolean;
  ping: () => Promise<Date>;
}
const contract = connect<ClientEvents, ServerEvents>("/chat/general");

is<Promise<{ size: number; at: string; note?: string; tags: Record<never, never> } | null>>(
  contract.request("who is", "ann"),
);
is<Promise<void>>(contract.request("typing"));
is<Promise<readonly (string | null)[]>>(contract.request("history", 10, { timeoutMs: 5 }));
contract.emit("typing", true);
is<() => void>(contract.onEvent("joined", ({ name, at }) => name + at.slice(0, 10), { once: true }));
contract.onEvent("left", (id) => is<string>(id));
is<() => void>(contract.onRequest("confirm", ({ text, until }) => text === until.slice(1)));
contract.onRequest("confirm", async ({ text }) => text === "");
contract.onRequest("ping", () => Promise.resolve(new Date()));

// @ts-expect-error: names are those of the wire, not of methods
contract.request("whoIs", "ann");
// @ts-expect-error: the data is a string
contract.request("who is", 7);
// @ts-expect-error: the data is missing
contract.request("who is");
// @ts-expect-error: a Date arrives as a string
is<Promise<{ at: Date } | null>>(contract.request("who is", "ann"));
// @ts-expect-error: a function does not arrive
contract.request("who is", "ann").then((size) => size?.describe);
// @ts-expect-error: what is undefined arrives as null
contract.request("who is", "ann").then((size) => size.size);
// @ts-expect-error: there is no such event
contract.emit("joined", { name: "x" });
// @ts-expect-error: the server sends no such event
contract.onEvent("join", () => undefined);
// @ts-expect-error: a Date arrives as a string
contract.onEvent("joined", ({ at }) => at.getTime());
// @ts-expect-error: the server requests it
contract.onEvent("confirm", () => undefined);
// @ts-expect-error: the server only sends it
contract.onRequest("joined", () => undefined);
// @ts-expect-error: the answer is a boolean
contract.onRequest("confirm", () => "yes");
// @ts-expect-error: a Date arrives as a string
contract.onRequest("confirm", ({ until }) => until.getTime() > 0);
// @ts-expect-error: there is no such option
contract.onEvent("left", () => undefined, { onec: true });

/** With a handler class, the events of the server are unknown. */
room.onEvent("anything", (data) => is<unknown>(data));
room.onRequest("anything", (data) => is<unknown>(data));
// @ts-expect-error: nothing is known of the data
room.onEvent("anything", (data: string) => data);

/** Compiles only if both types are the same. */
function same<One, Other>(
  ..._: (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? [] : [different: never]
): void {
  is<readonly unknown[]>(_);
}

class Point {
  readonly x: number = 1;
  readonly made: Date = new Date();
  #secret = 7;
  get secret(): number {
    return this.#secret;
  }
  move(): number {
    return this.#secret;
  }
}
interface Tree {
  readonly value: Date;
  readonly children: readonly Tree[];
}
enum Level {
  low,
  high,
}
same<AsJSON<string | null>, string | null>();
same<AsJSON<Level>, Level>();
same<AsJSON<"a" | 7 | true>, "a" | 7 | true>();
same<AsJSON<Date>, string>();
same<AsJSON<URL>, string>();
same<AsJSON<{ a: Date; b?: Date }>, { a: string; b?: string }>();
same<AsJSON<{ a: number | undefined; b: string }>, { b: string; a?: number }>();
same<AsJSON<{ a: string | (() => void); b: undefined; c: symbol; d(): void }>, { a?: string }>();
same<AsJSON<{ [name: string]: Date }>, { [name: string]: string }>();
same<AsJSON<{ 7: Date; [Symbol.iterator]: number }>, { 7: string }>();
same<AsJSON<Map<string, Date>>, Record<never, never>>();
same<AsJSON<Set<string>>, Record<never, never>>();
same<AsJSON<Date[]>, string[]>();
same<AsJSON<readonly [Date, number?]>, readonly [string, (number | null)?]>();
same<AsJSON<(Date | undefined)[]>, (string | null)[]>();
same<AsJSON<(() => void)[]>, null[]>();
same<AsJSON<() => void>, never>();
same<AsJSON<symbol | bigint>, never>();
same<AsJSON<{ count: bigint }>, { count: never }>();
same<AsJSON<Point>, { x: number; made: string; secret: number }>();
same<AsJSON<{ toJSON(): { at: Date } }>, { at: string }>();
same<AsJSON<unknown>, unknown>();
same<AsJSON<{ a: unknown; b?: unknown }>, { a: unknown; b: unknown }>();
same<AsJSON<never>, never>();
is<string>(value<AsJSON<Tree>>().children[0]?.children[0]?.value ?? "");
is<AsJSON<string & { readonly brand: "id" }>>(value<string & { readonly brand: "id" }>());
same<ReplyAsJSON<undefined>, null>();
same<ReplyAsJSON<Date | undefined>, string | null>();
same<ReplyAsJSON<unknown>, unknown>();
// @ts-expect-error: these differ
same<AsJSON<Date>, Date>();

/** The names that are checked at run time are those of the type. */
same<(typeof connectOptionNames)[number], keyof ConnectOptions>();
same<(typeof roomEventNames)[number], keyof RoomEvents>();

const off: () => void = room.on("message", ({ data, text, bytes, offset, room: path }) => {
  is<unknown>(data);
  is<string | undefined>(text ?? path);
  is<Uint8Array | undefined>(bytes);
  is<number | undefined>(offset);
  // @ts-expect-error: there need not be one
  is<number>(offset);
});
off();
room.on("state", (state, { delayMs }) => is<"connecting" | "open" | "waiting" | "closed" | number>(delayMs ?? state));
room.on("lost", ({ reason, missed }) => is<string | number>(missed ?? reason));
room.on("dropped", ({ count, reason }) => is<"full" | "closed" | number>(reason === "full" ? count : reason));
room.on("presence", ({ users }) => users.map(({ id }) => id.trim()));
room.on("recovered", ({ position }) => position.offset.toFixed());
room.on("error", (error) => error.message);
room.on("error", (error) => error instanceof ConnectError && is<number | undefined>(error.status ?? error.closeCode));
is<Promise<typeof room>>(room.opened);
room.sendBinary(new Uint8Array(1));
room.sendBinary(new ArrayBuffer(1));
// @ts-expect-error: a text is sent with sendText
room.sendBinary("text");
// @ts-expect-error: there is no such option
room.on("message", () => undefined, { onec: true });
room.onResync(() => undefined, { signal: new AbortController().signal });
room.onResync(async () => {
  const { size } = await room.request("join", { name: "x" });
  size.toFixed();
});

// @ts-expect-error: a room tells no such thing
room.on("messages", () => undefined);
// @ts-expect-error: internal events are not public
room.on("end", () => undefined);
// @ts-expect-error: a message has no such field
room.on("message", ({ replayed }) => replayed);
// @ts-expect-error: a state can only be read
room.state = "open";
// @ts-expect-error: a position can only be read
room.position = { epoch: "e", offset: 1 };

export async function loop(): Promise<void> {
  for await (const message of room) is<ClientMessage>(message);
}
export function codeOf(error: RequestError): string {
  return error.code + error.issues.map(({ path }) => path).join();
}

connect("/x", { WebSocket });
connect("/x", { WebSocket: undici.WebSocket });
connect(new URL("ws://localhost/x"), { token: () => "secret", debug: true });
connect("/x", { token: async () => "secret", debug: (line) => line.trim(), onResync: () => undefined });
connect("/x", { token: undefined, WebSocket: undefined, queueMessagesMax: undefined });
// @ts-expect-error: there is no such option
connect("/x", { tokens: "secret" });
// @ts-expect-error: a token is a string
connect("/x", { token: 7 });
// @ts-expect-error: this is no WebSocket
connect("/x", { WebSocket: URL });
// @ts-expect-error: a room has a URL
connect();
