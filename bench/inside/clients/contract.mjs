/**
 * The common part of the client processes. They use raw sockets, so that a client costs little.
 *
 * A process gets its settings as JSON in its only argument, and answers requests. An error is an answer too.
 */
import { once } from "node:events";
import { connect } from "node:net";

/** @type {Record<string, any>} */
export const settings = JSON.parse(process.argv[2]);

process.on("uncaughtException", (error) => process.send({ failed: error.message }));
process.on("disconnect", () => process.exit());

/** @param {(request: any) => Promise<unknown>} answer */
export function answerBy(answer) {
  process.on("message", async (request) => process.send({ answer: await answer(request) }));
}

/** A TCP connection that becomes a WebSocket by `upgrade`, and then passes on the received bytes. */
export class RawClient {
  #socket = connect({ port: settings.port, host: "127.0.0.1", noDelay: true });
  #onBytes;
  #protocol;
  #isUpgraded = false;
  #response = Buffer.alloc(0);
  connected = once(this.#socket, "connect");

  /** @param {(bytes: Buffer) => void} onBytes */
  constructor(onBytes) {
    this.#onBytes = onBytes;
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

  /** Sends a close frame; bytes received after it are ignored. */
  leave() {
    this.#socket.end(closeFrame);
  }

  #receive(bytes) {
    if (this.#socket.writableEnded) return;
    if (this.#isUpgraded) this.#onBytes(bytes);
    else this.#readResponse(bytes);
  }

  #readResponse(bytes) {
    this.#response = Buffer.concat([this.#response, bytes]);
    const end = this.#response.indexOf("\r\n\r\n");
    if (end === -1) return;
    checkResponse(this.#response.toString("latin1", 0, end), this.#protocol);
    this.#isUpgraded = true;
    this.#onBytes(this.#response.subarray(end + 4));
  }
}

/** A close frame with code 1000, masked with zeros, which RFC 6455 allows. */
const closeFrame = Buffer.of(0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8);

/** The key is always the same, and so is the expected Sec-WebSocket-Accept. */
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
  if (!head.includes("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) throw new Error("the response has a wrong Sec-WebSocket-Accept");
  const headers = new Map(lines.map((line) => line.toLowerCase().split(": ")));
  const agreed = headers.get("sec-websocket-protocol");
  if (agreed !== protocol) throw new Error(`the client offered ${protocol}, but the server chose ${agreed}`);
}

/**
 * The first frame in `bytes`, below 64 KiB; `undefined` while it is incomplete.
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
  if (payload.length > 125) throw new Error(`a short frame has at most 125 bytes, got ${payload.length}`);
  return Buffer.concat([Buffer.of(0x81, payload.length), payload]);
}

/** A text frame as a client sends it, of less than 126 bytes, masked with zeros. */
export function clientFrame(text) {
  const frame = shortFrame(text);
  return Buffer.concat([Buffer.of(frame[0], frame[1] | 0x80, 0, 0, 0, 0), frame.subarray(2)]);
}
