import { jsonFrame } from "../../clients/frames.js";
import { inParallel, openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { Objects, ServerSettings } from "../../server/settings.js";
import type { ServerProcess } from "../../serverProcess.js";

const MB = 1024 * 1024;
const atOnce = 32;
/** Milliseconds until nothing is left of clients that have disconnected. */
const idleMs = 5_000;
/** A rare branch may make some functions once. A listener that each visit leaves is a function for each. */
const functionsMax = 20;
/** Rooms that a client is in before it leaves them all. */
const joinsEach = 100;
const room = (scene: Scene) => `/kept/${scene.dice.from(0, 2 ** 31).toString(36)}`;

/** Reads frames up to the reply to a command. */
async function ask(client: RawSocket, event: string, data: string, id: number): Promise<void> {
  client.write(jsonFrame({ type: "event", event, data, id }));
  for (;;) {
    const one = JSON.parse(await client.nextText()) as { type: string; id?: number };
    if (one.type === "reply" && one.id === id) return;
  }
}

/** Clients join rooms at random, far more than there may be. */
export async function roomFlood(scene: Scene, settings: ServerSettings = {}): Promise<void> {
  const roomsMax = scene.pick(100_000, 1_000);
  const server = await scene.start({ ...settings, limits: scene.pick({}, { roomsMax }) });
  const total = scene.pick(1_000_000, 4_000);
  const clients = await openMany(scene.pick(1_200, 20), () => RawSocket.openV1(server.port, "/work/visits"));
  let [next, most] = [0, 0];
  await Promise.all(
    clients.map(async (client) => {
      const joined: string[] = [];
      let id = 0;
      const order = (event: string, path: string) => {
        id += 1;
        return ask(client, event, path, id);
      };
      while (next < total) {
        next += 1;
        const path = room(scene);
        await order("join", path);
        joined.push(path);
        if (joined.length % 20 === 0) most = Math.max(most, (await server.status()).rooms);
        if (joined.length < joinsEach) continue;
        for (const one of joined.splice(0)) await order("leave", one);
      }
    }),
  );
  scene.atMost("rooms at once", most, roomsMax);
  scene.show("random rooms", total);
  for (const client of clients) client.destroy();
  await scene.until("no room is left", scene.pick(20_000, idleMs), async () => (await server.status()).rooms <= 1);
}

/** Connects, joins, leaves and disconnects, each time with another user in another room. */
async function visit(scene: Scene, server: ServerProcess, number: number): Promise<void> {
  const client = await RawSocket.openV1(server.port, `${room(scene)}?user=user-${number}`);
  const other = room(scene);
  await ask(client, "join", other, 1);
  await ask(client, "leave", other, 2);
  client.destroy();
}

/** What the server still has when all clients have disconnected. */
async function remains(scene: Scene, server: ServerProcess): Promise<Objects> {
  const left = async () => {
    const { rooms, connections, users } = await server.status();
    return { rooms: rooms - 1, connections: connections - 1, users };
  };
  await scene.until("nothing is left of the visits", idleMs, async () =>
    Object.values(await left()).every((count) => count === 0),
  );
  scene.equal("left of the visits, besides the neighbour", await left(), { rooms: 0, connections: 0, users: 0 });
  return server.objects();
}

async function visits(scene: Scene): Promise<void> {
  const server = await scene.start();
  const total = scene.pick(1_000_000, 3_000);
  // The heap grows at first: V8 compiles, and reserves room.
  const warmUp = scene.pick(total / 4, 2_000);
  await inParallel(warmUp, atOnce, (number) => visit(scene, server, number));
  const before = await remains(scene, server);
  await inParallel(total, atOnce, (number) => visit(scene, server, warmUp + number));
  const after = await remains(scene, server);
  scene.show("visits", total);
  const bytes = after.bytes - before.bytes;
  scene.show("bytes of heap more for each visit", bytes / total);
  scene.atMost("heap more after them, MB", bytes / MB, scene.pick(5, 1));
  for (const kind of ["timers", "rooms", "sessions"] as const) {
    scene.atMost(`${kind} in the heap more`, after[kind] - before[kind], 0);
  }
  scene.atMost("functions in the heap more", after.functions - before.functions, functionsMax);
  scene.atMost("listeners of the process more", after.processListeners - before.processListeners, 0);
  const { sockets } = await server.measure();
  scene.equal("sockets left, with that of the neighbour", sockets, 1);
  scene.equal("connects and closes", await server.tally("work:close"), await server.tally("work:connect"));
}

export const visitsRow: Row = {
  number: 7,
  title: "random rooms, visits",
  expected: "rooms at most the cap; afterwards 0 rooms, timers, listeners; heap at most +5 MB",
  seconds: 3_600,
  async run(scene) {
    await roomFlood(scene);
    await visits(scene);
  },
};
