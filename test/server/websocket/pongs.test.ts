import { describe, expect, it } from "vitest";
import { defaultLimits, WebSocketHandler } from "../../../src/index.js";
import { ManualClock } from "../../../src/testing/index.js";
import { Mailbox, startWith } from "../../support/app.js";
import { clientFrame, rawConnection } from "../../support/raw.js";

class Echo extends WebSocketHandler {
  static readonly closed = new Mailbox<number>();
  onMessage(text: string) {
    this.sendText(text);
  }
  override onClose(code: number) {
    Echo.closed.put(code);
  }
}

const payload = "x".repeat(125);
const pings = Buffer.concat(Array.from({ length: 500 }, () => clientFrame(0x89, payload)));

describe("the answers to pings", () => {
  it("have the payload of each ping, in order with the messages", async () => {
    const { port } = await startWith("/echo", Echo);
    const client = await rawConnection(port, "/echo");
    const frames = [clientFrame(0x89, "1"), clientFrame(0x81, "a"), clientFrame(0x89, ""), clientFrame(0x81, "b")];
    client.socket.write(Buffer.concat([...frames, clientFrame(0x89, payload)]));
    await client.received(`\x8a\x011\x81\x01a\x8a\x00\x81\x01b\x8a\x7d${payload}`);
  });

  it("take little memory for a client that does not read them, and the client is closed with 4008", async () => {
    Echo.closed.all.length = 0;
    const clock = new ManualClock();
    const { port, app } = await startWith("/echo", Echo, { clock, limits: { heartbeatMs: false, closeMs: 50 } });
    const client = await rawConnection(port, "/echo");
    client.socket.pause();
    const [connection] = app.registry.connections;
    let most = 0;
    const sendPings = async () => {
      client.socket.write(pings);
      await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, connection?.bufferedBytes ?? 0);
    };
    // The network takes some megabytes.
    while (most < defaultLimits.highWaterBytes) await sendPings();
    for (let n = 0; n < 100; n += 1) await sendPings();
    expect(most).toBeLessThan(200_000);
    clock.advance(defaultLimits.outboxAgeMsMax);
    clock.advance(50);
    expect(await Echo.closed.have(1)).toEqual([4008]);
  });

  it("reach a client that reads again: the newest, and then all", async () => {
    const { port, app } = await startWith("/echo", Echo, { limits: { highWaterBytes: 1_000 } });
    const client = await rawConnection(port, "/echo");
    client.socket.pause();
    const [connection] = app.registry.connections;
    while ((connection?.bufferedBytes ?? 0) < 1_000) {
      connection?.sendText("y".repeat(100_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.write(Buffer.concat([clientFrame(0x89, "old"), clientFrame(0x89, "new"), clientFrame(0x81, "text")]));
    while (!connection?.isOpen || app.status().totals.received === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.resume();
    await client.received("\x8a\x03new\x81\x04text");
    client.socket.write(Buffer.concat([clientFrame(0x89, "1"), clientFrame(0x89, "2")]));
    await client.received("\x8a\x011\x8a\x012");
    client.socket.destroy();
    expect((await client.ended).toString("latin1")).not.toContain("\x8a\x03old");
  });
});
