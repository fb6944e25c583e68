// Many clients resume at once: measures the time, the memory, and the delay in another room meanwhile.
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { App } from "../../dist/index.js";
import { nowMs } from "../clock.mjs";
import { memoryKiB, peakKiB, resetPeak } from "../memory.mjs";
import { percentile } from "../stats.mjs";
import { ClientProcess } from "./clientProcess.mjs";
import { check, finish, QuietHandler, settings } from "./contract.mjs";
import { publicationAt } from "./publication.mjs";

const { clients, missed, bytes, everyMs, warmMs, measureMs } = settings;
// Each publication counts as 260 bytes and two for each character.
const history = { size: missed, bytesMax: missed * (260 + 4 * bytes) };
const app = new App().route("/kept", QuietHandler, { history }).route("/live", QuietHandler);
let accepted = 0;

/** Sends a message to the other room at fixed times; one that is late is sent as soon as the event loop is free. */
class LiveSender {
  /** @type {number[]} The time when each message was due. */
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

/** The backlog has space for all clients, so that no TCP handshake is repeated. */
async function listen() {
  const server = createServer();
  server.on("connection", () => {
    accepted += 1;
  });
  app.attach(server);
  await once(server.listen({ port: 0, host: "127.0.0.1", backlog: clients }), "listening");
  return server.address().port;
}

/** Fills the history and returns its epoch. */
async function fillHistory() {
  for (let offset = 1; offset <= missed; offset++) app.registry.sendJSONToRoom("/kept", publicationAt(offset, bytes));
  const history = await app.registry.room("/kept").history();
  check(history.length, missed, "publications");
  return history[0].position.epoch;
}

async function waitUntil(isDone) {
  while (!isDone()) await sleep(1);
}

/** Waits until only the member of the other room is connected. */
const othersHaveLeft = () => waitUntil(() => app.status().connections === 1);

const clientSettings = { ...settings, port: await listen(), epoch: await fillHistory() };
const member = new ClientProcess("live.mjs", clientSettings);
const crowd = new ClientProcess("resuming.mjs", clientSettings);

/** Opens all sockets first, so that all clients send their upgrade request at the same moment. */
async function resume(count) {
  accepted = 0;
  await crowd.ask({ connect: count });
  await waitUntil(() => accepted === count);
  return crowd.ask({ resume: true });
}

await othersHaveLeft();
const live = new LiveSender();
await resume(Math.ceil(clients / 10));
await othersHaveLeft();
await sleep(warmMs);

const quiet = { begunMs: nowMs() };
await sleep(measureMs);
quiet.endedMs = nowMs();

const before = await memoryKiB();
resetPeak();
const recovery = await resume(clients);
const peak = peakKiB();

await waitUntil(() => live.dues.at(-1) > recovery.endedMs);
live.stop();
check(app.status().totals.slow, 0, "slow clients");
const delays = await member.ask({ sent: live.dues.length });

/** The delays of the messages that were due in this time. */
function delaysOf({ begunMs, endedMs }) {
  const selected = delays.filter((_, i) => live.dues[i] >= begunMs && live.dues[i] <= endedMs);
  return { delayP50Ms: percentile(selected, 0.5), delayP99Ms: percentile(selected, 0.99) };
}

const load = {
  recoverySeconds: (recovery.endedMs - recovery.begunMs) / 1000,
  peakMiB: (peak - before.residentKiB) / 1024,
  idleShare: recovery.idleShare,
};
finish({ load: { ...load, ...delaysOf(recovery) }, base: delaysOf(quiet) });
