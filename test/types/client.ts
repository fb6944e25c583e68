import * as undici from "undici";
import { WebSocket } from "ws";
import {
  type ClientMessage,
  type ClientRoom,
  connect,
  type EventName,
  type RequestError,
} from "../../src/client/index.js";
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

/** Compiles only for a value of that type. */
function is<Type>(value: Type): Type {
  return value;
}

const room = connect<Chat>("/chat/general", { token: "secret" });

is<Promise<{ size: number }>>(room.request("join", { name: "x" }));
is<Promise<void>>(room.request("typing"));
is<Promise<void>>(room.request("typing", { on: true }, { timeoutMs: 5, signal: new AbortController().signal }));
is<Promise<string[]>>(room.request("uRLOpened", "x"));
is<Promise<number>>(room.request("leave"));
is<Promise<number>>(room.request("leave", undefined, { timeoutMs: 5 }));
room.emit("join", { name: "x" });
room.emit("typing");
is<EventName<Chat>>("join");

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

/** Without decorators, or without the class at hand, an interface says it as well. */
const declared = connect<{ onMove(at: readonly [number, number]): Promise<"ok" | "taken">; onPing?(): number }>(
  "/game",
);
is<Promise<"ok" | "taken">>(declared.request("move", [1, 2]));
is<Promise<number>>(declared.request("ping"));
// @ts-expect-error: a place has two numbers
declared.request("move", [1]);

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
room.onResync(async () => {
  const { size } = await room.request("join", { name: "x" });
  size.toFixed();
});

// @ts-expect-error: a room tells no such thing
room.on("messages", () => undefined);
// @ts-expect-error: what is told inside is not for everybody
room.on("end", () => undefined);
// @ts-expect-error: a message has no such field
room.on("message", ({ replayed }) => replayed);
// @ts-expect-error: a state is told, not set
room.state = "open";
// @ts-expect-error: a place is told, not set
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
