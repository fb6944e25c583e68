import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import {
  App,
  anonymous,
  type ConnectionRequest,
  EventError,
  EventHandler,
  HttpError,
  On,
  WebSocketHandler,
} from "../../src/index.js";
import { Mailbox, start as startApp } from "../support/app.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { patient, run, start } from "./process.js";
import { Terminal } from "./terminal.js";

const received = new Map<string, Mailbox<string>>();

/** What the server got in a room. */
function receivedIn(path: string): Mailbox<string> {
  const mailbox = received.get(path) ?? new Mailbox<string>();
  received.set(path, mailbox);
  return mailbox;
}

class Chat extends WebSocketHandler<{ name: string }> {
  override authorize({ token, headers }: ConnectionRequest) {
    if (this.params.name === "locked" && token !== "-secret" && headers.authorization !== "secret")
      throw new HttpError(401, "a token\x1b[2J is needed");
    return anonymous;
  }
  override onMessage(text: string): void {
    receivedIn(this.room.path).put(text);
    this.room.sendText(text);
  }
}

class Values extends WebSocketHandler {
  override onJSON(value: unknown): void {
    receivedIn(this.room.path).put(JSON.stringify(value));
    this.room.sendJSON(value);
  }
}

class Sums extends EventHandler {
  @On("add")
  onAdd(numbers: unknown) {
    if (!Array.isArray(numbers)) throw new EventError("no_list", "a list is needed");
    return { sum: numbers.reduce((one: number, other: number) => one + other, 0) };
  }
}

class Silent extends WebSocketHandler {
  override async onMessage(): Promise<void> {
    await new Promise((resolve) => this.signal.addEventListener("abort", resolve));
  }
}

function startServer() {
  const app = new App({ handlers: [] })
    .route("/chat/:name", Chat, { presence: "count" })
    .route("/kept/:name", Chat, { history: { size: 100 } })
    .route("/values/:name", Values)
    .route("/sums", Sums)
    .route("/silent", Silent);
  return startApp(app);
}

/** More lines than the client keeps while it is disconnected, and more than it sends without an answer. */
const manyLines = Array.from({ length: 3_000 }, (_, index) => `line ${index}`);

describe("enfilade connect, with a pipe", patient, () => {
  it.each([[[]], [["--plain"]]])(
    "sends all lines in order, waits until they are sent, and exits with 0 %s",
    async (args) => {
      const { url } = await startServer();
      const path = `/chat/many${args.length}`;
      const { code } = await run(["connect", url + path, ...args], { input: `${manyLines.join("\n")}\n` });
      expect(code).toBe(0);
      // A plain client has no answers: its last lines may still be on their way.
      expect(await receivedIn(path).have(manyLines.length)).toEqual(manyLines);
    },
  );

  it("writes messages to stdout, and everything else to stderr", async () => {
    const { url, app } = await startServer();
    const running = start(["connect", `${url}/chat/a`, "--stay"], { input: "hello\n" });
    await running.until((out) => out.includes("hello\n"));
    app.registry.room("/chat/a").sendJSON({ from: "server" });
    app.registry.room("/chat/a").sendBinary(new Uint8Array([1, 2, 255]));
    await running.until((out) => out.includes("bytes"));
    running.signal("SIGINT");
    const { code, out, err } = await running.result;
    expect(out).toBe('hello\n{"from":"server"}\n3 bytes: AQL/\n');
    expect(err).toBe("* connected\n* 1 in the room\n");
    expect(code).toBe(0);
  });

  it("escapes control characters of messages, so that they cannot drive the terminal", async () => {
    const { url } = await startServer();
    const line = `${hostile}\n`;
    const { out: text } = await run(["connect", `${url}/chat/b`], { input: line });
    expect(text).toBe(`${String.raw`\u001b]0;title\u0007\u001b[2J\u009b31m\u001b[1A* connected\u202e\u2028end`} ö😀\n`);
    const { out } = await run(["connect", `${url}/values/b`, "--json"], { input: `${JSON.stringify(hostile)}\n` });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
    expect(out).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]/);
    expect(JSON.parse(out)).toBe(hostile);
  });

  it("escapes what a hostile server puts into any part of a frame", async () => {
    const server = new WebSocketServer({ port: 0, handleProtocols: () => "enfilade.v1" });
    onTestFinished(() => void server.close());
    const position = { epoch: hostile, offset: 0 };
    const error = { code: hostile, message: hostile, issues: [{ path: hostile, message: hostile }] };
    const users = [{ id: hostile, connections: 1 }];
    server.on("connection", (socket) => {
      const send = (frame: object) => socket.send(JSON.stringify(frame));
      send({ type: "welcome", id: hostile, room: "/a", heartbeatMs: 0, position });
      send({ type: "presence", room: "/a", version: 1, count: hostile, users });
      send({ type: "message", text: hostile, room: hostile, offset: hostile });
      send({ type: "lagged", missed: hostile, position });
      send({ type: "error", error });
      socket.close(4500, hostile);
    });
    const { port } = server.address() as AddressInfo;
    const { code, out, err } = await start(["connect", `localhost:${port}/a`]).result;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
    expect(out + err).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]/);
    expect(err.match(/ö/gu)?.length).toBeGreaterThan(6);
    expect(err.split("\n").filter((line) => line !== "" && !line.startsWith("* "))).toEqual([]);
    expect(code).toBe(1);
  });

  it("sends JSON with --json, and refuses a line that is not JSON", async () => {
    const { url } = await startServer();
    const { code, out, err } = await run(["connect", `${url}/values/c`, "--json"], { input: '{"a":[1]}\noops\n\n2\n' });
    expect(receivedIn("/values/c").all).toEqual(['{"a":[1]}', "2"]);
    expect(out).toBe('{"a":[1]}\n2\n');
    expect(err).toContain('* not sent, since this is not JSON: oops; a text is written "oops", with quotes\n');
    expect(code).toBe(1);
  });

  it("sends events with --event and shows their replies, and exits with 1 if one is refused", async () => {
    const { url } = await startServer();
    const args = ["connect", `${url}/sums`, "--event", "add", "--json"];
    expect(await run(args, { input: "[1,2,39]\n" })).toMatchObject({
      code: 0,
      err: '* connected\n* reply: {"sum":42}\n',
    });
    const refused = await run(args, { input: "7\n" });
    expect(refused).toMatchObject({ code: 1, err: "* connected\n* refused: no_list: a list is needed\n" });
    await run([...args.with(1, `${url}/values/event`), "--plain"], { input: "7\n" });
    expect(await receivedIn("/values/event").have(1)).toEqual(['{"event":"add","data":7}']);
  });

  it("connects with a token, from an option or from the environment, or with a header", async () => {
    const { url } = await startServer();
    const refused = await run(["connect", `${url}/chat/locked`], { input: "hello\n" });
    expect(refused).toEqual({ code: 1, out: "", err: "* closed: 4501 a token\\u001b[2J is needed (HTTP 401)\n" });
    const input = "hello\n";
    const token = await run(["connect", `${url}/chat/locked`, "--token", "-secret"], { input });
    const variable = await run(["connect", `${url}/chat/locked`], { input, env: { ENFILADE_TOKEN: "-secret" } });
    const header = await run(["connect", `${url}/chat/locked`, "--header", "Authorization: secret"], { input });
    expect([token.code, variable.code, header.code]).toEqual([0, 0, 0]);
  });

  it("exits with 1 if the server cannot be reached", async () => {
    const { code, out, err } = await run(["connect", "ws://127.0.0.1:1/chat/a"], { input: "hello\n" });
    expect([code, out, err]).toEqual([1, "", "* closed: 1006 no server listens at 127.0.0.1:1\n"]);
    const plain = await run(["connect", "ws://127.0.0.1:1/chat/a", "--plain"], { input: "hello\n" });
    expect([plain.code, plain.err]).toEqual([1, err]);
  });

  it("says in words why a server opens no room", async () => {
    const plain = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => false });
    onTestFinished(() => plain.close());
    await new Promise((resolve) => plain.once("listening", resolve));
    // The server listens on a port, so its address is an object.
    const other = `127.0.0.1:${(plain.address() as AddressInfo).port}/`;
    const { port } = await startApp(new App());
    const urls = [`ws://${other}`, `wss://${other}`, `ws://127.0.0.1:${port}/nowhere --plain`, "ws://nowhere.invalid/"];
    const results = await Promise.all(urls.map((url) => run(["connect", ...url.split(" ")], { input: "hello\n" })));
    expect(results.map(({ err }) => err)).toEqual([
      "* closed: 1006 the server does not speak enfilade.v1; use --plain\n",
      "* closed: 1006 the server has no TLS at this port; use ws:// or http://\n",
      "* closed: 1006 the server answered with HTTP 404, and opened no WebSocket\n",
      "* closed: 1006 no address is known for the host nowhere.invalid\n",
    ]);
  });

  it("and enfilade doctor say that a server opens WebSockets, but does not answer in enfilade.v1", async () => {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    onTestFinished(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    // The server listens on a port, so its address is an object.
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const [connect, doctor] = await Promise.all([
      run(["connect", url], { input: "hello\n" }),
      run(["doctor", "--url", url]),
    ]);
    expect(connect.err).toContain(
      "* closed: the server did not answer in enfilade.v1; for another server, use --plain\n",
    );
    expect(doctor.out).toContain(`warning  ${url} upgrades, but sent no welcome`);
  });

  it("exits with 1 if the server closes before all lines are sent, or does not answer in time", async () => {
    const { url, app } = await startServer();
    const running = start(["connect", `${url}/chat/d`]);
    await running.until((_out, err) => err.includes("connected"));
    app.registry.room("/chat/d").close(1000, "enough");
    expect(await running.result).toMatchObject({ code: 1, err: expect.stringContaining("* closed: 1000 enough\n") });
    const silent = await run(["connect", `${url}/silent`, "--wait", "0.01"], { input: "a\nb\n" });
    expect(silent).toMatchObject({ code: 1, err: "* connected\n* the server did not answer 2 lines in time\n" });
  });

  it("begins with all that a room keeps, or after a position", async () => {
    const { url } = await startServer();
    const path = `${url}/kept/e`;
    await run(["connect", path], { input: "one\ntwo\nthree\n" });
    const all = start(["connect", path, "--stay", "--since", "all"], { input: "" });
    await all.until((out) => out.includes("three\n"));
    expect(all.out).toBe("one\ntwo\nthree\n");
    const [, epoch] = /position ([\w-]+):/.exec(all.err) ?? [];
    const rest = start(["connect", path, "--stay", "--since", `${epoch}:2`], { input: "" });
    await rest.until((out) => out.includes("three\n"));
    expect(rest.out).toBe("three\n");
  });

  it("restores a broken connection, and sends lines once that had no answer", async () => {
    const { url, port, app } = await startServer();
    const proxy = await startProxy(port);
    const running = start(["connect", `${url.replace(String(port), String(proxy.port))}/kept/f`]);
    running.type("one\n");
    await running.until((out) => out.includes("one\n"));
    proxy.cut();
    await running.until((_out, err) => err.includes("* no connection: 1006"));
    running.type("two\n");
    app.registry.room("/kept/f").sendText("missed");
    proxy.open();
    await running.until((out) => out.includes("two\n"));
    running.end();
    const { code, out, err } = await running.result;
    expect(err).toMatch(/\* connected again at position \S+\n\* recovered at 1: no message is missing\n/);
    expect([code, out]).toEqual([0, "one\nmissed\ntwo\n"]);
    expect(receivedIn("/kept/f").all).toEqual(["one", "two"]);
  });
});

/** Moves the cursor, clears, sets a title, and imitates a note. */
const hostile = "\x1b]0;title\x07\x1b[2J\u009b31m\x1b[1A* connected\u202e\u2028end ö😀";

describe.skipIf(missing("python", "enfilade connect on a terminal"))("enfilade connect, on a terminal", patient, () => {
  it("keeps the line that is being typed when messages arrive, also if it takes several rows", async () => {
    const { url, app } = await startServer();
    const room = app.registry.room("/chat/g");
    const terminal = new Terminal(["connect", `${url}/chat/g`], 40);
    await terminal.shows((lines) => lines.includes("* 1 in the room"));
    terminal.type("hel");
    await terminal.shows((lines) => lines.at(-1) === "> hel");
    room.sendText("first");
    const expected = ["* connected", "* 1 in the room", "< first", "> hel"];
    expect(await terminal.shows((lines) => lines.includes("< first") && lines.at(-1) === "> hel")).toEqual(expected);
    const rest = "lo, and this is longer than two rows of forty columns, so it wraps twice";
    terminal.type(rest);
    const wrapped = `hel${rest}`;
    const rows = [`> ${wrapped.slice(0, 38)}`, wrapped.slice(38)];
    await terminal.shows((lines) => lines.at(-1) === rows[1]);
    room.sendText("second");
    const lines = await terminal.shows((now) => now.includes("< second") && now.at(-1) === rows[1]);
    expect(lines).toEqual([...expected.slice(0, 3), "< second", ...rows]);
    terminal.type("\r");
    await receivedIn("/chat/g").have(1);
    expect(receivedIn("/chat/g").all).toEqual([wrapped]);
  });

  it("shows notes in another style than messages, and without colours if NO_COLOR is set", async () => {
    const { url } = await startServer();
    const colored = new Terminal(["connect", `${url}/chat/h`]);
    await colored.shows((lines) => lines.includes("* connected"));
    expect(colored.received).toContain("\x1b[2m* connected\x1b[22m\n".replace("\n", "\r\n"));
    const plain = new Terminal(["connect", `${url}/chat/h`], 80, { env: { NO_COLOR: "1" } });
    await plain.shows((lines) => lines.includes("* connected"));
    expect(plain.received).toContain("* connected\r\n");
    expect(plain.received).not.toContain("\x1b[2m");
  });

  it("shows a hostile message as one line that begins with its sign", async () => {
    const { url, app } = await startServer();
    const terminal = new Terminal(["connect", `${url}/kept/h`], 200);
    await terminal.shows((lines) => lines.some((line) => line.startsWith("* connected")));
    app.registry.room("/kept/h").sendText(`${hostile}\n* connected again\r> rm -rf`);
    const lines = await terminal.shows((now) => now.some((line) => line.startsWith("#1")));
    expect(lines.filter((line) => line !== ">")).toEqual([
      expect.stringMatching(/^\* connected at position [\w-]+:0$/),
      expect.stringMatching(/^#1 < \\u001b\]0;title.*\\n\* connected again\\r> rm -rf$/),
    ]);
  });

  it("cuts off a very long message, which is complete in a pipe", async () => {
    const { url, app } = await startServer();
    const path = "/chat/long";
    const terminal = new Terminal(["connect", url + path], 20_000);
    const pipe = start(["connect", url + path]);
    await terminal.shows((lines) => lines.includes("* 2 in the room"));
    await pipe.until((_out, err) => err.includes("connected"));
    const text = "x".repeat(15_000);
    app.registry.room(path).sendText(text);
    const lines = await terminal.shows((now) => now.some((line) => line.endsWith("more characters)")));
    expect(lines).toContain(`< ${text.slice(0, 10_000)}… (5000 more characters)`);
    await pipe.until((out) => out === `${text}\n`);
  });

  it("shows the end of a connection and the reconnect", async () => {
    const { url, port } = await startServer();
    const proxy = await startProxy(port);
    const terminal = new Terminal(["connect", `${url.replace(String(port), String(proxy.port))}/kept/i`], 120);
    await terminal.shows((lines) => lines.some((line) => line.startsWith("* connected at")));
    proxy.cut();
    await terminal.shows((lines) => lines.some((line) => line.startsWith("* no connection: 1006")));
    proxy.open();
    await terminal.shows((lines) => lines.some((line) => line.startsWith("* recovered at 0")));
    terminal.type("still here\r");
    expect(await receivedIn("/kept/i").have(1)).toEqual(["still here"]);
  });

  it.each([
    ["Ctrl-C", "\x03"],
    ["Ctrl-D", "\x04"],
  ])("ends with 0 on %s, and closes the connection with 1000", async (_name, key) => {
    const { url, app } = await startServer();
    const closed = new Promise((resolve) => app.on("close", (_connection, code) => resolve(code)));
    const terminal = new Terminal(["connect", `${url}/chat/j`]);
    await terminal.shows((lines) => lines.includes("* 1 in the room"));
    terminal.type(key);
    expect((await terminal.running.result).code).toBe(0);
    expect(await closed).toBe(1000);
  });
});
