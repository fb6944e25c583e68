// One run: a fresh server, one load, and what came of it.
import { join } from "node:path";
import { generate } from "./generator.mjs";
import { cores, pinned } from "./machine.mjs";
import { uws } from "./peers.mjs";
import { resultOf } from "./program.mjs";
import { Server } from "./server.mjs";

/**
 * @typedef {object} Run What there is of it depends on the work.
 * @property {number} perSecond deliveries
 * @property {number} cpuUs of the server for a delivery, all its threads
 * @property {number} [p50Us] of a message, until all have it; with a rate, of a delivery. None when none was complete.
 * @property {number} [p99Us]
 * @property {number} idleShare of the generator
 * @property {number} connectsPerSecond
 * @property {number} [kibEach] with `idle`
 * @property {Record<string, unknown>} raw what the generator said
 * @property {number} [residentBytesEach] of a room; like the next ones, from a program that measures itself
 * @property {number} [heapBytesEach]
 * @property {number} [sendUs]
 * @property {number} [recoverySeconds]
 * @property {number} [peakMiB]
 * @property {number} [delayP50Ms] of the messages to others
 * @property {number} [delayP99Ms]
 */

/** Beyond the measured time: connecting, draining, and a machine that is busy with something else. */
const graceMs = 60_000;

/**
 * @param {string} program the generator
 * @param {import("./works.mjs").Work} work
 * @param {import("./peers.mjs").Peer} peer
 * @param {{ warmMs: number, measureMs: number }} times
 * @returns {Promise<Run>}
 */
export async function measure(program, work, peer, times) {
  const { load } = work;
  const deflate = work.deflate === true && peer.deflate;
  const server = await Server.start(peer, { serve: work.serve, burst: load.burst ?? 1, deflate, uws });
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
    return await watch(server, program, { ...settings, maxMs }, load.idle === 1);
  } catch (error) {
    throw new Error([error.message, server.errors].filter(Boolean).join("; its server wrote: "));
  } finally {
    await server.stop();
  }
}

/**
 * One run of a work that has a program of its own, in the place of the server.
 *
 * @returns {Promise<import("./report.mjs").Outcome>}
 */
export async function measureInside({ inside, load }, times) {
  const settings = JSON.stringify({ ...times, ...load, generatorCore: cores?.generator });
  const node = [process.execPath, "--expose-gc", join(import.meta.dirname, "inside", inside), settings];
  const maxMs = times.warmMs + times.measureMs + graceMs;
  const { load: run, base } = await resultOf(pinned(cores?.server, node), () => undefined, maxMs);
  return { load: run, base };
}

/** @returns {Promise<Run>} */
async function watch(server, program, settings, idle) {
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
