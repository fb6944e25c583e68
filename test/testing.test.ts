import { describe, expect, it } from "vitest";
import { App, anonymous, ConnectionError, HttpError, Route, WebSocketHandler } from "../src/index.js";
import { connect, connectURL, ManualClock } from "../src/testing/index.js";

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
  it("is refused by an app that has closed, also one that it connected to before", async () => {
    const app = new App({ handlers: [Chat] });
    await connect(app, "/chat/a");
    await app.close();
    await expect(connect(app, "/chat/a")).rejects.toMatchObject({ code: "ERR_APP_STATE" });
  });

  it("goes the whole way without a port", async () => {
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

  it("tells the app of a client that vanishes, and the client of an app that closes", async () => {
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
  it("rejects when nobody listens", async () => {
    await expect(connectURL("ws://127.0.0.1:1/")).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe("ManualClock", () => {
  it("fires what is due, in order, and nothing that was cancelled", () => {
    const clock = new ManualClock();
    const told: string[] = [];
    clock.setTimeout(() => told.push(`b ${clock.now()}`), 20);
    clock.setTimeout(() => {
      told.push(`a ${clock.now()}`);
      clock.setTimeout(() => told.push(`c ${clock.now()}`), 15);
    }, 10);
    clock.setTimeout(() => told.push("never"), 12).cancel();
    clock.advance(24);
    expect([told, clock.now()]).toEqual([["a 10", "b 20"], 24]);
    clock.advance(1);
    expect(told).toEqual(["a 10", "b 20", "c 25"]);
  });
});
