import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { App, HttpError, WebSocketHandler } from "../../src/index.js";
import { connectURL, ManualClock } from "../../src/testing/index.js";
import { Mailbox, start } from "../support/app.js";
import { answerTo, clientFrame, type RawClient, rawClient, upgradeRequest } from "../support/raw.js";

const v1 = { protocols: ["enfilade.v1"] };
const offer = { "Sec-WebSocket-Protocol": "enfilade.token.YQ, enfilade.v1" };
const closeFrame = clientFrame(0x88, Buffer.from([0x11, 0x95]));

/** Refuses according to its path, and records its calls of hooks. */
class Refuses extends WebSocketHandler<{ status: string }> {
  static readonly hooks = new Mailbox<string>();
  override authorize() {
    const status = Number(this.params.status);
    if (this.query.has("response")) return new Response("no", { status });
    throw new HttpError(status, this.query.get("text") ?? "");
  }
  override onConnect() {
    Refuses.hooks.put("onConnect");
  }
  override onClose() {
    Refuses.hooks.put("onClose");
  }
  override onError() {
    Refuses.hooks.put("onError");
  }
  onMessage() {
    Refuses.hooks.put("onMessage");
  }
}

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

function refusing(options = {}): Promise<Awaited<ReturnType<typeof start>>> {
  const logger = { warn: () => undefined, error: () => undefined };
  return start(new App({ logger, ...options }).route("/refuse/:status", Refuses).route("/echo", Echo));
}

/** A client that was refused by a close code, and does not answer the close. */
async function silentClient(port: number, target: string): Promise<RawClient> {
  const client = await rawClient(port);
  client.socket.write(upgradeRequest(target, offer));
  await client.received("unauthorized");
  return client;
}

describe("a client of enfilade.v1 that is refused", () => {
  it.each([
    ["HttpError(401)", "/refuse/401", {}, 4501, "unauthorized"],
    ["HttpError(403)", "/refuse/403", {}, 4501, "unauthorized"],
    ["HttpError(404)", "/refuse/404", {}, 4504, "not found"],
    ["HttpError(401) with a text", "/refuse/401?text=Please+sign+in", {}, 4501, "Please sign in"],
    ["HttpError(404) with a long text", `/refuse/404?text=${"é".repeat(70)}`, {}, 4504, "é".repeat(61)],
    ["a Response of 403", "/refuse/403?response", {}, 4501, "unauthorized"],
    ["a Response of 404", "/refuse/404?response", {}, 4504, "not found"],
    ["its origin", "/echo", { origin: "https://evil.example" }, 4501, "unauthorized"],
    ["no route", "/nowhere", {}, 4504, "not found"],
  ])("by %s gets a close code", async (_name, path, headers, code, reason) => {
    const { open, app, errors } = await refusing();
    const seen: string[] = [];
    for (const event of ["open", "close"] as const) app.on(event, () => seen.push(event));
    const client = await open(path, { ...v1, headers });
    client.sendJSON({ type: "message", text: "too early" });
    expect(client.protocol).toBe("enfilade.v1");
    await expect(client.read()).rejects.toMatchObject({ closeCode: code, closeReason: reason });
    expect(await client.closed).toMatchObject({ code, reason, isClean: true });
    expect([Refuses.hooks.all, seen, errors]).toEqual([[], [], []]);
    const totals = { refused: 1, opened: 0, closed: 0, received: 0 };
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0, handshakes: 0, totals });
  });

  it.each([400, 402, 409, 429, 500, 503])("with %i gets the HTTP answer", async (status) => {
    const { open } = await refusing();
    await expect(open(`/refuse/${status}?text=no`, v1)).rejects.toMatchObject({ status, message: "no" });
  });

  it("by 401 or 404 with another subprotocol or none gets the HTTP answer", async () => {
    const { open } = await refusing();
    await expect(open("/refuse/401?text=no")).rejects.toMatchObject({ status: 401, message: "no" });
    await expect(open("/refuse/401", { protocols: ["enfilade.v2"] })).rejects.toMatchObject({ status: 401 });
    await expect(open("/nowhere")).rejects.toMatchObject({ status: 404 });
  });

  it("and sends an invalid handshake gets the HTTP answer", async () => {
    const { port, app } = await refusing();
    const old = upgradeRequest("/nowhere", { ...offer, "Sec-WebSocket-Version": "7" });
    expect(await answerTo(port, old)).toMatch(/^HTTP\/1.1 4\d\d /);
    expect(app.status().totals.refused).toBe(1);
  });

  it("because no route matches is left to another listener", async () => {
    const server = createServer();
    const other = new WebSocketServer({ noServer: true });
    server.on("upgrade", (incoming, socket, head) => {
      if (incoming.url === "/other") other.handleUpgrade(incoming, socket, head, (ws) => ws.send("other"));
    });
    await using app = new App().route("/echo", Echo).attach(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    // The server listens on a port, so its address is an object.
    const client = await connectURL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/other`, v1);
    expect(await client.readText()).toBe("other");
    expect(app.status().totals.refused).toBe(0);
    client.terminate();
  });

  it("and never answers the close is disconnected after closeMs, and counts as a connection until then", async () => {
    const clock = new ManualClock();
    const { port, app, open } = await refusing({ clock, limits: { connectionsMax: 2, closeMs: 300 } });
    const silent = await silentClient(port, "/refuse/401");
    const wrong = await open("/nowhere", v1);
    expect(await wrong.closed).toMatchObject({ code: 4504 });
    const second = await silentClient(port, "/refuse/401");
    await expect(open("/echo", v1)).rejects.toMatchObject({ status: 503 });
    await expect(open("/nowhere", v1)).rejects.toMatchObject({ status: 404 });
    silent.socket.write(clientFrame(0x81, "still here"));
    clock.advance(300);
    // The connection may also end with a reset.
    await Promise.allSettled([silent.ended, second.ended]);
    const echo = await open("/echo");
    echo.sendText("hello");
    expect(await echo.readText()).toBe("hello");
    expect(app.status().totals).toMatchObject({ opened: 1, refused: 5, received: 1 });
  });

  it("gets no close code from an app that is closing", async () => {
    const released = new Mailbox<() => void>();
    class Hangs extends Echo {
      override onClose() {
        return new Promise<void>((resolve) => released.put(resolve));
      }
    }
    const { app, open, port } = await start(new App().route("/hangs", Hangs));
    const raw = await rawClient(port);
    const [line = "", ...rest] = upgradeRequest("/nowhere", offer).split(/(?<=\r\n)/);
    // A connection without a request is idle, and Node may close it at once.
    raw.socket.write(line);
    const client = await open("/hangs");
    const closed = app.close();
    await client.closed;
    raw.socket.write(rest.join(""));
    expect((await raw.ended).toString()).toMatch(/^HTTP\/1.1 404 /);
    for (const release of await released.have(1)) release();
    await closed;
  });

  it("is awaited when the app closes, and disconnected after timeoutMs", async () => {
    const { app, port } = await refusing({ clock: new ManualClock() });
    const polite = await silentClient(port, "/refuse/401");
    const closed = app.close();
    polite.socket.write(closeFrame);
    await closed;
    await polite.ended;

    const warnings = new Mailbox<string>();
    const logger = { warn: (message: string) => warnings.put(message), error: () => undefined };
    const other = await refusing({ logger });
    const silent = await silentClient(other.port, "/refuse/401");
    await other.app.close({ timeoutMs: 50 });
    await silent.ended;
    expect(warnings.all).toContain("enfilade: some connections had not ended after 50 ms; they were destroyed");
  });
});
