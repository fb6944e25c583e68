// Bursts to event streams: Enfilade and better-sse, one after the other in one process.
import { once } from "node:events";
import { createServer } from "node:http";
import { createChannel, createSession } from "better-sse";
import { App } from "../../dist/index.js";
import { nowMs } from "../clock.mjs";
import { ClientProcess } from "./clientProcess.mjs";
import { check, finish, QuietHandler, settings } from "./contract.mjs";

const { clients, burst, bytes, warmMs, measureMs } = settings;
const padding = "x".repeat(Math.max(0, bytes - JSON.stringify({ n: 1_000_000, t: "" }).length));

/** @returns {Promise<{ port: number, send: (message: object) => void, size: () => number }>} */
async function startEnfilade() {
  const app = new App().route("/room", QuietHandler, { http: true });
  const { port } = await app.listen(0, "127.0.0.1");
  const room = app.registry.room("/room");
  return { port, send: (message) => room.sendJSON(message), size: () => room.size };
}

async function startBetterSSE() {
  const channel = createChannel();
  const server = createServer(async (request, response) => channel.register(await createSession(request, response)));
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: server.address().port,
    send: (message) => void channel.broadcast(message),
    size: () => channel.sessionCount,
  };
}

/** @returns {Promise<Partial<import("../measure.mjs").Run>>} */
async function measure(server) {
  const crowd = new ClientProcess("eventStream.mjs", { ...settings, port: server.port });
  await crowd.ask({ connect: clients });
  while (server.size() < clients) await new Promise((resolve) => setImmediate(resolve));
  let sent = 0;
  const bursts = async (forMs) => {
    let rounds = 0;
    for (const endMs = nowMs() + forMs; nowMs() < endMs; rounds++) {
      const received = crowd.ask({ receive: burst });
      for (let i = 0; i < burst; i++) server.send({ n: 1_000_000 + sent++, t: padding });
      check(await received, clients * burst, "deliveries");
    }
    return rounds;
  };
  await bursts(warmMs);
  const [begunMs, cpu] = [nowMs(), process.cpuUsage()];
  const deliveries = (await bursts(measureMs)) * clients * burst;
  const seconds = (nowMs() - begunMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const { idleShare } = await crowd.ask({ leave: true });
  return { perSecond: deliveries / seconds, cpuUs: (user + system) / deliveries, idleShare };
}

// In another order each time, since the place affects the result.
const isFirst = Math.random() < 0.5;
const one = isFirst ? await measure(await startEnfilade()) : undefined;
const base = await measure(await startBetterSSE());
finish({ load: one ?? (await measure(await startEnfilade())), base });
