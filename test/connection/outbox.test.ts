import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { App, type Connection, WebSocketHandler } from "../../src/index.js";
import { connect } from "../../src/testing/index.js";
import { Mailbox, startWith } from "../support/app.js";
import { rawConnection } from "../support/raw.js";

class Member extends WebSocketHandler {
  override onConnect() {
    this.join("/both");
  }
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** What a test sends, in the order it is sent. */
const sending = fc.oneof(
  fc.record({ to: fc.constantFrom("/a", "/b", "/both", "all"), except: fc.boolean(), tick: fc.boolean() }),
  fc.record({ to: fc.constantFrom(0, 1, 2, 3), except: fc.constant(false), tick: fc.boolean() }),
);

describe("what a client reads", () => {
  it("is in the order of the calls, however private, room and all sends mix within and across ticks", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(sending, { minLength: 1, maxLength: 60 }), async (sendings) => {
        await using app = new App().route("/:room", Member);
        const clients = [
          await connect(app, "/a"),
          await connect(app, "/a"),
          await connect(app, "/b"),
          await connect(app, "/b"),
        ];
        const connections = app.registry.connections;
        const expected: string[][] = clients.map(() => []);
        for (const [number, { to, except, tick }] of sendings.entries()) {
          const text = `${number} to ${to}`;
          const left = except ? connections[number % 4] : undefined;
          send(app, connections, to, text, left);
          for (const [index, connection] of connections.entries()) {
            if (connection !== left && isIn(to, index)) expected[index]?.push(text);
          }
          if (tick) await new Promise((resolve) => setImmediate(resolve));
        }
        app.registry.sendTextToAll("end");
        for (const [index, client] of clients.entries()) {
          const seen: string[] = [];
          for (let text = await client.readText(); text !== "end"; text = await client.readText()) seen.push(text);
          expect(seen).toEqual(expected[index]);
        }
      }),
      { numRuns: 60 },
    );
  });
});

function isIn(to: string | number, index: number): boolean {
  return to === index || to === "all" || to === "/both" || to === (index < 2 ? "/a" : "/b");
}

function send(app: App, connections: Connection[], to: string | number, text: string, except?: Connection): void {
  if (typeof to === "number") connections[to]?.sendText(text);
  else if (to === "all") app.registry.sendTextToAll(text, { except });
  else app.registry.sendTextToRoom(to, text, { except });
}

describe("a client that stops reading", () => {
  class Quiet extends WebSocketHandler {
    static readonly told = new Mailbox<unknown>();
    onMessage(text: string | undefined, error?: Error) {
      Quiet.told.put(text ?? error);
    }
    override onClose(code: number, reason: string) {
      Quiet.told.put([code, reason]);
    }
  }

  it("is closed with 4008 when more than outboxBytesMax waits for it, with bounded memory, and stalls nobody", async () => {
    Quiet.told.all.length = 0;
    const outboxBytesMax = 300_000;
    const { port, open, app } = await startWith("/quiet", Quiet, { limits: { outboxBytesMax, closeMs: 50 } });
    const stalled = await rawConnection(port, "/quiet");
    stalled.socket.pause();
    const reading = await open("/quiet");
    const [slow] = app.registry.connections;
    const padding = "x".repeat(20_000);
    let sent = 0;
    let mostBytes = 0;
    while (slow?.open === true) {
      app.registry.room("/quiet").sendJSON({ sent, padding });
      expect(await reading.readJSON()).toEqual({ sent, padding });
      sent += 1;
      mostBytes = Math.max(mostBytes, slow.bufferedBytes);
    }
    expect(mostBytes).toBeLessThanOrEqual(outboxBytesMax + 2 * 64 * 1024 + padding.length);
    expect(await Quiet.told.have(2)).toMatchObject([{ code: 4008, reason: "slow", clean: false }, [4008, "slow"]]);
    expect(app.status()).toMatchObject({ connections: 1, totals: { slow: 1 } });
    app.registry.room("/quiet").sendJSON("after");
    expect(await reading.readJSON()).toBe("after");
  });

  it("gets everything in order when it reads again in time", async () => {
    const { port, app } = await startWith("/quiet", Quiet, {
      limits: { outboxBytesMax: 50_000_000, highWaterBytes: 1_000 },
    });
    const stalled = await rawConnection(port, "/quiet");
    stalled.socket.pause();
    const [connection] = app.registry.connections;
    const count = 2_000;
    for (let n = 0; n < count; n += 1) {
      connection?.sendText(`${String(n).padStart(6, "0")}${"x".repeat(10_000)}`);
      if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(connection?.bufferedBytes).toBeGreaterThan(1_000_000);
    connection?.close(4000);
    const closeFrame = Buffer.from([0x88, 2, 0x0f, 0xa0]);
    stalled.socket.on("data", (chunk: Buffer) => {
      if (chunk.subarray(-4).equals(closeFrame)) stalled.socket.destroy();
    });
    stalled.socket.resume();
    const received = (await stalled.ended).toString("latin1");
    const numbers = [...received.matchAll(/(\d{6})x{10000}/g)].map(([, n]) => Number(n));
    expect(numbers).toEqual(Array.from({ length: count }, (_, n) => n));
    expect(received.slice(-4)).toBe(closeFrame.toString("latin1"));
  });
});
