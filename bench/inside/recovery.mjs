// Many clients that resume at once: how long it takes, in what memory, and what becomes of a room beside them meanwhile.
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { App } from "../../dist/index.js";
import { nowMs } from "../clock.mjs";
import { memoryKiB, peakKiB, resetPeak } from "../memory.mjs";
import { percentile } from "../stats.mjs";
import { check, finish, Quiet, settings } from "./contract.mjs";
import { Helper } from "./helper.mjs";
import { kept } from "./kept.mjs";

const { clients, missed, bytes, everyMs, warmMs, measureMs } = settings;
const app = new App().route("/kept", Quiet, { history: { size: missed } }).route("/live", Quiet);
let accepted = 0;

/** A message at each moment that one is due, to the room beside; late ones are sent when the loop is free for it. */
class Live {
  /** @type {number[]} when each message was due */
  dues = [];
  #nextMs = nowMs();
  #timer = setInterval(() => this.#send(), 1);

  stop() {
    clearInterval(this.#timer);
  }

  #send() {
    for (; this.#nextMs <= nowMs(); this.#nextMs += everyMs) {
      app.registry.sendJSONToRoom("/live", { n: this.dues.length, dueMs: this.#nextMs });
      this.dues.push(this.#nextMs);
    }
  }
}

/** With room for all who connect at once, so that no handshake of TCP is repeated. */
async function listen() {
  const server = createServer();
  server.on("connection", () => {
    accepted += 1;
  });
  app.attach(server);
  await once(server.listen({ port: 0, host: "127.0.0.1", backlog: clients }), "listening");
  return server.address().port;
}

/** Fills the history, and says in which epoch that was. */
async function publish() {
  for (let offset = 1; offset <= missed; offset++) app.registry.sendJSONToRoom("/kept", kept(offset, bytes));
  const history = await app.registry.room("/kept").history();
  check(history.length, missed, "publications");
  return history[0].position.epoch;
}

async function until(isSo) {
  while (!isSo()) await sleep(1);
}

/** Until only the member of the room beside is there. */
const alone = () => until(() => app.status().connections === 1);

const parts = { ...settings, port: await listen(), epoch: await publish() };
const member = new Helper("live.mjs", parts);
const crowd = new Helper("resuming.mjs", parts);

/** Their sockets are there before, so that all of them can ask for the upgrade at the same moment. */
async function resume(count) {
  accepted = 0;
  await crowd.ask({ connect: count });
  await until(() => accepted === count);
  return crowd.ask({ resume: true });
}

await alone();
const live = new Live();
await resume(Math.ceil(clients / 10));
await alone();
await sleep(warmMs);

const quiet = { begunMs: nowMs() };
await sleep(measureMs);
quiet.endedMs = nowMs();

const before = await memoryKiB();
resetPeak();
const recovery = await resume(clients);
const peak = peakKiB();

await until(() => live.dues.at(-1) > recovery.endedMs);
live.stop();
check(app.status().totals.slow, 0, "slow clients");
const delays = await member.ask({ sent: live.dues.length });

/** Of the messages that were due in a time. */
function delaysOf({ begunMs, endedMs }) {
  const those = delays.filter((_, i) => live.dues[i] >= begunMs && live.dues[i] <= endedMs);
  return { delayP50Ms: percentile(those, 0.5), delayP99Ms: percentile(those, 0.99) };
}

const load = {
  recoverySeconds: (recovery.endedMs - recovery.begunMs) / 1000,
  peakMiB: (peak - before.residentKiB) / 1024,
  idleShare: recovery.idleShare,
};
finish({ load: { ...load, ...delaysOf(recovery) }, base: delaysOf(quiet) });
