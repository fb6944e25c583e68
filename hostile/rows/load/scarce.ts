import { jsonFrame } from "../../clients/frames.js";
import { inParallel, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import { roomFlood } from "../rooms/visits.js";
import { inSegments } from "../wire/unfinished.js";
import { fullInboxes } from "./stalled.js";

const filesMax = 200;
const acceptMs = 1_000;
const heapMB = 256;
const idsEach = 128;
const MB = 1024 * 1024;
/** The limit of answers of absent clients is 32 MiB; the rest is for the heap around them. */
const receiptsMB = 48;

/** Far more clients than the process has file descriptors. */
async function fewFiles(scene: Scene): Promise<void> {
  const server = await scene.start({ filesMax });
  const clients: RawSocket[] = [];
  await inParallel(scene.pick(2_000, 600), 50, async (index) => {
    const client = await RawSocket.dial(server.port).catch(() => undefined);
    if (client === undefined) return;
    clients.push(client);
    if (index % 2 === 0) client.write("GET /echo/files HTTP/1.1\r\n");
  });
  await scene.last(scene.pick(3_000, 500));
  const { sockets } = await server.measure(false);
  scene.atMost("few files: sockets of the server", sockets, filesMax);
  for (const client of clients) client.destroy();
  const start = performance.now();
  await scene.until("few files: accepts again", acceptMs, async () => {
    const client = await RawSocket.open(server.port, "/echo/files").catch(() => undefined);
    client?.destroy();
    return client !== undefined;
  });
  scene.timeAtMost("few files: accepts again after, ms", performance.now() - start, acceptMs);
}

/** Clients that leave as many answered ids behind as the server remembers. */
async function receipts(scene: Scene): Promise<void> {
  const server = await scene.start({ heapMB });
  const before = await server.measure();
  const count = scene.pick(8_000, 700);
  await inParallel(count, 16, async (index) => {
    const target = `/work/receipts?client=receipts-${String(index).padStart(16, "0")}`;
    const client = await RawSocket.openV1(server.port, target);
    const data = "r".repeat(100);
    const frames = Array.from({ length: idsEach }, (_, at) => {
      return jsonFrame({ type: "event", event: "mine", data, id: `${at}-${"i".repeat(58)}` });
    });
    let answers = 0;
    const done = new Promise<void>((resolve) => {
      client.onFrame = () => {
        answers += 1;
        if (answers === idsEach) resolve();
      };
    });
    client.write(Buffer.concat(frames));
    await Promise.race([done, client.ended]);
    client.destroy();
  });
  if (!server.isRunning) return;
  await scene.until("all have left", 5_000, async () => (await server.status()).connections <= 1);
  const after = await server.measure();
  scene.show("receipts: clients", count);
  scene.atMost("receipts: heap more, MB", (after.heap - before.heap) / MB, receiptsMB);
}

export const scarce: Row = {
  number: 19,
  title: "200 file descriptors; 256 MiB of heap",
  expected: "survives, accepts again in 1 s",
  seconds: 1_800,
  async run(scene) {
    await fewFiles(scene);
    await receipts(scene);
    // A quick run of rows 7, 8 and 11 shows these.
    if (scene.isQuick) return;
    await fullInboxes(scene, { heapMB });
    await roomFlood(scene, { heapMB });
    await inSegments(scene, 10_000);
  },
};
