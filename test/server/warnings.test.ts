import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import {
  App,
  type AppOptions,
  EventHandler,
  type HandlerClass,
  On,
  type RouteOptions,
  WebSocketHandler,
} from "../../src/index.js";
import { connect, ManualClock } from "../../src/testing/index.js";
import { closes, Mailbox, type RunningApp, start } from "../support/app.js";
import { answerTo, upgradeRequest } from "../support/raw.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

interface Logged extends RunningApp {
  readonly warnings: Mailbox<string>;
}

/** An app whose warnings are recorded. */
async function logged(build: (app: App) => App, options: AppOptions = {}): Promise<Logged> {
  const warnings = new Mailbox<string>();
  const logger = { warn: (message: string) => warnings.put(message), error: () => undefined };
  return { ...(await start(build(new App({ ...options, logger })))), warnings };
}

function loggedWith(handlerClass: HandlerClass, options: AppOptions = {}, route: RouteOptions = {}): Promise<Logged> {
  return logged((app) => app.route("/x", handlerClass, route), options);
}

describe("an event of a client", () => {
  it("is logged once if the handler answers no events, but reads messages", async () => {
    class Reads extends WebSocketHandler {
      onJSON() {
        return undefined;
      }
    }
    const { open, warnings } = await loggedWith(Reads);
    const client = await open("/x", { protocols: ["enfilade.v1"] });
    client.sendJSON({ type: "event", event: "say", id: 1 });
    client.sendJSON({ type: "event", event: "say", id: 2 });
    await client.readJSON();
    await client.readJSON();
    expect(await client.readJSON()).toMatchObject({ type: "reply", id: 2 });
    expect(warnings.all).toEqual([
      'enfilade: Reads ("/x") received an event of a client (emit or request), and reads it as a message; ' +
        "to answer events, extend EventHandler",
    ]);
  });

  it("is logged if its name is unknown, once, with the nearest name, in printable characters", async () => {
    class Answers extends EventHandler {
      static events = { join: "onJoin" };
      onJoin() {
        return 1;
      }
    }
    const { open, warnings } = await loggedWith(Answers);
    const client = await open("/x");
    for (const event of ["jion\u0007", "other"]) {
      client.sendJSON({ event });
      expect(await client.readJSON()).toMatchObject({ error: { code: "unknown_event" } });
    }
    expect(warnings.all).toEqual([
      'enfilade: Answers ("/x") received the event "jion\ufffd", which it does not answer; did you mean "join"?',
    ]);
  });
});

describe("a path that does not fit the params of its route", () => {
  it("is logged once, with the parameter", async () => {
    const { port, warnings } = await logged((app) =>
      app.route("/rooms/:room", Echo, { params: z.object({ room: z.enum(["a", "b"]) }) }),
    );
    await answerTo(port, upgradeRequest("/rooms/c"));
    await answerTo(port, upgradeRequest("/rooms/d"));
    expect(warnings.all).toEqual([
      expect.stringMatching(
        /^enfilade: refused a client with 400: its path does not fit params of Echo \("\/rooms\/:room"\): ".*room/,
      ),
    ]);
  });
});

describe("an upgrade request to no route", () => {
  it("is logged once per path, with the existing routes, and never with its query", async () => {
    class Chat extends Echo {}
    const { port, warnings } = await logged((app) => app.route("/chat/:room", Chat).route("/echo", Echo));
    await answerTo(port, upgradeRequest("/caht/a?token=secret"));
    await answerTo(port, upgradeRequest("/caht/a?token=other"));
    await answerTo(port, upgradeRequest("/nowhere"));
    await answerTo(port, "GET /plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const routes = 'the routes are "/chat/:room" of Chat, "/echo" of Echo';
    expect(warnings.all).toEqual([
      `enfilade: refused a client with 404: no route matches "/caht/a"; ${routes}`,
      `enfilade: refused a client with 404: no route matches "/nowhere"; ${routes}`,
    ]);
  });

  it("is logged if there are no routes, and names only the first of many routes", async () => {
    const none = await logged((app) => app);
    await answerTo(none.port, upgradeRequest("/x"));
    expect(none.warnings.all).toEqual([expect.stringContaining('no route matches "/x"; the app has no routes')]);
    const many = await logged((app) => {
      for (let n = 0; n < 50; n += 1) app.route(`/route/${n}`, Echo);
      return app;
    });
    await answerTo(many.port, upgradeRequest("/x"));
    expect(many.warnings.all[0]).toMatch(/"\/route\/19" of Echo, and 30 more$/);
  });

  it("cannot fill the log", async () => {
    const { port, warnings } = await loggedWith(Echo);
    const long = "/a".repeat(2_000);
    await answerTo(port, upgradeRequest(`/${"x".repeat(300)}\u009b31m`));
    for (let n = 0; n < 120; n += 1) await answerTo(port, upgradeRequest(`/no/${n}`));
    await answerTo(port, upgradeRequest(long));
    expect(warnings.all).toHaveLength(100);
    expect(warnings.all.at(-1)).toMatch(/; of further warnings of this kind, one per minute is logged$/);
    expect(Math.max(...warnings.all.map(({ length }) => length))).toBeLessThan(400);
    expect(warnings.all.join("")).toMatch(/^[\x20-\x7e]*$/);
  });

  it("is not logged if another listener may take it", async () => {
    const warnings: string[] = [];
    const logger = { warn: (message: string) => warnings.push(message), error: () => undefined };
    const server = createServer().on("upgrade", (_incoming, socket) => socket.destroy());
    await using _app = new App({ logger }).route("/echo", Echo).attach(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    // The server listens on a port, so its address is an object.
    await answerTo((server.address() as AddressInfo).port, upgradeRequest("/other"));
    expect(warnings).toEqual([]);
  });
});

describe("a path of a client in an error", () => {
  it("has no control characters of a terminal, and no bidirectional ones", async () => {
    const logged = new Mailbox<string>();
    const logger = { warn: () => undefined, error: (_text: string, error: unknown) => logged.put(String(error)) };
    class Joins extends EventHandler {
      @On("join")
      onJoin(path: string) {
        this.join(path);
      }
    }
    await using app = new App({ logger }).route("/x", Joins);
    const client = await connect(app, "/x");
    client.sendJSON({ event: "join", data: "\u009b31m\u202ered\u2028\u0007" });
    const [error] = await logged.have(1);
    expect(error).toContain("\\u009b31m\\u202ered\\u2028\\u0007");
    expect(error).toMatch(/^[\x20-\x7e]*$/);
  });
});

describe("a refused origin", () => {
  it("is logged once, with the compared Host and the option to set", async () => {
    const { port, warnings } = await loggedWith(Echo);
    for (const origin of ["https://app.example", "https://app.example", "null"]) {
      await answerTo(port, upgradeRequest("/x", { Host: "127.0.0.1:8000", Origin: origin }));
    }
    expect(warnings.all).toEqual([
      'enfilade: refused a page from "https://app.example": its request has another Host, "127.0.0.1:8000"; ' +
        'to allow it, set origins: ["https://app.example"]; behind a proxy, forward the original Host, ' +
        "in nginx with: proxy_set_header Host $http_host",
      'enfilade: refused a page from "null": its request has another Host, "127.0.0.1:8000"; ' +
        'to allow pages without an origin, set origins: "*"; behind a proxy, forward the original Host, ' +
        "in nginx with: proxy_set_header Host $http_host",
    ]);
  });

  it("is still logged after a flood of forged ones, with the number of those that were not logged", async () => {
    const clock = new ManualClock();
    const { port, warnings } = await loggedWith(Echo, { clock, origins: ["https://a.example"] });
    for (let n = 0; n < 150; n += 1) await answerTo(port, upgradeRequest("/x", { Origin: `https://${n}.example` }));
    expect(warnings.all).toHaveLength(100);
    clock.advance(60_000);
    for (const origin of ["https://real.example", "https://other.example"]) {
      await answerTo(port, upgradeRequest("/x", { Origin: origin }));
    }
    expect(warnings.all.slice(100)).toEqual([
      expect.stringMatching(/"https:\/\/real\.example".*; 50 other warnings of this kind were not logged$/),
    ]);
  });

  it("that is on no list is logged without the Host", async () => {
    const { port, warnings } = await loggedWith(Echo, { origins: ["https://a.example"] });
    await answerTo(port, upgradeRequest("/x", { Origin: "https://b.example" }));
    expect(warnings.all).toEqual([
      'enfilade: refused a page from "https://b.example": the option origins of "/x" does not allow it; ' +
        'to allow it, add "https://b.example"',
    ]);
  });

  it("cannot fill the log", async () => {
    const { port, warnings } = await loggedWith(Echo);
    for (let n = 0; n < 120; n += 1) {
      await answerTo(port, upgradeRequest("/x", { Origin: `https://${n}.example/${"x".repeat(5_000)}` }));
    }
    expect(warnings.all).toHaveLength(100);
    expect(Math.max(...warnings.all.map(({ length }) => length))).toBeLessThan(1_000);
  });
});

describe("a hook that takes too long", () => {
  it("is logged once for authorize past authorizeMs", async () => {
    const clock = new ManualClock();
    const asked = new Mailbox<string>();
    class Slow extends Echo {
      override authorize() {
        asked.put("asked");
        return new Promise<never>(() => undefined);
      }
    }
    const { open, warnings } = await loggedWith(Slow, { clock });
    for (const count of [1, 2]) {
      const opening = open("/x").catch((error: unknown) => error);
      await asked.have(count);
      clock.advance(5_000);
      expect(await opening).toMatchObject({ status: 503 });
    }
    expect(warnings.all).toEqual([
      'enfilade: authorize of Slow ("/x") took longer than authorizeMs, 5000 ms; the client was refused with 503',
    ]);
  });

  it("is logged once for authorize of a client that renews its token", async () => {
    const clock = new ManualClock();
    const asked = new Mailbox<string>();
    class Slow extends Echo {
      override authorize({ token = "" }: { token?: string | undefined }) {
        asked.put(token);
        return token === "slow" ? new Promise<never>(() => undefined) : { id: "ann" };
      }
    }
    const { open, warnings } = await loggedWith(Slow, { clock });
    const client = await open("/x", { protocols: ["enfilade.v1"] });
    client.sendJSON({ type: "refresh", token: "slow" });
    await asked.have(2);
    clock.advance(5_000);
    expect(await client.closed).toMatchObject({ code: 1013 });
    expect(warnings.all).toEqual([
      'enfilade: authorize of Slow ("/x") took longer than authorizeMs, 5000 ms; the client was closed with 1013',
    ]);
  });

  it("is logged once for onConnect and for serve, still busy closeMs after the end", async () => {
    class Greets extends Echo {
      override onConnect() {
        this.sendText("hello");
        return new Promise(() => undefined);
      }
    }
    class Loops extends WebSocketHandler {
      async serve() {
        this.sendText("hello");
        await new Promise(() => undefined);
      }
    }
    const clock = new ManualClock();
    const build = (app: App) => app.route("/greets", Greets).route("/loops", Loops);
    const { open, warnings, app } = await logged(build, { clock, limits: { closeMs: 300 } });
    for (const path of ["/greets", "/greets", "/loops"]) {
      const client = await open(path);
      await client.read();
      const [member] = app.registry.connections;
      const closed = closes(app, 1);
      await client.close();
      await member?.ended;
      clock.advance(300);
      await closed;
    }
    const after = "was still busy 300 ms (closeMs) after its connection had ended; end it when this.signal is aborted";
    expect(warnings.all).toEqual([
      `enfilade: onConnect of Greets ("/greets") ${after}`,
      `enfilade: serve of Loops ("/loops") ${after}`,
    ]);
  });

  it("is logged once for onClose, and not for one that is in time", async () => {
    const called = new Mailbox<() => void>();
    class Slow extends Echo {
      override onClose() {
        return new Promise<void>((resolve) => called.put(resolve));
      }
    }
    const clock = new ManualClock();
    const { open, warnings, app } = await loggedWith(Slow, { clock, limits: { closeMs: 300 } });
    const first = closes(app, 1);
    await (await open("/x")).close();
    (await called.have(1))[0]?.();
    await first;
    clock.advance(300);
    expect(warnings.all).toEqual([]);
    for (const count of [2, 3]) {
      await (await open("/x")).close();
      await called.have(count);
      clock.advance(300);
    }
    for (const resolve of called.all) resolve();
    expect(warnings.all).toEqual([
      'enfilade: onClose of Slow ("/x") was still busy 300 ms (closeMs) after its connection had ended; ' +
        "end it when this.signal is aborted",
    ]);
  });
});

describe("a message that is not JSON", () => {
  const closing = '("/x") received a message that is not JSON, and closed the connection with 1007';

  it("is logged once if it closes the connection", async () => {
    class Plain extends WebSocketHandler {
      onJSON(message: unknown) {
        this.sendJSON(message);
      }
    }
    const { open, warnings } = await loggedWith(Plain);
    for (const _ of [1, 2]) {
      const client = await open("/x");
      client.sendText("{");
      expect(await client.closed).toMatchObject({ code: 1007 });
    }
    const hint = "to keep the connection open, implement onJSON(message, error) or onError(error)";
    expect(warnings.all).toEqual([`enfilade: Plain ${closing}; ${hint}`]);
  });

  it("is logged once if the route closes for it", async () => {
    class Takes extends WebSocketHandler {
      onJSON(_message: unknown, _error?: Error) {
        return undefined;
      }
    }
    class Events extends EventHandler {
      @On() onLook() {
        return "nothing";
      }
    }
    const build = (app: App) => app.route("/x", Takes).route("/events", Events);
    const { open, warnings } = await logged(build, { badMessage: "close" });
    for (const path of ["/x", "/events", "/events"]) {
      const client = await open(path);
      client.sendText("{");
      expect(await client.closed).toMatchObject({ code: 1007 });
    }
    const hint = 'to keep the connection open, leave out badMessage: "close"';
    expect(warnings.all).toEqual([
      `enfilade: Takes ${closing}; ${hint}`,
      `enfilade: Events ${closing.replace("/x", "/events")}; ${hint}`,
    ]);
  });

  it("is logged once if no method takes the error", async () => {
    class Ignores extends WebSocketHandler {
      onJSON() {
        this.sendText("called");
      }
    }
    const { open, warnings } = await loggedWith(Ignores);
    const client = await open("/x");
    for (const _ of [1, 2]) {
      client.sendText("{");
      expect(await client.readText()).toBe("called");
    }
    expect(warnings.all).toEqual([
      'enfilade: Ignores ("/x") received a message that is not JSON, and its onJSON takes no error; ' +
        "implement onJSON(message, error)",
    ]);
  });

  it("is logged once if serve did not catch it, and not if onError takes it", async () => {
    class Reads extends WebSocketHandler {
      async serve() {
        await this.connection.readJSON();
      }
    }
    class Reported extends Reads {
      override onError() {
        return undefined;
      }
    }
    const { open, warnings } = await logged((app) => app.route("/x", Reads).route("/told", Reported));
    for (const path of ["/x", "/x", "/told"]) {
      const client = await open(path);
      client.sendText("{");
      expect(await client.closed).toMatchObject({ code: 1007 });
    }
    expect(warnings.all).toEqual([
      `enfilade: Reads ${closing}; to keep the connection open, catch the error of readJSON()`,
    ]);
  });
});

describe("a thrown value that is not an Error", () => {
  class Thrower extends EventHandler {
    @On() async onFail() {
      throw "no stack";
    }
  }
  class Broken extends WebSocketHandler {
    override onConnect() {
      if (this.query.has("connect")) throw { status: 500 };
    }
    onMessage() {
      throw undefined;
    }
  }
  class Refuses extends Echo {
    override authorize(): never {
      throw Object.create(null);
    }
  }

  it.each([
    ["/thrower", '{"event":"fail"}', 'onFail of Thrower ("/thrower") threw "no stack"'],
    ["/broken?connect", "", 'onConnect of Broken ("/broken") threw {"status":500}'],
    ["/broken", "x", 'onMessage of Broken ("/broken") threw undefined'],
    ["/refuses", "", 'authorize of Refuses ("/refuses") threw {}'],
  ])("is reported with the value and its place, and logged once: %s", async (path, text, what) => {
    const build = (app: App) => app.route("/thrower", Thrower).route("/broken", Broken).route("/refuses", Refuses);
    const { open, warnings, errors, app } = await logged(build);
    const seen = new Mailbox<Error>();
    app.on("error", (error) => seen.put(error));
    for (const count of [1, 2]) {
      const client = await open(path).catch(() => undefined);
      if (text !== "") client?.sendText(text);
      await seen.have(count);
      client?.terminate();
    }
    expect(errors.map(({ message }) => message)).toEqual([what, what]);
    expect(warnings.all).toEqual([`enfilade: ${what}, which is not an Error; throw an Error to get a stack trace`]);
  });
});

describe("a method that looks like a hook but is none", () => {
  function warningsOf(handlerClass: HandlerClass): readonly string[] {
    const warnings: string[] = [];
    const logger = { warn: (message: string) => warnings.push(message), error: () => undefined };
    new App({ logger }).route("/x", handlerClass);
    return warnings;
  }
  const never = (name: string, hook: string) =>
    `enfilade: Wrong has "${name}", which is never called; did you mean "${hook}"?`;

  it.each([
    ["onOpen", "onConnect"],
    ["onConnected", "onConnect"],
    ["onDisconnected", "onClose"],
    ["ondisconnect", "onClose"],
    ["onMesage", "onMessage"],
    ["onMessgae", "onMessage"],
    ["onjson", "onJSON"],
    ["onBinay", "onBinary"],
    ["onErrror", "onError"],
    ["authorise", "authorize"],
    ["authorized", "authorize"],
  ])("is logged: %s", (name, hook) => {
    class Wrong extends Echo {}
    Object.defineProperty(Wrong.prototype, name, { value: () => undefined });
    expect(warningsOf(Wrong)).toEqual([never(name, hook)]);
  });

  it("is logged for a name that is almost that of a reading method, if the class has none", () => {
    class Wrong extends WebSocketHandler {
      onJson() {
        return undefined;
      }
    }
    expect(() => new App().route("/x", Wrong)).toThrow(/it has "onJson", did you mean "onJSON"\?$/);
  });

  it("is logged if it reads messages, but the class answers events", () => {
    class Mixed extends EventHandler {
      static events = { message: "onMessage" };
      override onMessage() {
        return "answers an event";
      }
      override onJSON() {
        return "never called";
      }
    }
    expect(warningsOf(Mixed)).toEqual(["enfilade: Mixed answers events; its onJSON is never called"]);
  });

  it("is not logged if it answers an event, or is called by name", () => {
    class Events extends EventHandler {
      static events = { closed: "onClosed" };
      @On() onOpen() {
        return "open";
      }
      @On("x") onMesage() {
        return "x";
      }
      onClosed() {
        return "closed";
      }
    }
    class Calls extends Echo {
      override onConnect() {
        this.onOpen();
      }
      onOpen() {
        this.sendText("open");
      }
    }
    class Inherits extends Calls {}
    expect([Events, Calls, Inherits].flatMap((one) => warningsOf(one))).toEqual([]);
  });

  it("is not logged if only its beginning is similar, or if it is a getter", () => {
    class Fine extends Echo {
      get onOpen() {
        return true;
      }
      onJoin() {
        return "own";
      }
      onLeave() {
        return "own";
      }
      onDone() {
        return "own";
      }
      server() {
        return "own";
      }
      onStop() {
        return "own";
      }
    }
    expect(warningsOf(Fine)).toEqual([]);
  });
});

describe("handlers and routes", () => {
  it("refuse an instance instead of a class, with a hint to pass the class", () => {
    class Chat extends Echo {}
    const chat = () => new Chat() as unknown as typeof Chat;
    expect(() => new App({ handlers: [chat()] })).toThrow(
      expect.objectContaining({
        code: "ERR_OPTION",
        message: "handlers takes classes: pass Chat, not an instance of it",
      }),
    );
    expect(() => new App().route("/x", chat())).toThrow(
      expect.objectContaining({
        code: "ERR_OPTION",
        message: "a route takes a class: pass Chat, not an instance of it",
      }),
    );
  });

  it.each([
    ["/chat/{room}", "{room}", ":room"],
    ["/chat/{id:int}/log", "{id:int}", ":id"],
    ["/chat/<room>", "<room>", ":room"],
    ["/chat/<int:room>", "<int:room>", ":room"],
    ["/chat/[room]", "[room]", ":room"],
    ["/files/[...rest]", "[...rest]", "**:rest"],
    ["/files/*rest", "*rest", "**:rest"],
    ["/files/{*rest}", "{*rest}", "**:rest"],
    ["/files/<path:rest>", "<path:rest>", "**:rest"],
  ])("refuse the pattern %s of another library, with the correct syntax", (pattern, part, own) => {
    expect(() => new App().route(pattern, Echo)).toThrow(
      expect.objectContaining({
        code: "ERR_ROUTE_PATTERN",
        message: expect.stringContaining(`has ${JSON.stringify(part)}, the syntax of another library; write "${own}"`),
      }),
    );
  });

  it("accept patterns and classes that only look similar", () => {
    const app = new App();
    for (const pattern of [
      "/a/{b}?",
      "/c/\\<d\\>",
      "/e/{:f}g",
      "/h/:i(\\d{2})",
      "/j/a<b",
      "/k/**:rest",
      "/l/\\[m\\]",
    ]) {
      app.route(pattern, Echo);
    }
    expect(app.routes).toHaveLength(7);
  });
});
