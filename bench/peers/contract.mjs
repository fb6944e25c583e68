/**
 * The common part of all server programs: their order, their report, and the effect of a message.
 *
 * A program is started with one argument, its order as JSON. It listens on a free port of 127.0.0.1, reports it by
 * {@link listening}, and answers `memory` with its resident memory after a collection.
 */
import { memoryKiB } from "../memory.mjs";

/**
 * @typedef {"room" | "burst" | "echo" | "echoJSON" | "mixed"} PlainServe What a message makes the server do.
 * @typedef {PlainServe | "events" | "history"} Serve Those after the first are ways of Enfilade, without a peer.
 * @typedef {"metrics" | "tap"} Observer What observes Enfilade: enfilade/metrics, or a tap on another room.
 * @typedef {false | "default" | "noTakeover"} Deflate permessage-deflate: off, with default parameters, or with
 *   `server_no_context_takeover`.
 * @typedef {{ serve: Serve, burst: number, deflate: Deflate, uws?: string, observer?: Observer }} Order `burst`: messages
 *   for one trigger.
 * @typedef {{ reply: (text: string) => void, toRoom: (text: string) => void }} Sender One client, and its room.
 */

/** @type {Order} */
export const order = JSON.parse(process.argv[2]);

/** As `ws` takes it, and all that are made of it. */
export const perMessageDeflate = order.deflate && {
  threshold: 1024,
  ...(order.deflate === "noTakeover" && { serverNoContextTakeover: true }),
};

/** @param {number} port */
export function listening(port) {
  process.send?.({ port });
}

/**
 * The effect of a text on a server without a framework. In `room` the text is sent unchanged.
 *
 * @type {Record<PlainServe, (text: string, sender: Sender) => void>}
 */
const readers = {
  room: (text, { toRoom }) => toRoom(text),
  burst: (text, { toRoom }) => {
    for (const message of burst(JSON.parse(text))) toRoom(JSON.stringify(message));
  },
  echo: (text, { reply }) => reply(text),
  echoJSON: (text, { reply }) => reply(JSON.stringify(JSON.parse(text))),
  mixed: (text, { reply, toRoom }) => {
    reply(marked(text, "a"));
    toRoom(text);
    reply(marked(text, "z"));
  },
};

export const read = readers[order.serve];

/**
 * The messages that a trigger stands for: itself, with its number and the ones after it.
 *
 * @param {{ n: number }} trigger
 */
export function* burst(trigger) {
  for (let i = 0; i < order.burst; i++) yield { ...trigger, n: trigger.n + i };
}

/**
 * The text of a private reply: the message with another kind, which stands at a fixed place.
 *
 * @param {string} text
 * @param {"a" | "z"} kind
 */
export function marked(text, kind) {
  return `${text.slice(0, 31)}${kind}${text.slice(32)}`;
}

/** Rooms by path, for servers that have none of their own. @template Member */
export class Rooms {
  /** @type {Map<string, Set<Member>>} */
  #rooms = new Map();

  /** @param {string} path @param {Member} member @returns {Set<Member>} */
  enter(path, member) {
    const room = this.#rooms.get(path) ?? new Set();
    this.#rooms.set(path, room.add(member));
    return room;
  }

  /** @param {string} path @param {Member} member */
  leave(path, member) {
    const room = this.#rooms.get(path);
    room?.delete(member);
    if (room?.size === 0) this.#rooms.delete(path);
  }
}

process.on("message", async (message) => {
  if (message === "memory") process.send?.(await memoryKiB());
});
process.on("disconnect", () => process.exit());
