import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type HandlerClass, type Limits, WebSocketHandler } from "../../../src/index.js";
import { ManualClock } from "../../../src/testing/index.js";
import { Mailbox, startWith } from "../../support/app.js";
import { clientFrame, rawConnection, readByServer } from "../../support/raw.js";

const reported = new Mailbox<string>();

class Listener extends WebSocketHandler {
  onMessage(text: string) {
    reported.put(text);
  }
}

class Serving extends WebSocketHandler {
  override async serve() {
    for await (const { text } of this.connection) reported.put(String(text));
    reported.put("served");
  }
}

const text = (data: string) => clientFrame(0x81, data);
const close = clientFrame(0x88, Buffer.from([0x03, 0xe8]));
const ping = clientFrame(0x89, "");
const pong = clientFrame(0x8a, "");

async function startLimited(limits: Partial<Limits>, handlerClass: HandlerClass = Listener) {
  reported.all.length = 0;
  const clock = new ManualClock();
  const { port, app, open } = await startWith("/limited", handlerClass, {
    clock,
    limits: { heartbeatMs: false, ...limits },
  });
  const client = await rawConnection(port, "/limited");
  /** Sends all at once. Resolves when the server has read it. */
  const send = async (...frames: Uint8Array[]) => {
    client.socket.write(Buffer.concat(frames));
    await readByServer(port, "/limited");
  };
  return { app, clock, client, open, send };
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n));

describe("the rate of a client", () => {
  it("is inflatedBytesPerSecondMax for compressed messages, and not for a client without compression", async () => {
    const received = new Mailbox<number>();
    class Reader extends WebSocketHandler {
      onMessage(message: string) {
        received.put(message.length);
      }
    }
    const clock = new ManualClock();
    const { port } = await startWith("/inflated", Reader, {
      clock,
      compression: true,
      limits: { heartbeatMs: false, inflatedBytesPerSecondMax: 40_000 },
    });
    for (const perMessageDeflate of [false, true]) {
      const client = new WebSocket(`ws://127.0.0.1:${port}/inflated`, { perMessageDeflate });
      await once(client, "open");
      for (let n = 0; n < 10; n += 1) client.send("x".repeat(10_000));
      // Those of a second, and one that its few bytes on the network allow.
      await received.have(perMessageDeflate ? 15 : 10);
      if (!perMessageDeflate) client.close();
    }
    await readByServer(port, "/inflated");
    expect(received.all).toHaveLength(15);
    clock.advance(1_000);
    await received.have(19);
    clock.advance(1_000);
    await received.have(20);
  });

  it.each([
    ["onMessage", Listener, []],
    ["serve()", Serving, ["served"]],
  ])("lets a second's worth through at once, then messagesPerSecondMax, and drops nothing: %s", async (...given) => {
    const [, handlerClass, last] = given;
    const { clock, send } = await startLimited({ messagesPerSecondMax: 10 }, handlerClass);
    await send(...numbers(25).map(text), close);
    expect(reported.all.filter((one) => one !== "served")).toEqual(numbers(10));
    clock.advance(1_000);
    await reported.have(20);
    expect(reported.all.filter((one) => one !== "served")).toEqual(numbers(20));
    clock.advance(1_000);
    await reported.have(25 + last.length);
    expect(reported.all.filter((one) => one !== "served")).toEqual(numbers(25));
  });

  it("is counted in bytes, too", async () => {
    const { clock, send } = await startLimited({ bytesPerSecondMax: 100 });
    const [first, second, third] = ["a", "b", "c"].map((one) => one.repeat(60));
    await send(text(String(first)), text(String(second)), text(String(third)));
    expect(reported.all).toEqual([first, second]);
    clock.advance(209);
    expect(reported.all).toEqual([first, second]);
    clock.advance(1);
    expect(reported.all).toEqual([first, second, third]);
  });

  it.each([
    ["pings", ping],
    ["pongs", pong],
  ])("includes %s", async (_name, frame) => {
    const { clock, send } = await startLimited({ messagesPerSecondMax: 5 });
    await send(...numbers(5).map(() => frame), text("after"));
    expect(reported.all).toEqual([]);
    clock.advance(200);
    expect(reported.all).toEqual(["after"]);
  });

  it("includes frames of enfilade.v1 that the handler does not get", async () => {
    const { clock, open } = await startLimited({ messagesPerSecondMax: 5 });
    const client = await open("/limited", { protocols: ["enfilade.v1"] });
    await client.readJSON();
    for (let n = 0; n < 5; n += 1) client.sendJSON({ type: "ping" });
    client.sendJSON({ type: "message", data: "after" });
    for (let n = 0; n < 5; n += 1) expect(await client.readJSON()).toMatchObject({ type: "pong" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(reported.all).toEqual([]);
    clock.advance(200);
    expect(await reported.have(1)).toEqual(['"after"']);
  });

  it("pauses the socket", async () => {
    const { app, clock, client, send } = await startLimited({ messagesPerSecondMax: 1 });
    await send(text("first"));
    const [connection] = app.registry.connections;
    client.socket.write(Buffer.concat([text("second"), text("third")]));
    await readByServer(Number(client.socket.remotePort), "/limited");
    expect(reported.all).toEqual(["first"]);
    expect(app.status().totals.received).toBe(1);
    clock.advance(1_000);
    expect(await reported.have(2)).toEqual(["first", "second"]);
    expect(connection?.isOpen).toBe(true);
  });
});
