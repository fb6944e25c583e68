import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type ClientOptions, WebSocket } from "ws";
import { deferred } from "../connection/clock.js";
import { Inbox } from "../connection/inbox.js";
import { type CloseInfo, ConnectionError, HttpError } from "../errors.js";
import { ABNORMAL } from "../wire/closeCodes.js";
import { Message } from "../wire/message.js";
import { type Bytes, Payload } from "../wire/payload.js";

export interface ConnectOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Subprotocols to offer. */
  readonly protocols?: readonly string[];
  /** Whether to offer permessage-deflate. Default: `false`. */
  readonly compression?: boolean;
}

/** A client for tests: what it is sent waits until it is read. */
export class TestClient implements AsyncIterable<Message> {
  /** Resolves when the connection has ended. Never rejects. */
  readonly closed: Promise<CloseInfo>;
  readonly #socket: WebSocket;
  readonly #inbox: Inbox;
  #ending: CloseInfo | undefined;
  /** Whether the close began here. */
  #closes = false;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    const owner = { onHold: () => undefined, onFlooded: () => undefined, onLateError: () => undefined };
    this.#inbox = new Inbox(owner, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    const { promise, resolve } = deferred<CloseInfo>();
    this.closed = promise;
    socket.on("message", (data: Buffer, isBinary) => this.#inbox.push(new Message(data, !isBinary)));
    socket.on("close", (code, reason) => {
      const isClean = code !== ABNORMAL;
      const by = isClean ? (this.#closes ? "client" : "server") : "network";
      const info: CloseInfo = { code, reason: reason.toString(), isClean, by };
      this.#ending = info;
      this.#inbox.end();
      resolve(info);
    });
  }

  /**
   * Connects to a URL.
   *
   * @throws HttpError (as a rejection) with the status and the body of the answer, when the server refuses.
   */
  static async open(url: string, options: ConnectOptions = {}, createConnection?: () => Duplex): Promise<TestClient> {
    const { headers = {}, protocols = [], compression = false } = options;
    const clientOptions: ClientOptions = { headers: { ...headers }, perMessageDeflate: compression };
    // Node types it for sockets of the network; a request works over any stream.
    if (createConnection !== undefined) Object.assign(clientOptions, { createConnection });
    const socket = new WebSocket(url, [...protocols], clientOptions);
    // Made at once, so that no message is missed that comes with the 101.
    const client = new TestClient(socket);
    const { promise, resolve, reject } = deferred<void>();
    socket.once("open", resolve);
    socket.on("error", reject);
    socket.once("unexpected-response", (_request, response) => {
      refusalOf(response).then(reject, reject);
    });
    await promise;
    return client;
  }

  /** The subprotocol agreed on, or `""`. */
  get protocol(): string {
    return this.#socket.protocol;
  }

  sendJSON(value: unknown): void {
    this.sendText(Payload.json(value).data.toString());
  }

  sendText(text: string): void {
    this.#socket.send(text);
  }

  sendBinary(bytes: Bytes): void {
    this.#socket.send(Payload.binary(bytes).data, { binary: true });
  }

  /**
   * The next message; waits for it.
   *
   * @throws ConnectionError (as a rejection) when the connection has ended and every message was read.
   */
  async read(): Promise<Message> {
    const message = await this.#inbox.take();
    if (message !== undefined) return message;
    throw new ConnectionError(this.#ending ?? { code: ABNORMAL, reason: "", isClean: false, by: "network" });
  }

  async readText(): Promise<string> {
    return (await this.read()).text;
  }

  async readJSON(): Promise<unknown> {
    return (await this.read()).json();
  }

  async readBinary(): Promise<Uint8Array> {
    return (await this.read()).bytes;
  }

  /** Messages until the connection ends, however it does. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    for (let message = await this.#inbox.take(); message !== undefined; message = await this.#inbox.take()) {
      yield message;
    }
  }

  /** Starts the closing handshake, as a browser does without a code by default; resolves when the connection has ended. */
  close(code?: number, reason?: string): Promise<CloseInfo> {
    this.#closes ||= this.#socket.readyState === this.#socket.OPEN;
    this.#socket.close(code, reason);
    return this.closed;
  }

  /** Vanishes without a close frame. */
  terminate(): void {
    this.#socket.terminate();
  }
}

async function refusalOf(response: IncomingMessage): Promise<HttpError> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
  const body = Buffer.concat(chunks).toString();
  return new HttpError(response.statusCode ?? 500, body, { headers: Object.fromEntries(headers) });
}
