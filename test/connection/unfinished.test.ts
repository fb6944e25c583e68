import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, WebSocketHandler } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";
import { Mailbox } from "../support/app.js";
import { clientFrame, type RawClient, rawConnection } from "../support/raw.js";

const KiB = 1024;
const messageMs = 8_000;
/** The parts of messages are counted at this interval. */
const roundMs = messageMs / 8;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

class Reading extends WebSocketHandler {
  static readonly read = new Mailbox<number>();
  onMessage(text: string) {
    Reading.read.put(text.length);
  }
}

/** Received messages may take half of memoryBytesMax: 512 KiB. */
async function startOf() {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const logger = { warn: (text: string) => warnings.push(text), error: () => undefined };
  const limits = { memoryBytesMax: 1_024 * KiB, messageMs, heartbeatMs: false } as const;
  const app = new App({ clock, logger, limits }).route("/reading", Reading);
  const sockets: Socket[] = [];
  const server = createServer().on("connection", (socket) => sockets.push(socket));
  app.attach(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    await app.close({ timeoutMs: 100 });
    server.close();
  });
  // The server listens on a port, so its address is an object.
  const { port } = server.address() as AddressInfo;
  const received = () => sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  return { app, clock, warnings, received, open: () => rawConnection(port, "/reading") };
}

/** A frame of 60 KiB without its last byte. */
const part = clientFrame(0x81, "x".repeat(60 * KiB)).subarray(0, -1);
/** The first fragments of a message. */
const fragments = Buffer.concat([clientFrame(0x01, "x".repeat(30 * KiB)), clientFrame(0x00, "x".repeat(29 * KiB))]);

type Started = Awaited<ReturnType<typeof startOf>>;

async function sendAll({ received }: Started, clients: readonly RawClient[], bytes: Buffer): Promise<void> {
  const expected = received() + clients.length * bytes.length;
  for (const { socket } of clients) socket.write(bytes);
  while (received() < expected) await nextTurn();
}

const openAll = ({ open }: Started, count: number) => Promise.all(Array.from({ length: count }, () => open()));

describe("parts of messages", () => {
  it.each([
    ["an incomplete frame", part],
    ["fragments without the last", fragments],
  ])("count in the memory of the app: %s", async (_name, bytes) => {
    const started = await startOf();
    const { app, clock } = started;
    const clients = await openAll(started, 4);
    await sendAll(started, clients, bytes);
    clock.advance(roundMs);
    const { memory } = app.status();
    expect(memory.unfinishedBytes).toBeGreaterThan(4 * 59 * KiB);
    expect(memory.unfinishedBytes).toBeLessThan(4 * 66 * KiB);
    expect(memory).toMatchObject({ bytes: memory.unfinishedBytes, inboxBytes: 0 });
    for (const { socket } of clients) socket.destroy();
    while (app.status().connections > 0) await nextTurn();
    expect(app.status().memory.bytes).toBe(0);
  });

  it("count no longer when the rest arrives", async () => {
    const started = await startOf();
    const { app, clock } = started;
    const [client] = await openAll(started, 1);
    Reading.read.all.length = 0;
    await sendAll(started, client === undefined ? [] : [client], part);
    clock.advance(roundMs);
    expect(app.status().memory.unfinishedBytes).toBeGreaterThan(59 * KiB);
    client?.socket.write(clientFrame(0x81, "x".repeat(60 * KiB)).subarray(-1));
    expect(await Reading.read.have(1)).toEqual([60 * KiB]);
    clock.advance(roundMs);
    expect(app.status().memory.bytes).toBe(0);
  });

  it("close their clients with 1008 when memory is full, the largest first, and only as many as needed", async () => {
    const started = await startOf();
    const { app, clock, warnings } = started;
    const large = await openAll(started, 12);
    const small = await openAll(started, 3);
    await sendAll(started, large, part);
    await sendAll(started, small, part.subarray(0, 10 * KiB));
    clock.advance(roundMs);
    // A message that has just begun may still arrive in time.
    expect(app.status()).toMatchObject({ connections: 15, totals: { memoryCloses: 0 } });
    clock.advance(roundMs);
    const { memoryCloses } = app.status().totals;
    // 12 x 60 KiB + 3 x 10 KiB are 750 KiB; 512 KiB may stay.
    expect(memoryCloses).toBeGreaterThanOrEqual(4);
    expect(memoryCloses).toBeLessThanOrEqual(6);
    expect(warnings).toEqual([expect.stringContaining("the largest parts are closed with 1008")]);
    const closed = (client: RawClient) => client.received("\x03\xf0message took too long");
    await Promise.any(large.map(closed));
    while (app.status().connections > 15 - memoryCloses) await nextTurn();
    expect(app.status().memory.unfinishedBytes).toBeLessThanOrEqual(512 * KiB);
    for (const { socket } of small) expect(socket.destroyed).toBe(false);
  });
});
