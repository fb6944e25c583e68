import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { App, WebSocketHandler } from "../../src/index.js";
import { Mailbox, start } from "../support/app.js";
import { Dice } from "../support/dice.js";
import { listen, post, warningsOfNode } from "./support.js";

class Chat extends WebSocketHandler {
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
}

function opened(port: number, head: string): Socket {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  socket.write(head);
  return socket;
}

const stream = "GET /chat HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";

test("1,000 event streams that are not read hold a bounded memory, and are closed; others get all", async () => {
  const memoryBytesMax = 16 * 1024 * 1024;
  const { port, app } = await start(new App({ limits: { memoryBytesMax } }).route("/chat", Chat, { http: true }));
  const open = new Mailbox<unknown>();
  app.on("open", (connection) => open.put(connection));
  for (let n = 0; n < 1_000; n += 1) opened(port, stream).pause();
  const healthy = await listen(`http://127.0.0.1:${port}/chat`);
  await open.have(1_001);
  const room = app.registry.room("/chat");
  const text = "x".repeat(16_000);
  let most = 0;
  for (let n = 1; n <= 400; n += 1) {
    room.sendText(`${n} ${text}`);
    await healthy.events.have(n + 1);
    most = Math.max(most, app.status().memory.outboxBytes);
  }
  expect(most).toBeLessThanOrEqual(memoryBytesMax);
  const { memoryCloses, slow } = app.status().totals;
  expect(memoryCloses + slow).toBeGreaterThan(0);
  const all = (await healthy.events.have(401)).slice(1).map(({ data = "" }) => Number(data.split(" ")[0]));
  expect(all).toEqual(Array.from({ length: 400 }, (_, n) => n + 1));
});

test("half-sent messages are ended by their time, and the places are free afterwards", async () => {
  const limits = { messageMs: 500, connectionsMax: 401 };
  const { port, app } = await start(new App({ limits }).route("/chat", Chat, { http: true }));
  const heads = ["", "Content-Type: text/plain\r\n", "Expect: 100-continue\r\n"];
  const sockets = Array.from({ length: 400 }, (_, n) =>
    opened(port, `POST /chat HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n${heads[n % 3]}\r\nhalf`),
  );
  expect((await post(`http://127.0.0.1:${port}/chat`, "whole")).status).toBe(204);
  const answers = await Promise.all(
    sockets.map(async (socket) => {
      let text = "";
      for await (const chunk of socket.setEncoding("utf8")) text += chunk;
      return text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, "").slice(0, "HTTP/1.1 408".length);
    }),
  );
  expect(new Set(answers)).toEqual(new Set(["HTTP/1.1 408"]));
  expect(app.status().memory.unfinishedBytes).toBe(0);
  expect((await post(`http://127.0.0.1:${port}/chat`, "whole")).status).toBe(204);
});

test("pipelined requests behind a stream keep no place when their socket has gone", async () => {
  const limits = { connectionsPerAddressMax: 20 };
  const warnings = warningsOfNode();
  const { port, app } = await start(new App({ limits }).route("/chat", Chat, { http: true, history: { size: 1 } }));
  const followers = [
    stream,
    "GET /chat HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n",
    "POST /chat HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
  ];
  for (const follower of followers) {
    const left = new Mailbox<unknown>();
    app.on("close", (connection) => left.put(connection));
    const socket = opened(port, stream + follower.repeat(15));
    await new Promise((resolve) => socket.once("data", resolve));
    // The server has read them all when it answers another client after them.
    expect((await post(`http://127.0.0.1:${port}/chat`, "x")).status).toBeLessThan(430);
    socket.destroy();
    await left.have(follower === stream ? 16 : 1);
    expect((await post(`http://127.0.0.1:${port}/chat`, "x")).status).toBe(204);
  }
  const begun = performance.now();
  await app.close({ timeoutMs: 20_000 });
  expect(performance.now() - begun).toBeLessThan(10_000);
  expect(warnings).toEqual([]);
});

test("mutated requests are refused or answered, and nothing else happens", async () => {
  const seed = Number(process.env.SEED ?? Math.trunc(Math.random() * 2 ** 31));
  const dice = new Dice(seed);
  const { port, errors } = await start(new App().route("/chat", Chat, { http: true, history: { size: 10 } }));
  const templates = [
    stream,
    "GET /chat?since=abc:1&limit=5 HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n",
    "POST /chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello",
    "POST /chat HTTP/1.1\r\nHost: x\r\nIdempotency-Key: 0123456789abcdef\r\nTransfer-Encoding: chunked\r\n\r\n" +
      "3\r\nabc\r\n0\r\n\r\n",
    "OPTIONS /chat HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nAccess-Control-Request-Method: POST\r\n\r\n",
  ];
  const statuses = new Set<string>();
  for (let n = 0; n < 2_000; n += 1) {
    const bytes = Buffer.from(templates[dice.from(0, templates.length)] ?? stream);
    for (let change = dice.from(0, 4); change >= 0; change -= 1) bytes[dice.from(0, bytes.length)] = dice.from(0, 256);
    const socket = opened(port, "");
    socket.end(bytes);
    const [first] = (await socket.toArray()) as Buffer[];
    statuses.add(first?.subarray(0, "HTTP/1.1 2".length).toString() ?? "none");
  }
  expect(
    [...statuses].filter((status) => !/^(none|HTTP\/1\.1 [24])$/.test(status)),
    `SEED=${seed}`,
  ).toEqual([]);
  expect(errors, `SEED=${seed}`).toEqual([]);
  expect((await post(`http://127.0.0.1:${port}/chat`, "well")).status).toBe(204);
});
