// The time that the admin takes for a page of a list, with many connections, users and rooms. The calls are made over
// HTTP by the same process, so the time includes that of the client.
import { admin } from "../../dist/admin/index.js";
import { App } from "../../dist/index.js";
import { connect } from "../../dist/testing/index.js";
import { check, connectAll, finish, joinAll, QuietHandler, settings } from "./contract.mjs";

const { rooms, roomsEach, clients, rounds } = settings;

class NamedHandler extends QuietHandler {
  authorize({ query }) {
    return { id: query.get("user") ?? "first" };
  }
}

const app = new App({ limits: { connectionsPerUserMax: clients } })
  .route("/room/:name", NamedHandler)
  .use(admin({ authorize: () => "bench", limits: { listEntriesMax: 200 } }));
const { port } = await app.listen(0, "127.0.0.1");
const paths = Array.from({ length: rooms }, (_, i) => `/room/${i}`);
const first = await connectAll(app, paths, roomsEach);
joinAll(app, paths, roomsEach);
for (let i = first.length; i < clients; i += 1) await connect(app, `${paths[(i * roomsEach) % rooms]}?user=user-${i}`);
check(app.status().rooms, rooms, "rooms");
check(app.status().connections, clients, "connections");

/** The entries of a call, and its median time in milliseconds. */
async function measure(call, name) {
  const times = [];
  let entries = 0;
  for (let round = 0; round < rounds; round += 1) {
    const begun = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}/admin/api/${call}`);
    const body = await response.json();
    times.push(performance.now() - begun);
    entries = body[name].length;
  }
  return { entries, ms: times.toSorted((one, other) => one - other)[Math.floor(rounds / 2)] };
}

async function measureFull(call, name) {
  const { entries, ms } = await measure(call, name);
  check(entries, 50, call);
  return ms;
}

const middle = encodeURIComponent("/room/5");
const connectionsMs = await measureFull("connections", "connections");
const searchMs = await measureFull("connections?search=user-9", "connections");
const usersMs = await measureFull("users?after=user-5", "users");
const roomsMs = await measureFull(`rooms?under=/room&after=${middle}`, "rooms");
const roomSearchMs = await measureFull("rooms?search=99", "rooms");
const { ms: topMs } = await measure("rooms", "rooms");
finish({ load: { connectionsMs, searchMs, usersMs, roomsMs, roomSearchMs, topMs } });
