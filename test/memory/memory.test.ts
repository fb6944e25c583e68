import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import WebSocket from "ws";
import { connectURL } from "../../src/testing/index.js";
import { clientFrame, rawConnection } from "../support/raw.js";
import { type MemoryChild, startMemoryChild } from "./memoryChild.js";
import type { MemoryAnswer } from "./memoryServer.js";

const MiB = 1024 * 1024;

/** Asks for the status until `isReached`. */
async function until(server: MemoryChild, isReached: (answer: MemoryAnswer) => boolean): Promise<MemoryAnswer> {
  for (;;) {
    const answer = await server.ask("status");
    if (isReached(answer)) return answer;
  }
}

async function echoes(server: MemoryChild): Promise<void> {
  const client = await connectURL(`${server.url}/neighbour`);
  client.sendText("hello");
  expect(await client.readText()).toBe("hello");
  await client.close();
}

/** Raw connections, in groups: a server accepts a limited number at once. */
async function rawConnections(server: MemoryChild, path: string, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const group = Array.from({ length: 50 }, () => rawConnection(server.port, path));
    for (const { socket, ended } of await Promise.all(group)) {
      // The server, or the end of the test, resets some of them.
      ended.catch(() => undefined);
      sockets.push(socket);
    }
  }
  return sockets;
}

describe("a server with 256 MiB of heap", () => {
  it("survives 2,000 clients that leave 128 answered frames with long ids each", async () => {
    const server = await startMemoryChild();
    const waiting = Array.from({ length: 2_000 }, (_, n) => n);
    const run = async () => {
      for (let n = waiting.pop(); n !== undefined; n = waiting.pop()) {
        const socket = new WebSocket(`${server.url}/echo?client=client-0123456789-${n}`, ["enfilade.v1"]);
        let replies = 0;
        socket.on("message", () => {
          replies += 1;
          // The welcome, and then the replies.
          if (replies === 129) socket.close();
        });
        await once(socket, "open");
        for (let id = 0; id < 128; id += 1) {
          const wide = `${id}-${n}`.padEnd(64, "\u2014");
          socket.send(JSON.stringify({ type: "event", event: "echo", data: "\u2014".repeat(100), id: wide }));
        }
        await once(socket, "close");
      }
    };
    await Promise.all(Array.from({ length: 20 }, run));
    const { status, warnings } = await server.ask("status");
    expect(status.memory.receiptBytes).toBeLessThanOrEqual(32 * MiB);
    expect(status.memory.receiptBytes).toBeGreaterThan(16 * MiB);
    expect(status.totals.receiptsForgotten).toBeGreaterThan(100_000);
    expect(warnings.filter((text) => text.includes("receiptsBytesMax"))).toHaveLength(1);
    await echoes(server);
  }, 120_000);

  it("pauses the sockets of 300 busy handlers instead of holding 1.2 GB for them", async () => {
    const server = await startMemoryChild();
    const sockets = await rawConnections(server, "/busy", 300);
    const messages = Buffer.concat(Array.from({ length: 64 }, () => clientFrame(0x81, "x".repeat(65_000))));
    for (const socket of sockets) socket.write(messages);
    const { residentBytesMax, warnings } = await until(server, ({ status }) => status.totals.memoryPauses > 200);
    await echoes(server);
    const { status } = await server.ask("status");
    // Half of the bound, and for each connection the rest of the chunk that was read last.
    expect(status.memory.inboxBytes).toBeLessThan(64 * MiB + 300 * 160 * 1024);
    expect(status.memory.inboxBytes).toBeGreaterThan(32 * MiB);
    expect(residentBytesMax).toBeLessThan(400 * MiB);
    expect(warnings.filter((text) => text.includes("sockets are paused"))).toHaveLength(1);
    for (const socket of sockets) socket.destroy();
  }, 60_000);

  it("closes the slowest of 100 clients that read nothing, and no client that reads", async () => {
    const server = await startMemoryChild({ memoryBytesMax: 32 * MiB });
    const reader = new WebSocket(`${server.url}/send`);
    onTestFinished(() => reader.terminate());
    await once(reader, "open");
    const sockets = await rawConnections(server, "/send", 100);
    for (const socket of sockets) socket.pause();
    let outboxBytesMax = 0;
    const { status, warnings } = await until(server, ({ status }) => {
      outboxBytesMax = Math.max(outboxBytesMax, status.memory.outboxBytes);
      return status.totals.slow === 100;
    });
    expect(status.totals.memoryCloses).toBeGreaterThan(0);
    // What is in the sockets of closed clients is freed a moment later.
    expect(outboxBytesMax).toBeLessThan(32 * MiB + 100 * 200 * 1024);
    expect(warnings.filter((text) => text.includes("4008"))).toHaveLength(1);
    expect(reader.readyState).toBe(WebSocket.OPEN);
    await echoes(server);
  }, 60_000);

  it("survives 120,000 rooms with a message each, which cost an older room nothing of its history", async () => {
    const server = await startMemoryChild();
    const talker = await connectURL(`${server.url}/rooms/old`);
    for (let n = 1; n <= 20; n += 1) {
      talker.sendText(`old ${n}`);
      expect(await talker.readText()).toBe(`old ${n}`);
    }
    await talker.close();
    const { status } = await server.ask({ rooms: 120_000 });
    expect(status.memory.historyBytes).toBeLessThanOrEqual(64 * MiB);
    expect(status.historyEvictions).toBeGreaterThan(50_000);
    const resuming = await connectURL(`${server.url}/rooms/old?since=x:0`, { protocols: ["enfilade.v1"] });
    expect(await resuming.readJSON()).toMatchObject({ type: "welcome" });
    for (let n = 1; n <= 20; n += 1) expect(await resuming.readJSON()).toMatchObject({ offset: n, text: `old ${n}` });
    await resuming.close();
  }, 60_000);
});
