import { jsonFrame } from "../../clients/frames.js";
import { inParallel, openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerSettings } from "../../server/settings.js";
import type { ServerProcess } from "../../serverProcess.js";

const MB = 1024 * 1024;
const atOnce = 32;
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
  await scene.until("no room is left", 20_000, async () => (await server.status()).rooms <= 1);
}

/** Connects, joins, leaves and disconnects, each time with another user in another room. */
async function visit(scene: Scene, server: ServerProcess, number: number): Promise<void> {
  const client = await RawSocket.openV1(server.port, `${room(scene)}?user=user-${number}`);
  const other = room(scene);
  await ask(client, "join", other, 1);
  await ask(client, "leave", other, 2);
  client.destroy();
}

async function idle(scene: Scene, server: ServerProcess) {
  await scene.until("no room is left", 20_000, async () => {
    const { rooms, connections, users } = await server.status();
    return rooms === 1 && connections === 1 && users === 0;
  });
  return server.measure();
}

async function visits(scene: Scene): Promise<void> {
  const server = await scene.start();
  const total = scene.pick(1_000_000, 2_000);
  await inParallel(total / 4, atOnce, (number) => visit(scene, server, number));
  const before = await idle(scene, server);
  await inParallel(total, atOnce, (number) => visit(scene, server, total + number));
  const after = await idle(scene, server);
  scene.show("visits", total);
  scene.atMost("heap more after them, MB", (after.heap - before.heap) / MB, 5);
  const timers = (resources: Readonly<Record<string, number>>) => resources.Timeout ?? 0;
  scene.atMost("timers more", timers(after.resources) - timers(before.resources), 0);
  scene.atMost("sockets more", after.sockets - before.sockets, 0);
  scene.atMost("listeners of the process more", after.processListeners - before.processListeners, 0);
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
