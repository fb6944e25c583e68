import { Flooder } from "../../clients/flooder.js";
import { frame, jsonFrame, Opcode, textFrame } from "../../clients/frames.js";
import { openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

const MB = 1024 * 1024;
const crowds = [1, 10] as const;
const neighbourMs = 50;

interface Flood {
  readonly name: string;
  readonly target: string;
  readonly frame: Buffer;
  /** Default: none. */
  readonly subprotocol?: string;
}

const v1 = "enfilade.v1";
const rooms = "enfilade.v1.rooms";
const opening = jsonFrame({ type: "open", room: "/echo/flood" });
const closing = jsonFrame({ type: "close", room: "/echo/flood" });

const floods: readonly Flood[] = [
  { name: "pings", target: "/echo/flood", frame: frame({ opcode: Opcode.ping, payload: "p" }) },
  { name: "pongs", target: "/echo/flood", frame: frame({ opcode: Opcode.pong }) },
  { name: "messages", target: "/echo/flood", frame: textFrame("ab") },
  { name: "v1 pings", target: "/work/flood", frame: jsonFrame({ type: "ping" }), subprotocol: v1 },
  { name: "v1 bad frames", target: "/work/flood", frame: jsonFrame({ type: "no", id: 1 }), subprotocol: v1 },
  { name: "opened and closed rooms", target: "/", frame: Buffer.concat([opening, closing]), subprotocol: rooms },
  { name: "refused rooms", target: "/", frame: jsonFrame({ type: "open", room: "/none" }), subprotocol: rooms },
];

/** So many clients flood for a time; the neighbour must get its echoes in time. */
async function runFlood(scene: Scene, server: ServerProcess, flood: Flood, count: number, ms: number): Promise<void> {
  const name = `${count} × ${flood.name}`;
  const { target, subprotocol } = flood;
  const clients = await openMany(count, () =>
    RawSocket.open(server.port, target, subprotocol === undefined ? {} : { subprotocol }),
  );
  await scene.window(server);
  const flooders = clients.map((client) => new Flooder(client, flood.frame));
  await scene.last(ms);
  const { p99 } = await scene.window(server);
  // ws resets a connection with more than 60 pongs that are not sent yet.
  scene.show(`${name}: connections that the server has cut`, clients.filter(({ isEnded }) => isEnded).length);
  for (const flooder of flooders) flooder.stop();
  scene.timeAtMost(`${name}: neighbour p99, ms`, p99, neighbourMs);
  await scene.until(`${name}: the connections end`, 10_000, async () => (await server.status()).connections <= 1);
}

/** Clients that send pings, and read no pong. */
async function runUnread(scene: Scene, server: ServerProcess, count: number, ms: number): Promise<void> {
  const name = `${count} × pings with pongs unread`;
  const clients = await openMany(count, () => RawSocket.open(server.port, "/quiet/flood"));
  await server.resetPeaks();
  await scene.window(server);
  const ping = frame({ opcode: Opcode.ping, payload: "p".repeat(125) });
  const flooders = clients.map((client) => {
    const flooder = new Flooder(client, ping);
    client.socket.pause();
    return flooder;
  });
  await scene.last(ms);
  const { p99 } = await scene.window(server);
  const { peakSocketBytes } = await server.measure(false);
  scene.atMost(`${name}: buffered for one client, MB`, peakSocketBytes / MB, 1);
  scene.timeAtMost(`${name}: neighbour p99, ms`, p99, neighbourMs);
  // ws resets a connection with more than 60 pongs that are not sent yet.
  scene.show(`${name}: connections that the server has cut`, clients.filter(({ isEnded }) => isEnded).length);
  for (const flooder of flooders) flooder.stop();
  await scene.until(`${name}: the connections end`, 10_000, async () => (await server.status()).connections <= 1);
}

export const floodsRow: Row = {
  number: 10,
  title: "floods",
  expected: "held back, less than 1 MB buffered, neighbour p99 below 50 ms",
  seconds: 240,
  async run(scene) {
    const server = await scene.start();
    const ms = scene.pick(10_000, 300);
    for (const count of crowds) {
      // The buffers of the system, which hold megabytes, have to fill up first.
      if (count === 1 || !scene.isQuick) await runUnread(scene, server, count, scene.pick(10_000, 1_500));
      for (const flood of floods) await runFlood(scene, server, flood, count, ms);
    }
  },
};
