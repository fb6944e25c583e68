// The memory of a room with one member: the growth of this process while existing connections join rooms.
import { memoryKiB } from "../memory.mjs";
import { check, connectAll, createQuietApp, finish, joinAll, settings } from "./contract.mjs";

const { rooms, roomsEach } = settings;
const app = createQuietApp();
const paths = Array.from({ length: rooms }, (_, i) => `/room/${i}`);

const clients = await connectAll(app, paths, roomsEach);
const before = await memoryKiB();
joinAll(app, paths, roomsEach);
const after = await memoryKiB();

check(app.status().rooms, rooms, "rooms");
check(app.status().connections, clients.length, "connections");
check(
  app.registry.rooms.every((room) => room.size === 1),
  true,
  "rooms of one member",
);
// Homes were opened with their connections, before the measurement.
const joined = rooms - clients.length;
const bytesEach = (name) => ((after[name] - before[name]) * 1024) / joined;
finish({ load: { residentBytesEach: bytesEach("residentKiB"), heapBytesEach: bytesEach("heapKiB") } });
