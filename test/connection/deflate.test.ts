import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { WebSocketHandler } from "../../src/index.js";
import { startWith } from "../support/app.js";
import { rawClient, upgradeRequest } from "../support/raw.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
  override onBinary(bytes: Uint8Array) {
    this.sendBinaryToThisRoom(bytes);
  }
}

const long = "hello, compression! ".repeat(1_000);

describe("compression", () => {
  it("is negotiated if the app and the client want it, and shrinks large messages", async () => {
    const { url, app } = await startWith("/echo", Echo, { compression: true });
    const client = new WebSocket(`${url}/echo`);
    await once(client, "open");
    expect(client.extensions).toBe("permessage-deflate");
    client.send(long);
    const [data] = await once(client, "message");
    expect(String(data)).toBe(long);
    client.send(Buffer.from(long));
    const [bytes, isBinary] = await once(client, "message");
    expect([String(bytes), isBinary]).toEqual([long, true]);
    client.send("short");
    expect(String((await once(client, "message"))[0])).toBe("short");
    app.registry.connections[0]?.sendText(long);
    expect(app.registry.connections[0]?.bufferedBytes).toBeLessThan(long.length / 20);
    client.terminate();
  });

  it("reaches members with and without compression in one room", async () => {
    const { open } = await startWith("/echo", Echo, { compression: true });
    const squeezed = await open("/echo", { compression: true });
    const plain = await open("/echo");
    plain.sendText(long);
    squeezed.sendText(`${long}!`);
    const texts = [await squeezed.readText(), await squeezed.readText()];
    expect(texts.sort()).toEqual([long, `${long}!`]);
    expect([await plain.readText(), await plain.readText()].sort()).toEqual([long, `${long}!`]);
  });

  it("is off by default, and declines a window smaller than that of the shared frames", async () => {
    const off = await startWith("/echo", Echo);
    const plain = new WebSocket(`${off.url}/echo`);
    await once(plain, "open");
    expect(plain.extensions).toBe("");
    plain.terminate();
    const on = await startWith("/echo", Echo, { compression: true });
    const small = new WebSocket(`${on.url}/echo`, { perMessageDeflate: { serverMaxWindowBits: 9 } });
    await once(small, "open");
    expect(small.extensions).toBe("");
    small.send(long);
    expect(String((await once(small, "message"))[0])).toBe(long);
    small.terminate();
  });

  it("accepts the matching offer of several", async () => {
    const { port } = await startWith("/echo", Echo, { compression: true });
    const client = await rawClient(port);
    const offers = "permessage-deflate; server_max_window_bits=12, permessage-deflate";
    client.socket.write(upgradeRequest("/echo", { "Sec-WebSocket-Extensions": offers }));
    await client.received("\r\n\r\n");
    client.socket.destroy();
    expect(String(await client.ended)).toContain(
      "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover",
    );
  });

  it("limits the inflated messages that wait for a busy handler", async () => {
    class Busy extends WebSocketHandler {
      async onMessage() {
        await new Promise(() => undefined);
      }
    }
    const { open, app } = await startWith("/busy", Busy, {
      compression: true,
      limits: { inboxMessagesMax: 4, closeMs: 50 },
    });
    const client = await open("/busy", { compression: true });
    const zeros = "0".repeat(60_000);
    for (let n = 0; n < 500; n += 1) client.sendText(zeros);
    expect(await client.closed).toMatchObject({ code: 1008, reason: "too many messages at once" });
    expect(app.status().totals.received).toBeLessThan(500);
  });

  it("limits the inflated bytes of a message", async () => {
    const { open } = await startWith("/echo", Echo, { compression: true, limits: { messageBytesMax: 10_000 } });
    const client = await open("/echo", { compression: true });
    client.sendText(long);
    expect(await client.closed).toMatchObject({ code: 1009 });
  });
});
