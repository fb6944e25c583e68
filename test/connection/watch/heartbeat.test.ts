import { once } from "node:events";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { WebSocketHandler } from "../../../src/index.js";
import { ManualClock } from "../../../src/testing/index.js";
import { Mailbox, startWith } from "../../support/app.js";
import { clientFrame, rawConnection, readByServer } from "../../support/raw.js";

const heartbeatMs = 1_000;

class Listener extends WebSocketHandler {
  static readonly reported = new Mailbox<unknown>();
  onMessage(text: string | undefined, error?: Error) {
    Listener.reported.put(text ?? error);
  }
  override onClose(code: number) {
    Listener.reported.put(code);
  }
}

async function startSilent(limits: { heartbeatMs: number | false } = { heartbeatMs }) {
  Listener.reported.all.length = 0;
  const clock = new ManualClock();
  const running = await startWith("/listener", Listener, { clock, limits });
  return { ...running, clock, reported: Listener.reported };
}

describe("the heartbeat", () => {
  it("ends a silent connection after two intervals, with 1006, and not before", async () => {
    const { port, clock, reported, app } = await startSilent();
    const client = await rawConnection(port, "/listener");
    client.socket.write(clientFrame(0x81, "hello"));
    await reported.have(1);
    clock.advance(2 * heartbeatMs - 1);
    expect(app.status().connections).toBe(1);
    clock.advance(1);
    expect(await reported.have(3)).toMatchObject(["hello", { closeCode: 1006, isClean: false, by: "network" }, 1006]);
    const received = await client.ended;
    expect(received.subarray(-2)).toEqual(Buffer.from([0x89, 0]));
    expect(app.status().connections).toBe(0);
  });

  it.each([
    ["a message", clientFrame(0x81, "x")],
    ["a ping", clientFrame(0x89, "")],
    ["an unasked pong", clientFrame(0x8a, "")],
    ["part of a message", clientFrame(0x81, "xxxxxxxx").subarray(0, 9)],
  ])("takes %s for a sign of life", async (_name, bytes) => {
    const { port, clock, app } = await startSilent();
    const client = await rawConnection(port, "/listener");
    const alive = app.registry.connections[0];
    for (const piece of bytes) {
      clock.advance(0.9 * heartbeatMs);
      client.socket.write(Buffer.of(piece));
      await readByServer(port, "/listener");
    }
    clock.advance(heartbeatMs);
    expect(alive?.isOpen).toBe(true);
  });

  it("pings a silent client, and its pong keeps the connection", async () => {
    const { url, clock, app } = await startSilent();
    const client = new WebSocket(`${url}/listener`);
    onTestFinished(() => client.terminate());
    await once(client, "open");
    for (let beat = 0; beat < 5; beat += 1) {
      const pinged = once(client, "ping");
      clock.advance(heartbeatMs);
      await pinged;
      // The pong was sent before this text and arrives before it.
      client.send(String(beat));
      await Listener.reported.have(beat + 1);
    }
    expect(app.status().connections).toBe(1);
  });

  it("continues to ping while a busy handler pauses the socket, and ignores that silence", async () => {
    class Busy extends WebSocketHandler {
      async onMessage() {
        Listener.reported.put("busy");
        await new Promise((resolve) => this.signal.addEventListener("abort", resolve));
      }
    }
    Listener.reported.all.length = 0;
    const clock = new ManualClock();
    const { port, app } = await startWith("/busy", Busy, {
      clock,
      limits: { heartbeatMs, inboxMessagesMax: 1, closeMs: 1 },
    });
    const client = await rawConnection(port, "/busy");
    client.socket.write(Buffer.concat([clientFrame(0x81, "1"), clientFrame(0x81, "2")]));
    await Listener.reported.have(1);
    await new Promise((resolve) => setImmediate(resolve));
    const before = client.socket.bytesRead;
    for (let beat = 0; beat < 4; beat += 1) clock.advance(heartbeatMs);
    await client.received("\x89\x00\x89\x00\x89\x00");
    expect(client.socket.bytesRead).toBeGreaterThan(before);
    expect(app.status().connections).toBe(1);
  });

  it("never pings when it is off", async () => {
    const { port, clock, app, reported } = await startSilent({ heartbeatMs: false });
    const client = await rawConnection(port, "/listener");
    clock.advance(1_000_000);
    client.socket.write(clientFrame(0x81, "still here"));
    expect(await reported.have(1)).toEqual(["still here"]);
    expect(app.status().connections).toBe(1);
  });
});
