import { expect, it, onTestFinished } from "vitest";
import { Outbox } from "../src/connection/outbox.js";
import { contract, EventHandler, latest, On, Route, WebSocketHandler } from "../src/index.js";
import { Mailbox, startWith } from "./support/app.js";

/** The current calls of the library, the innermost first: the function and its file. */
function callsOfLibrary(): { readonly name: string; readonly file: string }[] {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 100;
  const { stack = "" } = new Error("where am I");
  Error.stackTraceLimit = before;
  return stack.split("\n").flatMap((line) => {
    const [, name = "anonymous", file] = /at (?:(.+?) \()?\S*\/src\/([\w/]+\.ts):/.exec(line) ?? [];
    return file === undefined ? [] : [{ name, file }];
  });
}

const callsInMax = 6;
const callsOutMax = 10;
const filesOutMax = 7;

class Text extends WebSocketHandler {
  static readonly seen = new Mailbox<ReturnType<typeof callsOfLibrary>>();
  onMessage() {
    Text.seen.put(callsOfLibrary());
  }
}

class JSONReader extends WebSocketHandler {
  static readonly seen = new Mailbox<ReturnType<typeof callsOfLibrary>>();
  onJSON() {
    JSONReader.seen.put(callsOfLibrary());
  }
}

class Events extends EventHandler {
  static readonly seen = new Mailbox<ReturnType<typeof callsOfLibrary>>();
  @On()
  onLook() {
    Events.seen.put(callsOfLibrary());
  }
}

class Contracted extends EventHandler.of(contract({ receives: { look: {} } })) {
  static readonly seen = new Mailbox<ReturnType<typeof callsOfLibrary>>();
  onLook() {
    Contracted.seen.put(callsOfLibrary());
  }
}

it.each([
  ["onMessage", Text, "look"],
  ["onJSON", JSONReader, "{}"],
  ["an event", Events, '{"event":"look"}'],
  ["an event of a contract", Contracted, '{"event":"look"}'],
] as const)("takes at most six calls from a whole message to %s", async (_name, handlerClass, text) => {
  const { open } = await startWith("/x", handlerClass);
  (await open("/x")).sendText(text);
  const [calls = []] = await handlerClass.seen.have(1);
  expect(calls.length).toBeGreaterThan(2);
  const parser = calls.findIndex(({ file }) => file === "server/websocket/direct/frameParser.ts");
  expect(parser).toBeGreaterThan(0);
  const names = calls.slice(0, parser).map(({ name, file }) => `${name} ${file}`);
  expect(names.slice(callsInMax)).toEqual([]);
});

it("begins with a frame that has an id in the call of the socket, on a single node", async () => {
  const { open } = await startWith("/x", Text);
  const client = await open("/x?client=client-0123456789", { protocols: ["enfilade.v1"] });
  const before = Text.seen.all.length;
  client.sendJSON({ type: "message", text: "look", id: 1 });
  const calls = (await Text.seen.have(before + 1)).at(-1) ?? [];
  expect(calls.map(({ file }) => file)).toContain("server/websocket/socketOwner.ts");
});

@Route("/x")
class Speaker extends WebSocketHandler {
  onMessage(kind: string) {
    if (kind === "text") this.sendTextToThisRoom("hello");
    else if (kind === "latest") this.sendJSONToRoom("/x", 1, { policy: latest("a") });
    else this.sendJSONToAll(1);
  }
}

it.each(["text", "latest", "all"])("takes at most ten calls and seven files to the outbox: %s", async (kind) => {
  const { open } = await startWith("/x", Speaker);
  const client = await open("/x");
  const seen: ReturnType<typeof callsOfLibrary>[] = [];
  const { push } = Outbox.prototype;
  // The last call of the path; with a policy it calls itself once more.
  Outbox.prototype.push = function (this: Outbox, ...args) {
    seen.push(callsOfLibrary());
    return push.apply(this, args);
  };
  onTestFinished(() => {
    Outbox.prototype.push = push;
  });
  client.sendText(kind);
  await client.read();
  const [calls = []] = seen;
  const own = calls.slice(0, calls.findIndex(({ file }) => file === "handler/handler.ts") + 1);
  const outside = own.filter(({ file }) => file !== "connection/outbox.ts");
  expect(outside.length).toBeGreaterThan(4);
  // The outbox itself is the last call and the last file.
  expect(outside.map(({ name, file }) => `${name} ${file}`).slice(callsOutMax - 1)).toEqual([]);
  expect(new Set(outside.map(({ file }) => file)).size).toBeLessThanOrEqual(filesOutMax - 1);
});
