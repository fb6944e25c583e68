/**
 * What the clients have in common that are a helper of a program: raw sockets, so that a client costs next to nothing.
 *
 * They are started with one argument, their settings as JSON, and answer questions; whatever fails is the answer too.
 */
import { once } from "node:events";
import { connect } from "node:net";

/** @type {Record<string, any>} */
export const settings = JSON.parse(process.argv[2]);

process.on("uncaughtException", (error) => process.send({ failed: error.message }));
process.on("disconnect", () => process.exit());

/** @param {(question: any) => Promise<unknown>} answer */
export function answerBy(answer) {
  process.on("message", async (question) => process.send({ answer: await answer(question) }));
}

/** A connection that becomes a WebSocket when it is told to, and hands on the bytes that come from then on. */
export class RawClient {
  #socket = connect({ port: settings.port, host: "127.0.0.1", noDelay: true });
  #take;
  #protocol;
  #upgraded = false;
  #response = Buffer.alloc(0);
  connected = once(this.#socket, "connect");

  /** @param {(bytes: Buffer) => void} take */
  constructor(take) {
    this.#take = take;
    this.#socket.on("data", (bytes) => this.#receive(bytes));
    this.#socket.on("end", () => {
      if (!this.#socket.writableEnded) throw new Error("the server ended a connection");
    });
  }

  /** @param {string} path @param {string} [protocol] */
  upgrade(path, protocol) {
    this.#protocol = protocol;
    this.write(requestFor(path, protocol));
  }

  write(bytes) {
    this.#socket.write(bytes);
  }

  /** After its close frame nothing that comes is of interest. */
  leave() {
    this.#socket.end(closeFrame);
  }

  #receive(bytes) {
    if (this.#socket.writableEnded) return;
    if (this.#upgraded) this.#take(bytes);
    else this.#shake(bytes);
  }

  #shake(bytes) {
    this.#response = Buffer.concat([this.#response, bytes]);
    const end = this.#response.indexOf("\r\n\r\n");
    if (end === -1) return;
    checkResponse(this.#response.toString("latin1", 0, end), this.#protocol);
    this.#upgraded = true;
    this.#take(this.#response.subarray(end + 4));
  }
}

/** Masked with zeros, which RFC 6455 does not forbid: 1000. */
const closeFrame = Buffer.of(0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8);

/** The key is always the same, and so is the answer to it. */
function requestFor(path, protocol) {
  const offer = protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`];
  const head = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${settings.port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
  ];
  const key = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"];
  return [...head, ...key, ...offer, "", ""].join("\r\n");
}

function checkResponse(head, protocol) {
  const [status, ...lines] = head.split("\r\n");
  if (!status.startsWith("HTTP/1.1 101 ")) throw new Error(`the upgrade was refused: ${status}`);
  if (!head.includes("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) throw new Error("a wrong Sec-WebSocket-Accept came");
  const headers = new Map(lines.map((line) => line.toLowerCase().split(": ")));
  const agreed = headers.get("sec-websocket-protocol");
  if (agreed !== protocol) throw new Error(`${protocol} was offered, and ${agreed} agreed on`);
}

/**
 * The first frame of what has come, of less than 64 KiB; `undefined` while it is not whole.
 *
 * @param {Buffer} bytes
 */
export function firstFrame(bytes) {
  if (bytes.length < 4) return undefined;
  const isLong = bytes[1] === 126;
  const begin = isLong ? 4 : 2;
  const end = begin + (isLong ? bytes.readUInt16BE(2) : bytes[1]);
  return bytes.length < end ? undefined : { opcode: bytes[0] & 15, payload: bytes.subarray(begin, end), end };
}

/** A text frame as a server sends it, of less than 126 bytes. */
export function shortFrame(text) {
  const payload = Buffer.from(text);
  if (payload.length > 125) throw new Error(`a text of ${payload.length} bytes takes another frame`);
  return Buffer.concat([Buffer.of(0x81, payload.length), payload]);
}
