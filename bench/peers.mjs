import { resolve } from "node:path";

/**
 * Who takes part, in the order of a round. `path` is where the generator connects; it adds the number of the room.
 *
 * @typedef {object} Peer
 * @property {string} name
 * @property {string} program In peers/, or a whole path.
 * @property {string | undefined} package Whose version is told; none for Enfilade itself.
 * @property {string} path
 * @property {Record<string, string | number>} [dialect] Settings of the generator for what is not plain WebSocket.
 * @property {import("./peers/contract.mjs").Deflate} deflate In a work with compression.
 * @property {boolean} [onlyDeflate] Takes part in such works only.
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

/** Another checkout of this project, already built: it takes part as "before", beside the one that is measured. */
const before = process.env.BEFORE;
/** @type {Peer[]} */
const compared = before
  ? [{ ...plain, name: "before", program: resolve(before, "bench/peers/enfilade.mjs"), package: undefined }]
  : [];

/** A folder with uWebSockets.js, which npm does not carry. */
export const uws = process.env.UWS;

/** @type {Peer[]} */
export const peers = [
  ...always,
  ...compared,
  ...(uws ? [{ ...plain, name: "uws", program: "uws.mjs", package: undefined }] : []),
];

/** The peer that ratios are to. */
export const reference = "ws";
/** The peer that targets are for. */
export const subject = "enfilade";

/** @param {import("./works.mjs").Work} work @param {boolean} few Only the two that targets need. */
export function peersOf(work, few) {
  if (work.alone) return peers.filter(({ name }) => name === subject);
  const needed = [subject, reference, "before"];
  const some = few || before ? peers.filter(({ name }) => needed.includes(name)) : peers;
  return some.filter((peer) => work.deflate || !peer.onlyDeflate);
}
