import { describe, expect, it } from "vitest";
import { App, type ConnectionRequest, EventHandler, On, spacedEvents, WebSocketHandler } from "../../src/index.js";
import { connect } from "../../src/testing/index.js";
import { Mailbox, start } from "../support/app.js";

class Lobby extends EventHandler {
  override onConnect() {
    this.join("/lobby");
    this.emit("ready");
  }
  @On()
  onSay(data: unknown) {
    this.emitToRoom("/lobby", "user joined", data);
  }
  @On()
  onKeep(data: { text: string; secret?: string }) {
    this.emitToRoom("/kept", "state", data);
    data.secret = "later";
  }
}

class Kept extends EventHandler {
  @On()
  onNothing() {
    return undefined;
  }
}

describe("a room whose clients have several event protocols", () => {
  it("delivers an event to all except clients whose protocol cannot express it, and reports that once", async () => {
    const { open, errors } = await start(
      new App().route("/json", Lobby).route("/spaced", Lobby, { eventProtocol: spacedEvents }),
    );
    const first = await open("/json");
    const spaced = await open("/spaced");
    const last = await open("/json");
    for (const client of [first, spaced, last]) await client.read();
    first.sendJSON({ event: "say", data: 1 });
    expect(await first.readJSON()).toEqual({ event: "user joined", data: 1 });
    expect(await last.readJSON()).toEqual({ event: "user joined", data: 1 });
    expect(errors).toMatchObject([{ code: "ERR_VALUE" }]);
    spaced.sendText("say 2");
    expect(await spaced.readText()).toMatch(/^error .*internal/);
  });

  it("refuses an event that the protocol of the room cannot express, and keeps nothing of it", async () => {
    const app = new App().route("/kept", Kept, { history: { size: 5 }, replay: 5, eventProtocol: spacedEvents });
    const { registry } = app;
    expect(() => registry.emitToRoom("/kept", "two words")).toThrow(expect.objectContaining({ code: "ERR_VALUE" }));
    registry.emitToRoom("/kept", "fine", 1);
    const late = await connect(app, "/kept");
    expect(await late.readText()).toBe("fine 1");
    await app.close();
  });

  it("keeps an event as it was when it was sent", async () => {
    const { app, open } = await start(
      new App()
        .route("/json", Lobby)
        .route("/kept", Kept, { history: { size: 5 }, replay: 5, eventProtocol: spacedEvents }),
    );
    const sender = await open("/json");
    await sender.read();
    sender.sendJSON({ event: "keep", data: { text: "hello" }, id: 1 });
    await sender.readJSON();
    const late = await open("/kept");
    expect(await late.readText()).toBe('state {"text":"hello"}');
    expect(await app.registry.room("/kept").history()).toMatchObject([{ text: 'state {"text":"hello"}' }]);
  });
});

class Plain extends WebSocketHandler<object, string> {
  override authorize(request: ConnectionRequest) {
    return String(request.token);
  }
  override onConnect() {
    this.sendJSON(this.user);
  }
  onMessage() {
    this.sendJSON(this.user);
  }
}

describe("a client that renews its credentials", () => {
  it("does not become another user if users are strings", async () => {
    const { open } = await start(new App().route("/x", Plain));
    const token = Buffer.from("ann").toString("base64url");
    const client = await open("/x", { protocols: ["enfilade.v1", `enfilade.token.${token}`] });
    await client.read();
    expect(await client.readJSON()).toMatchObject({ data: "ann" });
    client.sendJSON({ type: "refresh", token: "ann" });
    client.sendJSON({ type: "message", text: "still here", id: 1 });
    expect(await client.readJSON()).toMatchObject({ data: "ann" });
    client.sendJSON({ type: "refresh", token: "bob" });
    expect(await client.closed).toMatchObject({ code: 4501 });
  });
});

describe("a frame with an id", () => {
  it("is run once, even if a connection that never started it ended first", async () => {
    const ran = new Mailbox<string>();
    let release: () => void = () => undefined;
    const busy = new Promise<void>((resolve) => {
      release = resolve;
    });
    class Slow extends WebSocketHandler {
      override onConnect() {
        return this.query.get("as") === "b" ? new Promise<void>(() => undefined) : undefined;
      }
      onMessage(text: string) {
        ran.put(`${text} on ${this.query.get("as")}`);
        return text === "one" ? busy : undefined;
      }
    }
    const { open, app } = await start(new App({ limits: { closeMs: 100_000 } }).route("/x", Slow));
    const url = (as: string) => `/x?as=${as}&client=client-of-one-tester`;
    const protocols = { protocols: ["enfilade.v1", `enfilade.secret.${"s".repeat(22)}`] };
    const a = await open(url("a"), protocols);
    a.sendJSON({ type: "message", text: "one", id: 1 });
    a.sendJSON({ type: "message", text: "two", id: 2 });
    a.sendJSON({ type: "ping" });
    await ran.have(1);
    while (((await a.readJSON()) as { type: string }).type !== "pong");
    const b = await open(url("b"), protocols);
    b.sendJSON({ type: "message", text: "two", id: 2 });
    b.sendJSON({ type: "no such frame" });
    expect(await b.closed).toMatchObject({ code: 4500 });
    const c = await open(url("c"), protocols);
    c.sendJSON({ type: "message", text: "two", id: 2 });
    const replied = async () => {
      for (;;) if (((await c.readJSON()) as { type: string }).type === "reply") return;
    };
    const answered = replied();
    release();
    await answered;
    expect(ran.all.filter((one) => one.startsWith("two"))).toHaveLength(1);
    await app.close({ timeoutMs: 100 });
  });
});

describe("the keep option", () => {
  it("is refused where no history is kept", () => {
    const app = new App().route("/x", Plain);
    const refused = expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining("keep") });
    expect(() => app.registry.sendJSONToAll(1, { keep: true })).toThrow(refused);
    expect(() => app.registry.sendJSONToRoom("/x", 1, { keep: true })).toThrow(refused);
    app.registry.sendJSONToRoom("/x", 1, { keep: false });
  });

  it("causes a warning for a history that keeps nothing", () => {
    const warnings: string[] = [];
    const logger = { warn: (text: string) => warnings.push(text), error: () => undefined };
    new App({ logger }).route("/x", Plain, { history: { size: 5 }, policy: { kind: "skip" } });
    expect(warnings).toEqual([
      expect.stringMatching(/Plain \("\/x"\) has history, but with its policy "skip" only messages sent with/),
    ]);
  });
});
