import { resolve } from "node:path";

/**
 * Enfilade or a library to compare it with. The generator appends the number of the room to `path`.
 *
 * @typedef {object} Peer
 * @property {string} name
 * @property {string} program In peers/, or an absolute path.
 * @property {string | undefined} package The npm package whose version is reported; `undefined` for Enfilade.
 * @property {string} path
 * @property {Record<string, string | number>} [dialect] Settings of the generator for a protocol over WebSocket.
 * @property {import("./peers/contract.mjs").Deflate} deflate Compression in a workload that asks for it.
 * @property {boolean} [onlyDeflate] Takes part only in workloads with compression.
 */

const plain = { path: "/r/", deflate: /** @type {const} */ ("default") };

/** @type {Peer[]} */
const always = [
  { ...plain, name: "enfilade", program: "enfilade.mjs", package: undefined },
  { ...plain, name: "ws", program: "ws.mjs", package: "ws" },
  { ...plain, name: "ws, no takeover", program: "ws.mjs", package: "ws", deflate: "noTakeover", onlyDeflate: true },
  {
    ...plain,
    name: "socket.io",
    program: "socket.io.mjs",
    package: "socket.io",
    path: "/socket.io/?EIO=4&transport=websocket&room=/r/",
    dialect: { socketio: 1, prefix: '42["m",', suffix: "]" },
  },
  { ...plain, name: "crossws", program: "crossws.mjs", package: "crossws" },
  { ...plain, name: "fastify", program: "fastify.mjs", package: "@fastify/websocket" },
];

/** Another checkout of this project, already built: it takes part under the name "before". */
const before = process.env.BEFORE;
/** @type {Peer[]} */
const compared = before
  ? [{ ...plain, name: "before", program: resolve(before, "bench/peers/enfilade.mjs"), package: undefined }]
  : [];

/** @type {Peer[]} */
const floor = process.env.FLOOR ? [{ ...plain, name: "floor", program: "floor.mjs", package: undefined }] : [];

/** A folder with uWebSockets.js, which npm does not have. */
export const uws = process.env.UWS;

/** @type {Peer[]} */
export const peers = [
  ...always,
  ...compared,
  ...floor,
  ...(uws ? [{ ...plain, name: "uws", program: "uws.mjs", package: undefined }] : []),
];

/** The peer that the ratios refer to. */
export const reference = "ws";
/** The peer that the targets are for. */
export const subject = "enfilade";

/** @param {import("./workloads.mjs").Workload} workload @param {boolean} few Only the peers that the targets need. */
export function peersOf(workload, few) {
  if (workload.alone) return peers.filter(({ name }) => name === subject);
  const needed = [subject, reference, "before", "floor"];
  const some = few || before || floor.length > 0 ? peers.filter(({ name }) => needed.includes(name)) : peers;
  return some.filter((peer) => (workload.deflate ? peer.name !== "floor" : !peer.onlyDeflate));
}
