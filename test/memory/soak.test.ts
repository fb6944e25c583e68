import { expect, it } from "vitest";
import { binaryFrame, closeFrame, frame, Opcode, textFrame } from "../../hostile/clients/frames.js";
import { inParallel, RawSocket } from "../../hostile/clients/rawSocket.js";
import { Dice } from "../support/dice.js";
import { startMemoryChild } from "./memoryChild.js";

/** `SOAK_MINUTES=10 npx vitest run test/memory/soak.test.ts` lasts so long; without it, a number of connections. */
const minutes = Number(process.env.SOAK_MINUTES ?? 0);
const samplesMin = 16;
const connectionsPerSample = 800;
const atOnce = 20;
/** Bytes that each connection may leave: less than one object. The longer, the less the start counts. */
const slopeMax = minutes > 0 ? 8 : 32;

const ping = frame({ opcode: Opcode.ping, payload: "p" });
const [head, tail] = [
  frame({ opcode: Opcode.text, payload: "frag", isFinal: false }),
  frame({ opcode: Opcode.continuation, payload: "ments" }),
];
const long = textFrame("long".repeat(400));
const unmasked = frame({ opcode: Opcode.text, payload: "no mask", isMasked: false });

/** One client: it sends frames of all kinds, reads the echoes, and ends in one of the ways in which clients end. */
async function visit(port: number, dice: Dice): Promise<void> {
  const client = await RawSocket.open(port, "/neighbour");
  client.answersPings = true;
  client.write(Buffer.concat([textFrame("hello"), ping, head, ping, tail]));
  expect(await client.nextText()).toBe("hello");
  expect(await client.nextText()).toBe("fragments");
  const cut = dice.from(1, long.length);
  client.write(long.subarray(0, cut));
  await new Promise((resolve) => setImmediate(resolve));
  client.write(long.subarray(cut));
  expect(await client.nextText()).toHaveLength(1_600);
  const way = dice.from(0, 6);
  if (way === 0) client.socket.end();
  else if (way === 1) client.write(unmasked);
  else if (way === 2) client.write(binaryFrame(Buffer.alloc(70_000)));
  else if (way === 3) client.socket.resetAndDestroy();
  else if (way === 4) client.socket.end(long.subarray(0, cut));
  else client.write(closeFrame(1000, "bye"));
  await client.ended;
}

/** Bytes that each connection leaves, by the least squares of the samples. */
function slopeOf(heaps: readonly number[]): number {
  const middle = (heaps.length - 1) / 2;
  const mean = heaps.reduce((sum, heap) => sum + heap, 0) / heaps.length;
  const common = heaps.reduce((sum, heap, n) => sum + (n - middle) * (heap - mean), 0);
  const spread = heaps.reduce((sum, _heap, n) => sum + (n - middle) ** 2, 0);
  return common / spread / connectionsPerSample;
}

it("has the same heap after any number of connections", { timeout: 120_000 + minutes * 60_000 }, async () => {
  const server = await startMemoryChild();
  const dice = new Dice(1);
  const until = performance.now() + minutes * 60_000;
  const heaps: number[] = [];
  while (heaps.length < samplesMin || performance.now() < until) {
    await inParallel(connectionsPerSample, atOnce, () => visit(server.port, dice));
    while ((await server.ask("status")).status.connections > 0) await new Promise((resolve) => setImmediate(resolve));
    heaps.push((await server.ask("heap")).heapBytes);
  }
  // The first third compiles code and fills pools.
  const settled = heaps.slice(Math.ceil(samplesMin / 3));
  const slope = slopeOf(settled);
  const shown = heaps.map((heap) => (heap / 2 ** 20).toFixed(2));
  console.info(
    `${heaps.length * connectionsPerSample} connections, ${slope.toFixed(1)} bytes each; MiB: ${shown.join(" ")}`,
  );
  expect(slope).toBeLessThan(slopeMax);
});
