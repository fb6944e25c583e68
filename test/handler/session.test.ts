import { describe, expect, it } from "vitest";
import { App, ConnectionError, HttpError, WebSocketHandler } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";
import { closes, Mailbox, startWith } from "../support/app.js";
import { clientFrame, rawConnection } from "../support/raw.js";

/** A promise that the test settles. */
function createGate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

describe("the messages of a connection", () => {
  it("are handled in order, one at a time, for any duration", async () => {
    const reported = new Mailbox<string>();
    class Slow extends WebSocketHandler {
      async onMessage(text: string) {
        reported.put(`begin ${text}`);
        await new Promise((resolve) => setImmediate(resolve));
        reported.put(`end ${text}`);
      }
    }
    const client = await (await startWith("/slow", Slow)).open("/slow");
    for (const text of ["a", "b", "c"]) client.sendText(text);
    expect(await reported.have(6)).toEqual(["begin a", "end a", "begin b", "end b", "begin c", "end c"]);
  });

  it("wait while onConnect awaits", async () => {
    const connected = createGate();
    const reported = new Mailbox<string>();
    class Late extends WebSocketHandler {
      override async onConnect() {
        await connected.opened;
        reported.put("connected");
      }
      onMessage(text: string) {
        reported.put(text);
        if (text === "2") this.sendText("done");
      }
    }
    const { open, app } = await startWith("/late", Late);
    const client = await open("/late");
    client.sendText("1");
    client.sendText("2");
    await client.close();
    expect(app.registry.room("/late").size).toBe(1);
    connected.open();
    expect(await reported.have(3)).toEqual(["connected", "1", "2"]);
  });

  it("pause the socket above the limit, and none is lost", async () => {
    const going = createGate();
    const count = 3_000;
    const reported = new Mailbox<number>();
    class Busy extends WebSocketHandler {
      async onJSON(message: unknown) {
        await going.opened;
        reported.put(Number((message as { n: number }).n));
      }
    }
    class Echo extends WebSocketHandler {
      onMessage(text: string) {
        this.sendText(text);
      }
    }
    const { open, app } = await startWith("/busy", Busy, { limits: { inboxMessagesMax: 8 } });
    const other = await (await startWith("/echo", Echo)).open("/echo");
    const client = await open("/busy");
    const padding = "x".repeat(10_000);
    for (let n = 0; n < count; n += 1) client.sendJSON({ n, padding });
    // 30 MB do not fit into the buffers in between. While nothing is handled, part of it is not received,
    // although other connections continue meanwhile.
    for (let round = 0; round < 500; round += 1) {
      other.sendText("x");
      await other.read();
    }
    expect(app.status().totals.received).toBeLessThan(count);
    going.open();
    expect(await reported.have(count)).toEqual(Array.from({ length: count }, (_, n) => n));
  });

  it("are still handled if they were sent before the client closed", async () => {
    const reported = new Mailbox<string>();
    class Keep extends WebSocketHandler {
      async onMessage(text: string) {
        await new Promise((resolve) => setImmediate(resolve));
        reported.put(text);
      }
      override onClose(code: number) {
        reported.put(`closed ${code}`);
      }
    }
    const client = await (await startWith("/keep", Keep)).open("/keep");
    client.sendText("1");
    client.sendText("2");
    await client.close(4000, "gone");
    expect(await reported.have(3)).toEqual(["1", "2", "closed 4000"]);
  });

  it("are no longer handled once the handler has closed the connection", async () => {
    const reported = new Mailbox<string>();
    class Once extends WebSocketHandler {
      onMessage(text: string) {
        reported.put(text);
        this.close(4001, "enough");
      }
      override onClose(code: number, reason: string) {
        reported.put(`closed ${code} ${reason}`);
      }
    }
    const client = await (await startWith("/once", Once)).open("/once");
    client.sendText("1");
    client.sendText("2");
    expect(await client.closed).toMatchObject({ code: 4001, reason: "enough" });
    expect(await reported.have(2)).toEqual(["1", "closed 4001 enough"]);
  });
});

describe("onClose", () => {
  class Leaver extends WebSocketHandler {
    static readonly reported = new Mailbox<unknown>();
    override onConnect() {
      this.join("/elsewhere");
    }
    onMessage(text: string) {
      if (text === "close") this.close(3000, "server said so");
      if (text === "throw") throw new Error("broken");
    }
    override onClose(code: number, reason: string) {
      const { rooms, connections } = this.app.status();
      Leaver.reported.put({ code, reason, left: this.leftRooms, inRooms: this.rooms.length, rooms, connections });
    }
  }
  const after = { left: ["/leaver", "/elsewhere"], inRooms: 0, rooms: 0, connections: 0 };

  it.each([
    ["the client closes", "client", { code: 4567, reason: "bye" }],
    ["the client closes without a code", "no code", { code: 1005, reason: "" }],
    ["the client vanishes", "terminate", { code: 1006, reason: "" }],
    ["the handler closes", "close", { code: 3000, reason: "server said so" }],
    ["a hook throws", "throw", { code: 1011, reason: "internal error" }],
    ["the registry closes it", "kick", { code: 4100, reason: "kicked" }],
    ["its room is closed", "room", { code: 1000, reason: "" }],
  ])("is called exactly once after leaving its rooms when %s", async (_name, how, expected) => {
    Leaver.reported.all.length = 0;
    const { open, app } = await startWith("/leaver", Leaver);
    const client = await open("/leaver");
    const closed = closes(app, 1);
    if (how === "client") await client.close(4567, "bye");
    else if (how === "no code") await client.close();
    else if (how === "terminate") client.terminate();
    else if (how === "kick") app.registry.connections[0]?.close(4100, "kicked");
    else if (how === "room") app.registry.room("/leaver").close();
    else client.sendText(how);
    await closed;
    await app.close();
    expect(Leaver.reported.all).toEqual([{ ...expected, ...after }]);
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0, users: 0, totals: { opened: 1, closed: 1 } });
  });

  it("may send to a room that the last member has left, which does nothing", async () => {
    class Farewell extends WebSocketHandler {
      onMessage() {
        this.close();
      }
      override onClose() {
        this.sendTextToThisRoom("bye");
        this.sendText("bye");
        this.sendTextToAll("bye");
      }
    }
    const { open, app, errors } = await startWith("/farewell", Farewell);
    const client = await open("/farewell");
    const closed = closes(app, 1);
    client.sendText("go");
    await closed;
    expect(errors).toEqual([]);
  });
});

describe("a failed connection", () => {
  it("calls the method once with a ConnectionError, while it is still in its room", async () => {
    const reported = new Mailbox<unknown>();
    class Chat extends WebSocketHandler {
      onJSON(message: unknown, error?: Error) {
        reported.put({ message, error, size: this.room.size });
      }
      override onClose(code: number) {
        reported.put(code);
      }
    }
    const client = await (await startWith("/chat", Chat)).open("/chat");
    client.terminate();
    const [call, code] = await reported.have(2);
    expect(call).toMatchObject({ message: undefined, size: 1 });
    expect(call).toHaveProperty("error", expect.any(ConnectionError));
    expect(call).toMatchObject({ error: { closeCode: 1006, isClean: false, by: "network" } });
    expect(code).toBe(1006);
  });

  it("does not call a method that takes only the message, nor any method after a clean close", async () => {
    const reported = new Mailbox<unknown>();
    class Alone extends WebSocketHandler {
      onJSON(message: unknown) {
        reported.put({ message });
      }
      override onClose(code: number) {
        reported.put(code);
      }
    }
    class Pair extends WebSocketHandler {
      onMessage(text: string | undefined, error?: Error) {
        reported.put({ text, error });
      }
      override onClose(code: number) {
        reported.put(code);
      }
    }
    const alone = await (await startWith("/alone", Alone)).open("/alone");
    alone.terminate();
    expect(await reported.have(1)).toEqual([1006]);
    const pair = await (await startWith("/pair", Pair)).open("/pair");
    await pair.close(4999);
    expect(await reported.have(2)).toEqual([1006, 4999]);
  });

  it.each([
    ["a frame that is too large", clientFrame(0x82, "", 0xffff), 1009],
    ["an unmasked frame", Buffer.from([0x81, 0x01, 0x61]), 1002],
    ["text that is not UTF-8", clientFrame(0x81, Buffer.from([0xff, 0xfe])), 1007],
    ["a reserved opcode", clientFrame(0x83, "x"), 1002],
  ])("by %s is closed with its code, and the handler gets it", async (_name, bytes, code) => {
    const reported = new Mailbox<unknown>();
    class Chat extends WebSocketHandler {
      onMessage(text: string | undefined, error?: Error) {
        reported.put(text ?? error);
      }
      override onClose(closed: number) {
        reported.put(closed);
      }
    }
    const { port, app } = await startWith("/chat", Chat, { limits: { messageBytesMax: 1000 } });
    const client = await rawConnection(port, "/chat");
    client.socket.write(Buffer.concat([clientFrame(0x81, "first"), bytes]));
    expect(await reported.have(3)).toMatchObject(["first", { closeCode: code, isClean: false, by: "server" }, code]);
    const received = await client.ended;
    const closeFrame = received.subarray(received.indexOf("\r\n\r\n") + 4);
    expect([closeFrame[0], closeFrame.readUInt16BE(2)]).toEqual([0x88, code]);
    expect(app.status().connections).toBe(0);
  });

  it("by too many fragments is closed with 1008", async () => {
    class Chat extends WebSocketHandler {
      onMessage() {
        this.sendText("never");
      }
    }
    const { port } = await startWith("/chat", Chat, { limits: { fragmentsMax: 3 } });
    const client = await rawConnection(port, "/chat");
    client.socket.write(
      Buffer.concat([clientFrame(0x01, "a"), ...Array.from({ length: 5 }, () => clientFrame(0, "b"))]),
    );
    const received = await client.ended;
    expect(received.readUInt16BE(received.indexOf("\r\n\r\n") + 6)).toBe(1008);
  });
});

describe("a hook that throws", () => {
  class Fragile extends WebSocketHandler {
    static readonly reported = new Mailbox<string>();
    #in(hook: string, sync: string): unknown {
      const fails = this.query.get("in") === hook;
      if (fails && sync === "sync") throw new Error(`secret in ${hook}`);
      return fails ? Promise.reject(new Error(`secret in ${hook}`)) : undefined;
    }
    #hook(name: string): unknown {
      return this.#in(name, this.query.get("how") ?? "");
    }
    override onConnect() {
      return this.#hook("onConnect");
    }
    onMessage(text: string | undefined) {
      if (text === "ping") this.sendText("pong");
      return this.#hook("onMessage");
    }
    override onBinary() {
      return this.#hook("onBinary");
    }
    override onClose() {
      Fragile.reported.put("closed");
      return this.#hook("onClose");
    }
    override onError(error: Error) {
      Fragile.reported.put(error.message);
      return this.#hook("onError");
    }
  }
  const hooks = ["onConnect", "onMessage", "onBinary", "onClose"];

  it.each(hooks.flatMap((hook) => ["sync", "async"].map((how) => [hook, how] as const)))(
    "(%s, %s) closes its connection with 1011, is reported, and harms no other client",
    async (hook, how) => {
      Fragile.reported.all.length = 0;
      const { open, errors, app } = await startWith("/fragile", Fragile);
      const other = await open("/fragile");
      const closed = closes(app, 1);
      const client = await open(`/fragile?in=${hook}&how=${how}`);
      if (hook === "onMessage") client.sendText("x");
      if (hook === "onBinary") client.sendBinary(new Uint8Array(1));
      if (hook === "onClose") client.close();
      const ending = await client.closed;
      expect(ending).toMatchObject(hook === "onClose" ? { code: 1005 } : { code: 1011, reason: "internal error" });
      await closed;
      expect(errors.map(({ message }) => message)).toEqual([`secret in ${hook}`]);
      expect(Fragile.reported.all.sort()).toEqual(["closed", `secret in ${hook}`]);
      other.sendText("ping");
      expect(await other.readText()).toBe("pong");
      expect(app.status().connections).toBe(1);
    },
  );

  it("in authorize answers 500 without details, and is reported", async () => {
    class Broken extends WebSocketHandler {
      override authorize(): never {
        throw new Error("secret");
      }
      onMessage() {
        return undefined;
      }
    }
    const { open, errors, app } = await startWith("/broken", Broken);
    const refused = await open("/broken").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HttpError);
    expect(refused).toMatchObject({ status: 500, message: "Internal Server Error" });
    expect(errors.map(({ message }) => message)).toEqual(["secret"]);
    expect(app.status()).toMatchObject({ connections: 0, handshakes: 0, totals: { opened: 0, refused: 1 } });
  });

  it("in its own constructor, or a field, answers 500", async () => {
    class Eager extends WebSocketHandler {
      readonly name = this.query.get("name");
      onMessage() {
        this.sendText(String(this.name));
      }
    }
    const { open, errors } = await startWith("/eager", Eager);
    await expect(open("/eager?name=x")).rejects.toMatchObject({ status: 500 });
    expect(errors).toMatchObject([{ code: "ERR_NOT_CONNECTED", message: expect.stringContaining("onConnect") }]);
  });

  it("in onError too reports both", async () => {
    class Worse extends WebSocketHandler {
      onMessage() {
        throw new Error("first");
      }
      override onError() {
        throw new Error("second");
      }
    }
    const { open, errors } = await startWith("/worse", Worse);
    const client = await open("/worse");
    client.sendText("x");
    expect(await client.closed).toMatchObject({ code: 1011 });
    expect(errors.map(({ message }) => message)).toEqual(["first", "second"]);
  });

  it("is logged if there is no error listener", async () => {
    const logged = new Mailbox<unknown>();
    const logger = { warn: () => undefined, error: (_message: string, error: unknown) => logged.put(error) };
    class Broken extends WebSocketHandler {
      onMessage() {
        throw "a string";
      }
    }
    const app = new App({ logger }).route("/broken", Broken);
    await using _closing = app;
    const { url } = await app.listen();
    const { connectURL } = await import("../../src/testing/index.js");
    const client = await connectURL(`${url}/broken`);
    client.sendText("x");
    expect(await client.closed).toMatchObject({ code: 1011 });
    expect(await logged.have(1)).toMatchObject([
      { message: 'onMessage of Broken ("/broken") threw "a string"', cause: "a string" },
    ]);
  });
});

describe("onConnect", () => {
  it("finds the connection in its room, can send to it, and can close it", async () => {
    class Greeter extends WebSocketHandler {
      override onConnect() {
        this.sendJSONToThisRoom({ here: this.room.members().map(({ id }) => id === this.id) });
        if (this.query.has("full")) this.close(4503, "full");
      }
      onMessage() {
        this.sendText("never");
      }
    }
    const { open, app } = await startWith("/greeter", Greeter);
    const client = await open("/greeter");
    expect(await client.readJSON()).toEqual({ here: [true] });
    const refused = await open("/greeter?full");
    refused.sendText("x");
    expect(await refused.readJSON()).toEqual({ here: [false, true] });
    expect(await refused.closed).toMatchObject({ code: 4503, reason: "full" });
    expect(app.registry.room("/greeter").members()).toHaveLength(1);
  });
});

describe("this.signal", () => {
  it("is aborted when the connection ends, from either side, and not before", async () => {
    const reported = new Mailbox<string>();
    class Signal extends WebSocketHandler {
      onMessage(text: string) {
        reported.put(`${text} ${this.signal.aborted}`);
        this.signal.addEventListener("abort", () => reported.put("aborted"));
        if (text === "close") this.close();
      }
    }
    const { open } = await startWith("/signal", Signal);
    const client = await open("/signal");
    client.sendText("stay");
    expect(await reported.have(1)).toEqual(["stay false"]);
    client.terminate();
    expect(await reported.have(2)).toEqual(["stay false", "aborted"]);
    (await open("/signal")).sendText("close");
    expect(await reported.have(4)).toEqual(["stay false", "aborted", "close false", "aborted"]);
  });
});

describe("a handler that hangs", () => {
  it("is never called after onClose", async () => {
    const clock = new ManualClock();
    const reported = new Mailbox<string>();
    const going = createGate();
    class Hang extends WebSocketHandler {
      override async onConnect() {
        reported.put("connecting");
        await going.opened;
        reported.put("connected");
      }
      onMessage(text: string | undefined, error?: Error) {
        reported.put(text ?? String(error));
      }
      override onClose(code: number) {
        reported.put(`closed ${code}`);
      }
    }
    const { open, app } = await startWith("/hang", Hang, { clock, limits: { closeMs: 500 } });
    const client = await open("/hang");
    client.sendText("1");
    client.sendText("2");
    await reported.have(1);
    const [connection] = app.registry.connections;
    client.terminate();
    await connection?.ended;
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(500);
    await reported.have(2);
    going.open();
    await reported.have(3);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reported.all).toEqual(["connecting", "closed 1006", "connected"]);
  });

  it("does not start serve() on a connection that ended during onConnect, and reports a late error", async () => {
    const clock = new ManualClock();
    const reported = new Mailbox<string>();
    const going = createGate();
    class Hang extends WebSocketHandler {
      override async onConnect() {
        reported.put("connecting");
        await going.opened;
        throw new Error("late");
      }
      async serve() {
        reported.put("serving");
      }
      override onClose(code: number) {
        reported.put(`closed ${code}`);
      }
      override onError(error: Error) {
        reported.put(error.message);
      }
    }
    const { open, app, errors } = await startWith("/hang", Hang, { clock, limits: { closeMs: 500 } });
    const client = await open("/hang");
    await reported.have(1);
    const [connection] = app.registry.connections;
    client.terminate();
    await connection?.ended;
    clock.advance(500);
    await reported.have(2);
    going.open();
    expect(await reported.have(3)).toEqual(["connecting", "closed 1006", "late"]);
    expect(errors.map(({ message }) => message)).toEqual(["late"]);
  });

  it("keeps its rooms no longer than closeMs after the connection has ended", async () => {
    const clock = new ManualClock();
    const reported = new Mailbox<string>();
    class Hang extends WebSocketHandler {
      async onMessage() {
        reported.put("hanging");
        await new Promise(() => undefined);
      }
      override onClose(code: number) {
        reported.put(`closed ${code}`);
      }
    }
    const { open, app } = await startWith("/hang", Hang, { clock, limits: { closeMs: 500 } });
    const client = await open("/hang");
    client.sendText("x");
    await reported.have(1);
    const [connection] = app.registry.connections;
    client.terminate();
    await connection?.ended;
    expect(app.status().connections).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(500);
    expect(await reported.have(2)).toEqual(["hanging", "closed 1006"]);
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0 });
  });
});
