// The server of sharedRooms.mjs: the memory of idle rooms, and then the deliveries to all of them.
import { nowMs } from "../clock.mjs";
import { kernelBytesPerSocket, memoryKiB } from "../memory.mjs";
import { ClientProcess } from "./clientProcess.mjs";
import { check, createQuietApp, settings } from "./contract.mjs";

const { rooms, members, roomsEach, bytes, warmMs, measureMs } = settings;
const connections = rooms * members;
const padding = "x".repeat(Math.max(0, bytes - JSON.stringify({ n: 1_000_000, t: "" }).length));
const app = createQuietApp();
const { port } = await app.listen(0, "127.0.0.1");
const crowd = new ClientProcess("sharedRooms.mjs", { ...settings, port });

const hasConnections = async (count) => {
  while (app.status().connections < count) await new Promise((resolve) => setTimeout(resolve, 10));
};

// What the first client costs is not that of a room.
await crowd.ask({ first: true });
await hasConnections(1);
const before = await memoryKiB();
await crowd.ask({ connect: true });
await hasConnections(connections + 1);
const after = await memoryKiB();
const sockets = roomsEach === 0 ? connections : connections / roomsEach;
const kernelBytes = kernelBytesPerSocket();
const bytesEach = (name) => ((after[name] - before[name]) * 1024) / connections;

let sent = 0;
/** One message to each room, again when all members have it. */
async function sendFor(ms) {
  const begun = sent;
  for (const end = nowMs() + ms; nowMs() < end; sent++) {
    const received = crowd.ask({ receive: connections });
    for (let room = 0; room < rooms; room++) {
      app.registry.sendJSONToRoom(`/room/${room}`, { n: 1_000_000 + sent, t: padding });
    }
    check(await received, connections, "deliveries");
  }
  return (sent - begun) * connections;
}

await sendFor(warmMs);
const [begunMs, cpu] = [nowMs(), process.cpuUsage()];
const deliveries = await sendFor(measureMs);
const seconds = (nowMs() - begunMs) / 1000;
const { user, system } = process.cpuUsage(cpu);
const { idleShare } = await crowd.ask({ check: true });
process.send(
  {
    perSecond: deliveries / seconds,
    cpuUs: (user + system) / deliveries,
    residentBytesEach: bytesEach("residentKiB"),
    allBytesEach: kernelBytes && bytesEach("residentKiB") + (kernelBytes * sockets) / connections,
    heapBytesEach: bytesEach("heapKiB"),
    idleShare,
    roomsEach,
  },
  () => process.exit(),
);
