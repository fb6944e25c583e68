import { describe, expect, it, onTestFinished } from "vitest";
import { connect as connectRoom } from "../src/client/index.js";
import { App, anonymous, ConnectionError, HttpError, Route, WebSocketHandler } from "../src/index.js";
import { connect, connectURL, ManualClock, socketsOf, type TestWebSocketEvent } from "../src/testing/index.js";
import { Mailbox } from "./support/app.js";

@Route("/chat/:channel")
class Chat extends WebSocketHandler<{ channel: string }> {
  override authorize() {
    if (this.request.headers["x-token"] === "bad") throw new HttpError(401, "bad token");
    return anonymous;
  }
  onJSON(message: unknown) {
    this.sendJSONToThisRoom({ channel: this.params.channel, message });
  }
  override onBinary(bytes: Uint8Array) {
    this.sendBinary(bytes);
  }
}

describe("connect()", () => {
  it("is refused by an app that has closed, even after an earlier connection", async () => {
    const app = new App({ handlers: [Chat] });
    await connect(app, "/chat/a");
    await app.close();
    await expect(connect(app, "/chat/a")).rejects.toMatchObject({ code: "ERR_APP_STATE" });
  });

  it("runs the whole path without a port", async () => {
    await using app = new App({ handlers: [Chat], subprotocols: ["v1"] });
    const ann = await connect(app, "/chat/general", { protocols: ["v1", "v2"] });
    const bob = await connect(app, "/chat/general/");
    expect([ann.protocol, bob.protocol, app.registry.room("/chat/general").size]).toEqual(["v1", "", 2]);
    ann.sendJSON("hi");
    const said = { channel: "general", message: "hi" };
    expect([await ann.readJSON(), await bob.readJSON()]).toEqual([said, said]);
    ann.sendBinary(new Uint8Array([1, 2]));
    expect([...(await ann.readBinary())]).toEqual([1, 2]);
    expect(await ann.close(4000, "bye")).toEqual({ code: 4000, reason: "bye", isClean: true, by: "client" });
    await expect(ann.read()).rejects.toThrow(ConnectionError);
  });

  it("rejects with the answer of an app that refuses", async () => {
    await using app = new App({ handlers: [Chat] });
    const refused = await connect(app, "/chat/x", { headers: { "x-token": "bad" } }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HttpError);
    expect(refused).toMatchObject({ status: 401, message: "bad token" });
    await expect(connect(app, "/nowhere")).rejects.toMatchObject({ status: 404 });
  });

  it("notifies the app of a client that vanishes, and the client of an app that closes", async () => {
    const app = new App({ handlers: [Chat] });
    const [ann, bob] = [await connect(app, "/chat/x"), await connect(app, "/chat/x")];
    const closed = new Promise((resolve) => app.on("close", (_connection, code) => resolve(code)));
    ann.terminate();
    expect(await closed).toBe(1006);
    expect(app.status()).toMatchObject({ connections: 1 });
    await app.close();
    expect(await bob.closed).toMatchObject({ code: 1001, reason: "server shutting down" });
    const texts = [];
    for await (const { text } of bob) texts.push(text);
    expect(texts).toEqual([]);
  });
});

describe("connectURL()", () => {
  it("rejects if no server listens", async () => {
    await expect(connectURL("ws://127.0.0.1:1/")).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe("ManualClock", () => {
  it("fires due timers in order, and no cancelled one", () => {
    const clock = new ManualClock();
    const reported: string[] = [];
    clock.setTimeout(() => reported.push(`b ${clock.now()}`), 20);
    clock.setTimeout(() => {
      reported.push(`a ${clock.now()}`);
      clock.setTimeout(() => reported.push(`c ${clock.now()}`), 15);
    }, 10);
    clock.setTimeout(() => reported.push("never"), 12).cancel();
    clock.advance(24);
    expect([reported, clock.now()]).toEqual([["a 10", "b 20"], 24]);
    clock.advance(1);
    expect(reported).toEqual(["a 10", "b 20", "c 25"]);
  });
});

describe("a WebSocket class without a port", () => {
  class Echo extends WebSocketHandler {
    override authorize() {
      if (this.query.get("as") === "stranger") throw new HttpError(401);
      if (this.query.get("as") === "gone") throw new HttpError(410);
      return { id: "ann" };
    }
    onMessage(text: string) {
      this.sendText(text);
    }
    override onBinary(bytes: Uint8Array) {
      this.sendBinary(bytes);
    }
  }

  async function socketOn(path: string, protocols: string[] = []) {
    const app = new App().route("/echo", Echo);
    onTestFinished(() => app.close());
    const socket = new (socketsOf(app))(`ws://app${path}`, protocols);
    const events: TestWebSocketEvent[] = [];
    const has = (type: string) =>
      new Promise<void>((resolve) => socket.addEventListener(type as "open", () => resolve()));
    for (const type of ["open", "message", "error", "close"] as const) {
      socket.addEventListener(type, (event) => events.push(event));
    }
    return { app, socket, events, has };
  }

  it("connects, sends, receives and closes like that of a browser", async () => {
    const { socket, events, has } = await socketOn("/echo?as=ann", ["enfilade.v1"]);
    expect(socket.readyState).toBe(0);
    await has("open");
    expect([socket.readyState, socket.protocol, socket.url]).toEqual([1, "enfilade.v1", "ws://app/echo?as=ann"]);
    const closed = has("close");
    socket.close(4000, "done");
    expect(socket.readyState).toBe(2);
    await closed;
    expect(socket.readyState).toBe(3);
    expect(events.map(({ type }) => type)).toEqual(["open", "message", "close"]);
    expect(events.at(-1)).toMatchObject({ code: 4000, reason: "done", wasClean: true });
  });

  it("reports the status of a refusal", async () => {
    const { events, has } = await socketOn("/echo?as=stranger");
    await has("close");
    expect(events).toMatchObject([
      { type: "error", message: "Unexpected server response: 401" },
      { type: "close", code: 1006 },
    ]);
  });

  it("reports an immediate refusal: by a closed app, or because no route matches", async () => {
    const app = new App({ logger: { warn: () => undefined, error: () => undefined } }).route("/echo", Echo);
    const statusAt = (path: string) =>
      new Promise<unknown>((resolve) => {
        const socket = new (socketsOf(app))(`ws://app${path}`);
        socket.addEventListener("error", ({ message }) => resolve(message));
      });
    expect(await statusAt("/nowhere")).toBe("Unexpected server response: 404");
    await app.close();
    expect(await statusAt("/echo?as=ann")).toBe("Unexpected server response: 503");
  });

  it("works with enfilade/client", async () => {
    const { app } = await socketOn("/echo?as=ann");
    const room = connectRoom("ws://app/echo?as=ann", { WebSocket: socketsOf(app) });
    const seen = new Mailbox<unknown>();
    room.on("message", ({ text }) => seen.put(text));
    room.sendText("hello");
    expect(await seen.have(1)).toEqual(["hello"]);
    room.close();
  });

  it("sends headers, and has a request of Node for session middleware", async () => {
    class Session extends WebSocketHandler {
      override authorize() {
        const { raw } = this.request;
        return { id: `${raw?.method} ${raw?.url} ${raw?.headers.cookie}` };
      }
      override onConnect() {
        this.sendText(String(Reflect.get(Object(this.user), "id")));
      }
      onMessage() {
        return undefined;
      }
    }
    await using app = new App().route("/session", Session);
    const headers = { Cookie: "session=1" };
    const client = await connect(app, "/session?a=1", { headers });
    expect(await client.readText()).toBe("GET /session?a=1 session=1");
    const room = connectRoom("ws://app/session", { WebSocket: socketsOf(app, { headers }) });
    const [message] = await new Promise<[{ text?: unknown }]>((resolve) =>
      room.on("message", (...args) => resolve(args)),
    );
    expect(String(message.text)).toContain("session=1");
    room.close();
    expect(() => socketsOf(app, { header: {} } as never)).toThrow(/did you mean "headers"/);
  });

  it("gives enfilade/client the status of a final refusal, so that it stops", async () => {
    const { app } = await socketOn("/echo?as=ann");
    const room = connectRoom("ws://app/echo?as=gone", { WebSocket: socketsOf(app) });
    await expect(room.opened).rejects.toMatchObject({ status: 410 });
    expect(room.state).toBe("closed");
  });
});

describe("options of a test client", () => {
  it("are refused if they do not exist", async () => {
    const app = new App();
    const wrong = { header: {} } as object;
    const refused = expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining('"headers"') });
    await expect(connect(app, "/x", wrong)).rejects.toEqual(refused);
    await expect(connectURL("ws://localhost:1", wrong)).rejects.toEqual(refused);
  });
});
