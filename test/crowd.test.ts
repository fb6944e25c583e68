import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { WebSocketHandler } from "../src/index.js";
import { startWith } from "./support/app.js";
import { clientFrame, upgradeRequest } from "./support/raw.js";

const vanishing = 1_000;
const staying = 20;
const broadcasts = 10_000;

class Crowd extends WebSocketHandler<{ room: string }> {
  override onConnect() {
    this.join("/everyone");
  }
  onMessage(text: string | undefined, error?: Error) {
    if (error === undefined) this.sendTextToThisRoom(`said ${text}`);
  }
}

/** Resolves with a socket after its handshake; bytes received after the response are put back. */
async function open(port: number, path: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => socket.destroy());
  socket.write(upgradeRequest(path));
  await once(socket, "data");
  return socket;
}

it("counts return to zero when 1,000 clients vanish during broadcasts, and the others get all in order", async () => {
  const { app, open: openClient, port, errors } = await startWith("/crowd/:room", Crowd);
  const stayed = await Promise.all(Array.from({ length: staying }, (_, n) => openClient(`/crowd/stay${n % 5}`)));
  const gone = await Promise.all(Array.from({ length: vanishing }, (_, n) => open(port, `/crowd/go${n % 100}`)));
  expect(app.status()).toMatchObject({ connections: vanishing + staying, rooms: 106 });
  const seen = stayed.map(async (client) => {
    const numbers: number[] = [];
    while (numbers.length < broadcasts) numbers.push(Number((await client.readText()).slice(2)));
    return numbers;
  });
  let vanished = 0;
  for (let number = 0; number < broadcasts; number += 1) {
    app.registry.sendTextToRoom("/everyone", `n ${number}`);
    if (number % 10 !== 0) continue;
    const socket = gone[vanished];
    vanished += 1;
    // All ways to disconnect: a reset, an end, half a frame and a reset, a message and a reset, a close frame.
    const way = vanished % 5;
    if (way === 1) socket?.end();
    if (way === 2) socket?.write(clientFrame(0x81, "half of it").subarray(0, 8));
    if (way === 3) socket?.write(clientFrame(0x81, "last words"));
    if (way === 4) socket?.write(clientFrame(0x88, Buffer.from([0x0f, 0xa0])));
    if (way !== 1) socket?.resetAndDestroy();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const expected = Array.from({ length: broadcasts }, (_, number) => number);
  for (const numbers of await Promise.all(seen)) expect(numbers).toEqual(expected);
  const closed = new Promise<void>((resolve) => {
    app.on("close", () => {
      if (app.status().connections === 0) resolve();
    });
  });
  for (const client of stayed) client.terminate();
  await closed;
  expect(app.status()).toMatchObject({ connections: 0, rooms: 0, totals: { opened: vanishing + staying, slow: 0 } });
  expect(errors).toEqual([]);
});

it("delivers 10,000 numbered broadcasts in order to each of 1,000 connections", async () => {
  const { app, port } = await startWith("/crowd/:room", Crowd, { limits: { outboxBytesMax: 10_000_000 } });
  const sockets = await Promise.all(Array.from({ length: 1_000 }, () => open(port, "/crowd/all")));
  const frames = Array.from({ length: broadcasts }, (_, number) => {
    const text = `n ${String(number).padStart(6, "0")}`;
    return Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);
  });
  const expected = Buffer.concat(frames);
  const received = sockets.map((socket) => receivesExactly(socket, expected));
  for (let number = 0; number < broadcasts; number += 1) {
    app.registry.sendTextToRoom("/crowd/all", `n ${String(number).padStart(6, "0")}`);
    if (number % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(new Set(await Promise.all(received))).toEqual(new Set(["all in order"]));
  expect(app.status().totals).toMatchObject({ delivered: 1_000 * broadcasts, slow: 0 });
  for (const socket of sockets) socket.destroy();
});

/** The result of a socket that has to receive exactly these bytes. */
function receivesExactly(socket: Socket, expected: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let at = 0;
    socket.on("data", (chunk: Buffer) => {
      if (!chunk.equals(expected.subarray(at, at + chunk.length))) resolve(`other bytes after ${at}`);
      at += chunk.length;
      if (at === expected.length) resolve("all in order");
    });
    socket.on("close", () => resolve(`closed after ${at}`));
  });
}
