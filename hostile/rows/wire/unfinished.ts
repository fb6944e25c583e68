import { frame, Opcode } from "../../clients/frames.js";
import { openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";

const KB = 1024;
const policyViolation = 1008;
/** Bytes of a message that is never finished. */
const messageBytes = 64 * KB;
/** The server notes the begin and the end of `messageMs` in one of eight checks each (docs/limits.md). */
const lateShare = 1 / 4;
/** Milliseconds for all closes to arrive in this process. */
const arrivalMs = 500;
const closedWithin = (messageMs: number) => messageMs * (1 + lateShare) + arrivalMs;
/** Segments of one byte, below the default `bufferedChunksMax`. */
const measuredAt = 480;

/** Messages whose last fragment never comes. They are as large as they may be. */
async function inFragments(scene: Scene, messageMs: number): Promise<void> {
  const server = await scene.start({ limits: scene.pick({}, { messageMs }), heapMB: 256 });
  const count = scene.pick(1_000, 200);
  const clients = await openMany(count, () => RawSocket.open(server.port, "/echo/unfinished"));
  const before = await server.measure();
  const first = frame({ opcode: Opcode.text, payload: "x".repeat(messageBytes / 2), isFinal: false });
  const next = frame({ opcode: Opcode.continuation, payload: "x".repeat(messageBytes / 2 - 100), isFinal: false });
  const start = performance.now();
  for (const client of clients) client.write(Buffer.concat([first, next]));
  // A control frame must not extend the time.
  const timer = setInterval(() => {
    for (const client of clients) client.write(frame({ opcode: Opcode.ping, payload: "still here" }));
  }, messageMs / 4);
  scene.finally(() => clearInterval(timer));
  await scene.last(messageMs / 2);
  const held = await server.measure();
  const bytes = held.heap + held.external - before.heap - before.external;
  scene.atMost("in fragments: KB held for each", bytes / count / KB, 128);
  const areEnded = () => clients.every(({ isEnded }) => isEnded);
  await scene.until("in fragments: all are closed", start + closedWithin(messageMs) - performance.now(), areEnded);
  clearInterval(timer);
  const ended = clients.filter(({ isEnded }) => isEnded);
  scene.equal(`in fragments: closed in ${closedWithin(messageMs)} ms`, ended.length, count);
  const codes = new Set(await Promise.all(ended.map(async (client) => (await client.ended).code)));
  if (ended.length > 0) scene.equal("in fragments: the close codes", [...codes], [policyViolation]);
  for (const client of clients) client.destroy();
}

/** One frame of each client, in TCP segments of one byte. */
export async function inSegments(scene: Scene, messageMs: number): Promise<void> {
  const server = await scene.start({ limits: scene.pick({}, { messageMs }), heapMB: 256 });
  const count = scene.pick(1_000, 200);
  const clients = await openMany(count, () => RawSocket.open(server.port, "/echo/unfinished"));
  for (const client of clients) client.socket.setNoDelay(true);
  const before = await server.measure();
  const bytes = frame({ opcode: Opcode.text, payload: "x".repeat(messageBytes) });
  const start = performance.now();
  let at = 0;
  // Faster than the limit of time, a server must survive what it holds.
  const sendUntil = start + closedWithin(messageMs);
  const areEnded = () => !server.isRunning || clients.every(({ isEnded }) => isEnded);
  while (performance.now() < sendUntil && at < bytes.length - 1 && !areEnded()) {
    for (const client of clients) client.write(bytes.subarray(at, at + 1));
    at += 1;
    await new Promise((resolve) => setImmediate(resolve));
    // Shortly before the server cuts them.
    if (at !== measuredAt) continue;
    const { heap, external } = await server.measure();
    const held = heap + external - before.heap - before.external;
    scene.atMost("in one-byte segments: KB held for each", held / count / KB, 128);
  }
  scene.show("in one-byte segments: bytes sent by each", at);
  // A quick run shows times only.
  const patienceMs = scene.pick(Math.max(0, sendUntil - performance.now()), messageMs);
  await scene.until("in one-byte segments: all are closed", patienceMs, areEnded);
  if (!server.isRunning) return;
  const ended = clients.filter(({ isEnded }) => isEnded).length;
  scene.equal(`in one-byte segments: closed in ${closedWithin(messageMs)} ms`, ended, count);
  for (const client of clients) client.destroy();
}

export const unfinished: Row = {
  number: 8,
  title: "unfinished messages",
  expected: "closed in 10 s, at most 128 KB each; 256 MiB of heap survive",
  seconds: 120,
  async run(scene) {
    const messageMs = scene.pick(10_000, 1_500);
    const tolerance = "it notes the begin and the end of messageMs in one of eight checks each";
    scene.show("tolerance", `a quarter of messageMs, since ${tolerance}; and ${arrivalMs} ms for the closes to arrive`);
    await Promise.all([inFragments(scene, messageMs), inSegments(scene, messageMs)]);
  },
};
