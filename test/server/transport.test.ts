import { describe, expect, it } from "vitest";
import { App, HttpError, latest, skip, WebSocketHandler } from "../../src/index.js";
import { Mailbox, start } from "../support/app.js";
import { LineClient, serveLines } from "../support/lines.js";

const reported = new Mailbox<unknown>();

class Chat extends WebSocketHandler<{ room: string }> {
  override authorize() {
    if (this.query.get("as") === null) throw new HttpError(401, "who are you?");
    return { id: String(this.query.get("as")) };
  }
  override onConnect() {
    this.sendText(`welcome ${this.request.path}`);
  }
  onMessage(text: string) {
    if (text === "leave") this.close(4000, "as you wish");
    else this.sendTextToThisRoom(text);
  }
  override onClose(code: number, reason: string) {
    reported.put([code, reason]);
  }
}

async function startChat(options = {}) {
  const running = await start(new App(options).route("/chat/:room", Chat, { history: { size: 10 }, replay: 2 }));
  const port = await serveLines(running.app);
  return { ...running, line: (path: string) => new LineClient(port, path) };
}

describe("a transport that is not a WebSocket", () => {
  it("is a member of the same room as WebSockets, with its own handler", async () => {
    const { line, open, app } = await startChat();
    const ann = line("/chat/a?as=ann");
    expect(await ann.next()).toEqual({ text: "welcome /chat/a" });
    const bob = await open("/chat/a?as=bob");
    expect(await bob.readText()).toBe("welcome /chat/a");
    ann.say({ text: "from a line" });
    expect(await bob.readText()).toBe("from a line");
    expect(await ann.next()).toEqual({ text: "from a line" });
    bob.sendText("from a socket");
    expect(await ann.next()).toEqual({ text: "from a socket" });
    app.registry.sendBinaryToRoom("/chat/a", Uint8Array.of(1, 2, 3));
    expect(await ann.next()).toEqual({ base64: "AQID" });
    expect(app.status()).toMatchObject({ connections: 2, users: 2, rooms: 1 });
  });

  it("gets the history of its room first", async () => {
    const { line, app } = await startChat();
    for (const text of ["one", "two", "three"]) await app.registry.room("/chat/a").publishText(text);
    const ann = line("/chat/a?as=ann");
    expect([await ann.next(), await ann.next(), await ann.next()]).toEqual([
      { text: "two" },
      { text: "three" },
      { text: "welcome /chat/a" },
    ]);
  });

  it("is refused like any client: without credentials, without a route, and past the limits", async () => {
    const { line } = await startChat({ limits: { connectionsPerAddressMax: 1 } });
    expect(await line("/chat/a").next()).toEqual({ refused: 401, body: "who are you?" });
    expect(await line("/nowhere").next()).toMatchObject({ refused: 404 });
    const ann = line("/chat/a?as=ann");
    await ann.next();
    expect(await line("/chat/a?as=bob").next()).toMatchObject({ refused: 429 });
  });

  it("is closed by its handler, by itself, and by the app, and its hook gets the code", async () => {
    const { line, app } = await startChat();
    const [ann, bob, eve] = [line("/chat/a?as=ann"), line("/chat/a?as=bob"), line("/chat/a?as=eve")];
    for (const one of [ann, bob, eve]) await one.next();
    const before = reported.all.length;
    ann.say({ text: "leave" });
    expect(await ann.next()).toEqual({ close: 4000, reason: "as you wish" });
    await reported.have(before + 1);
    bob.say({ close: 1000 });
    expect(await bob.next()).toEqual({ close: 1000, reason: "" });
    await reported.have(before + 2);
    const closing = app.close();
    expect(await eve.next()).toEqual({ close: 1001, reason: "server shutting down" });
    await closing;
    expect(reported.all.slice(before)).toEqual([
      [4000, "as you wish"],
      [1000, ""],
      [1001, "server shutting down"],
    ]);
  });

  it("is closed for a message that is too large", async () => {
    const { line } = await startChat({ limits: { messageBytesMax: 100 } });
    const ann = line("/chat/a?as=ann");
    await ann.next();
    ann.say({ text: "x".repeat(101) });
    expect(await ann.next()).toEqual({ close: 1009, reason: "message too big" });
  });

  it("loses messages that a policy may drop, keeps the latest, and is closed if it is too slow", async () => {
    const { line, app } = await startChat({ limits: { outboxBytesMax: 200_000, highWaterBytes: 50_000 } });
    const ann = line("/chat/a?as=ann");
    await ann.next();
    ann.socket.pause();
    const [connection] = app.registry.connections;
    if (connection === undefined) throw new Error("no connection");
    // The network accepts some of it: the transport lags once it accepts nothing between two turns of the event loop.
    let taken = true;
    while (taken) {
      while (connection.bufferedBytes < 50_000) connection.sendText("x".repeat(60_000));
      const before = connection.bufferedBytes;
      await new Promise((resolve) => setImmediate(resolve));
      taken = connection.bufferedBytes !== before;
    }
    const { dropped, replaced } = app.status().totals;
    connection.sendText("worthless when late", { policy: skip });
    connection.sendText("worthless too", { policy: skip });
    connection.sendText("old", { policy: latest("price") });
    connection.sendText("new", { policy: latest("price") });
    expect(app.status().totals).toMatchObject({ dropped: dropped + 3, replaced: replaced + 1 });
    const ended = connection.ended;
    while (connection.isOpen) {
      connection.sendText("y".repeat(60_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    ann.socket.resume();
    expect(await ended).toMatchObject({ code: 4008, reason: "slow", isClean: false });
    expect(app.status().totals.slow).toBe(1);
  });
});
