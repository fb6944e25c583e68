// The least that a server on Node's sockets can do: no library and no checks, one write for each socket and tick.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { listening, Rooms, read } from "./contract.mjs";

const acceptGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** The first byte of a text and of a pong, and the opcode of a ping. */
const [text, pong, ping] = [0x81, 0x8a, 9];
const maskBytes = 4;

/** What is sent in this tick, to one socket or to all of a room: joined once. */
class Outgoing {
  /** @type {Buffer[]} */
  #frames = [];
  #sockets;

  /** @param {Iterable<import("node:stream").Duplex>} sockets */
  constructor(sockets) {
    this.#sockets = sockets;
  }

  /** @param {string} message @param {number} [first] */
  send(message, first = text) {
    if (this.#frames.push(frameOf(message, first)) === 1) setImmediate(() => this.#flush());
  }

  #flush() {
    const bytes = this.#frames.length === 1 ? this.#frames[0] : Buffer.concat(this.#frames);
    this.#frames = [];
    for (const socket of this.#sockets) socket.write(bytes);
  }
}

/** @param {string} message @param {number} first */
function frameOf(message, first) {
  const length = Buffer.byteLength(message);
  const begin = length < 126 ? 2 : 4;
  const frame = Buffer.allocUnsafe(begin + length);
  frame[0] = first;
  frame[1] = length < 126 ? length : 126;
  if (begin === 4) frame.writeUInt16BE(length, 2);
  frame.write(message, begin);
  return frame;
}

/**
 * Reads whole masked frames of less than 64 KiB, and returns the rest.
 *
 * @param {Buffer} chunk @param {(opcode: number, message: string) => void} onFrame
 */
function readFrames(chunk, onFrame) {
  let at = 0;
  while (chunk.length - at >= 2 + maskBytes) {
    const isShort = (chunk[at + 1] & 0x7f) < 126;
    const length = isShort ? chunk[at + 1] & 0x7f : chunk.readUInt16BE(at + 2);
    const mask = at + (isShort ? 2 : 4);
    const begin = mask + maskBytes;
    if (begin + length > chunk.length) break;
    for (let i = 0; i < length; i++) chunk[begin + i] ^= chunk[mask + (i & 3)];
    onFrame(chunk[at] & 0x0f, chunk.toString("latin1", begin, begin + length));
    at = begin + length;
  }
  return chunk.subarray(at);
}

/** @type {Rooms<import("node:stream").Duplex>} */
const rooms = new Rooms();
/** @type {Map<object, Outgoing>} By the set of members. */
const outgoing = new Map();
const server = createServer();

server.on("upgrade", ({ url = "/", headers }, socket) => {
  const accept = createHash("sha1").update(headers["sec-websocket-key"] + acceptGuid);
  const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
  socket.write([...lines, `Sec-WebSocket-Accept: ${accept.digest("base64")}`, "", ""].join("\r\n"));
  const room = rooms.enter(url, socket);
  const toRoom = outgoing.get(room) ?? new Outgoing(room);
  outgoing.set(room, toRoom);
  const toSocket = new Outgoing([socket]);
  const sender = {
    reply: (message) => toSocket.send(message),
    toRoom: (message) => toRoom.send(message),
  };
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    rest = readFrames(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]), (opcode, message) => {
      if (opcode === ping) toSocket.send(message, pong);
      else read(message, sender);
    });
  });
  socket.on("close", () => rooms.leave(url, socket));
  socket.on("error", () => socket.destroy());
});

server.listen(0, "127.0.0.1", () => listening(server.address().port));
