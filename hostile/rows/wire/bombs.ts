import { constants, deflateRawSync } from "node:zlib";
import { Flooder } from "../../clients/flooder.js";
import { frame, Opcode } from "../../clients/frames.js";
import { openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";

const MB = 1024 * 1024;
const GB = 1024 * MB;
const rsv1 = 4;
const headers = { "Sec-WebSocket-Extensions": "permessage-deflate" };
const endMs = 10_000;
const tooBig = 1009;

/** Deflated zeros, as many bytes as asked for: pieces can follow each other, since none refers to an earlier one. */
function zeros(bytes: number): Buffer {
  const pieceBytes = Math.min(bytes, 16 * MB);
  const piece = deflateRawSync(Buffer.alloc(pieceBytes), { finishFlush: constants.Z_SYNC_FLUSH });
  return Buffer.concat(Array.from({ length: bytes / pieceBytes }, () => piece)).subarray(0, -4);
}

const open = (port: number) => RawSocket.open(port, "/squeezed/bombs", { headers });

/** Each sends one message that is small on the wire; in one frame, or in fragments below the limit. */
async function bombs(scene: Scene, port: number, payload: Buffer, count: number, name: string): Promise<void> {
  const clients = await openMany(count, () => open(port));
  const whole = frame({ opcode: Opcode.binary, payload, reserved: rsv1 });
  const parts = [
    frame({ opcode: Opcode.binary, payload: payload.subarray(0, 30_000), reserved: rsv1, isFinal: false }),
    frame({ opcode: Opcode.continuation, payload: payload.subarray(30_000) }),
  ];
  for (const [index, client] of clients.entries()) client.write(index % 2 === 0 ? whole : Buffer.concat(parts));
  const timer = setTimeout(() => {
    for (const client of clients) client.destroy();
  }, endMs);
  const ends = await Promise.all(clients.map((client) => client.ended));
  clearTimeout(timer);
  const wrong = ends.filter(({ code }) => code !== tooBig).map(({ code }) => code);
  if (wrong.length > 0) scene.fail(`${name}: expected ${tooBig} for all ${count}, came also ${[...new Set(wrong)]}`);
}

export const bombsRow: Row = {
  number: 9,
  title: "deflate bombs",
  expected: "1009 for each, at most +64 MB; one client at most a tenth of a core",
  seconds: 120,
  async run(scene) {
    const server = await scene.start();
    // The code and the buffers that the first compressed message needs are not memory of the attack.
    await bombs(scene, server.port, zeros(16 * MB), 2, "warming up");
    await server.resetPeaks();
    const before = await server.measure();
    const count = scene.pick(100, 20);
    await bombs(scene, server.port, zeros(GB), count, "1 GB each, above the limit on the wire too");
    await bombs(scene, server.port, zeros(32 * MB), count, "32 MB each, below the limit on the wire");
    const { peakRss } = await server.measure(false);
    scene.atMost("resident memory more, MB", (peakRss - before.rss) / MB, 64);

    const small = frame({ opcode: Opcode.binary, payload: zeros(64 * 1024), reserved: rsv1 });
    scene.show("bytes of a small frame", small.length);
    const client = await open(server.port);
    await scene.window(server);
    const flooder = new Flooder(client, small);
    // The burst that `inflatedBytesPerSecondMax` allows. A short run would measure little else.
    await scene.last(1_500);
    const [cpuBefore, start] = [(await server.measure(false)).cpuMs, performance.now()];
    await scene.last(scene.pick(10_000, 1_500));
    flooder.stop();
    const [cpuAfter, end] = [(await server.measure(false)).cpuMs, performance.now()];
    scene.show("small frames: neighbour p99, ms", (await scene.window(server)).p99);
    scene.timeAtMost("small frames: cores used by one client", (cpuAfter - cpuBefore) / (end - start), 0.1);
  },
};
