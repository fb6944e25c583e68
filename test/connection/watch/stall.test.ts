import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { end } from "../../support/engineProcess.js";

const script = fileURLToPath(new URL("blockedNode.ts", import.meta.url));
const clientCount = 20;
const heartbeatMs = 200;

/** Starts a server that can be blocked, in a process of its own. Returns a function that connects a client to it. */
async function startBlockable(): Promise<() => Promise<WebSocket>> {
  const child = fork(script, [JSON.stringify({ heartbeatMs })], { execArgv: ["--import", "tsx"] });
  onTestFinished(() => end(child));
  const [port] = await once(child, "message");
  return async () => {
    const client = new WebSocket(`ws://127.0.0.1:${port}/blocked`);
    onTestFinished(() => client.terminate());
    await once(client, "open");
    return client;
  };
}

/** Resolves with the answer, or with the code of a close. */
async function answerTo(client: WebSocket, text: string): Promise<string> {
  const answered = Promise.race([once(client, "message"), once(client, "close")]);
  client.send(text);
  return String((await answered)[0]);
}

// Regression: after a stall, clients were ended that had answered in time, or that had got no ping at all.
it.each([2.5, 5])("a server that was blocked for %d heartbeats ends no client that answers", async (heartbeats) => {
  const open = await startBlockable();
  const blocker = await open();
  const clients = await Promise.all(Array.from({ length: clientCount }, open));
  const closed: number[] = [];
  for (const client of clients) client.on("close", (code) => closed.push(code));
  for (let round = 0; round < 3; round += 1) {
    expect(await answerTo(blocker, String(heartbeats * heartbeatMs))).toBe(String(heartbeats * heartbeatMs));
    // The heartbeat judges a client before it reads this text.
    const answers = await Promise.all(clients.map((client) => answerTo(client, "here")));
    expect({ answers, closed }).toEqual({ answers: clients.map(() => "here"), closed: [] });
  }
});
