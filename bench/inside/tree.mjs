// Sends to a tree of ten rooms, alternately in an app with many other rooms and in an app without.
import { performance } from "node:perf_hooks";
import { median } from "../stats.mjs";
import { check, connectAll, createQuietApp, finish, joinAll, settings } from "./contract.mjs";

const { rooms, roomsEach, warmMs, measureMs } = settings;
const sendsOfTurn = 100;

/** Ten rooms per organisation. */
const orgs = Array.from({ length: rooms / 10 }, (_, org) => [
  `/org/${org}`,
  ...Array.from({ length: 9 }, (_, room) => `/org/${org}/room/${room}`),
]);
const addressed = orgs[7];
const others = orgs.filter((org) => org !== addressed).flat();

/** Creates an app with one member in each addressed room. */
async function createTreeApp() {
  const app = createQuietApp();
  const members = await connectAll(app, addressed, 1);
  return { app, members, sent: 0, times: [] };
}

const alone = await createTreeApp();
const among = await createTreeApp();
await connectAll(among.app, others, roomsEach);
joinAll(among.app, others, roomsEach);
check(alone.app.status().rooms, addressed.length, "rooms");
check(among.app.status().rooms, rooms, "rooms");

/** Only the calls are timed: finding the members and queuing for them. Then each member must get all in order. */
async function takeTurn(tree) {
  const { app, members, sent } = tree;
  const begun = performance.now();
  for (let i = 0; i < sendsOfTurn; i++) app.registry.sendJSONToRoom("/org/7/**", { n: sent + i });
  tree.times.push((performance.now() - begun) / sendsOfTurn);
  tree.sent += sendsOfTurn;
  for (const member of members) {
    for (let n = sent; n < tree.sent; n++) check((await member.readJSON()).n, n, "a number");
  }
}

async function takeTurns(ms) {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    await takeTurn(alone);
    await takeTurn(among);
  }
}

await takeTurns(warmMs);
for (const tree of [alone, among]) tree.times.length = 0;
await takeTurns(measureMs);
// No other client got a message.
for (const { app, sent } of [alone, among]) check(app.status().totals.delivered, sent * addressed.length, "deliveries");
const usEach = ({ times }) => ({ sendUs: median(times) * 1000 });
finish({ load: usEach(among), base: usEach(alone) });
