// One run: a fresh server, one load, and its result.
import { join } from "node:path";
import { generate } from "./generator.mjs";
import { cores, pinned } from "./machine.mjs";
import { uws } from "./peers.mjs";
import { runProgram } from "./program.mjs";
import { Server } from "./server.mjs";

/**
 * @typedef {object} Run Which fields are set depends on the workload.
 * @property {number} perSecond Deliveries.
 * @property {number} cpuUs Processor time of all threads of the server per delivery.
 * @property {number} [p50Us] Until all members have a message; with a rate, of each delivery. May be unset.
 * @property {number} [p99Us]
 * @property {number} idleShare Share of the time in which the generator used no processor.
 * @property {number} connectsPerSecond
 * @property {number} [kibEach] Resident memory per connection, with `idle`.
 * @property {Record<string, unknown>} raw The result of the generator as it printed it.
 * @property {number} [allBytesEach] As residentBytesEach, with the kernel's part of the sockets.
 * @property {number} [residentBytesEach] Per room. This and the fields below come from a program in inside/.
 * @property {number} [heapBytesEach]
 * @property {number} [sendUs]
 * @property {number} [connectionsMs] For a page of a list of the admin, as the five below.
 * @property {number} [searchMs]
 * @property {number} [usersMs]
 * @property {number} [roomsMs]
 * @property {number} [roomSearchMs]
 * @property {number} [topMs]
 * @property {number} [recoverySeconds]
 * @property {number} [peakMiB]
 * @property {number} [delayP50Ms] Delay of the messages to another room.
 * @property {number} [delayP99Ms]
 */

/** Time in addition to the measured one: for connecting, for draining, and for a machine that is busy. */
const graceMs = 60_000;

/**
 * @param {string} program The compiled generator.
 * @param {import("./workloads.mjs").Workload} workload
 * @param {import("./peers.mjs").Peer} peer
 * @param {{ warmMs: number, measureMs: number }} times
 * @returns {Promise<Run>}
 */
export async function measure(program, workload, peer, times) {
  const { load, serve, observer } = workload;
  const deflate = workload.deflate === true && peer.deflate;
  const server = await Server.start(peer, { serve, burst: load.burst ?? 1, deflate, uws, observer });
  try {
    const settings = {
      ...times,
      ...load,
      ...peer.dialect,
      path: peer.path,
      port: server.port,
      deflate: deflate ? 1 : 0,
    };
    const maxMs = settings.warmMs + settings.measureMs + graceMs;
    return await runGenerator(server, program, { ...settings, maxMs }, load.idle === 1);
  } catch (error) {
    throw new Error([error.message, server.errors].filter(Boolean).join("; its server wrote: "));
  } finally {
    await server.stop();
  }
}

/**
 * One run of a workload with a program in inside/, which replaces server and generator.
 *
 * @returns {Promise<import("./report.mjs").Outcome>}
 */
export async function measureInside({ inside, load }, times) {
  const settings = JSON.stringify({ ...times, ...load, generatorCore: cores?.generator });
  const node = [process.execPath, "--expose-gc", join(import.meta.dirname, "inside", inside), settings];
  const maxMs = times.warmMs + times.measureMs + graceMs;
  const { load: run, base } = await runProgram(pinned(cores?.server, node), () => undefined, maxMs);
  return { load: run, base };
}

/** @returns {Promise<Run>} */
async function runGenerator(server, program, settings, idle) {
  let kib = idle ? await server.residentKiB() : 0;
  let cpu = 0;
  const raw = await generate(program, settings, async ({ event }, proceed) => {
    if (event === "begin") cpu = server.cpuSeconds();
    if (event === "end") cpu = server.cpuSeconds() - cpu;
    if (event === "connected" && idle) {
      kib = (await server.residentKiB()) - kib;
      proceed();
    }
  });
  const shared = { raw, connectsPerSecond: raw.connections / raw.connectSeconds };
  if (idle) return { ...shared, kibEach: kib / raw.connections };
  const { deliveries, seconds, samples, p50Us, p99Us, idleShare } = raw;
  const latencies = samples > 0 ? { p50Us, p99Us } : {};
  return { ...shared, perSecond: deliveries / seconds, cpuUs: (cpu / deliveries) * 1e6, idleShare, ...latencies };
}
