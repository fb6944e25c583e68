import { deferred } from "../connection/clock.js";
import { Inbox } from "../connection/inbox.js";
import { type CloseInfo, ConnectionError } from "../errors.js";
import { ABNORMAL } from "../wire/closeCodes.js";
import { Message } from "../wire/message.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { ClientSocket, ClientSocketEvents } from "./socket.js";

const encoder = new TextEncoder();
const unlimited = { inboxMessagesMax: Number.POSITIVE_INFINITY, messageBytesMax: Number.POSITIVE_INFINITY };

/** A client for tests. Its messages wait until they are read. Made by `connect` or `connectURL`. */
export class TestClient implements AsyncIterable<Message> {
  /** Resolves with the close code and reason when the connection has ended. Never rejects. */
  readonly closed: Promise<CloseInfo>;
  readonly #socket: ClientSocket;
  readonly #inbox: Inbox;
  #closeInfo: CloseInfo | undefined;
  /** True if this client began the close. */
  #isClosing = false;

  private constructor(socket: ClientSocket, onClosed: (info: CloseInfo) => void, closed: Promise<CloseInfo>) {
    this.#socket = socket;
    this.closed = closed;
    const owner = { onHold: () => undefined, onFlooded: () => undefined, onLateError: () => undefined };
    this.#inbox = new Inbox(owner, unlimited);
    this.#onClosed = onClosed;
  }

  readonly #onClosed: (info: CloseInfo) => void;

  /** @internal Makes a client for a socket that is being opened. `events` must receive the events of that socket. */
  static fromSocket(socket: ClientSocket): { readonly client: TestClient; readonly events: ClientSocketEvents } {
    const { promise, resolve } = deferred<CloseInfo>();
    const client = new TestClient(socket, resolve, promise);
    const events: ClientSocketEvents = {
      onMessage: (data) => client.#onMessage(data),
      onClose: (code, reason) => client.#onClose(code, reason),
    };
    return { client, events };
  }

  /** The subprotocol that client and server agreed on; `""` for none. */
  get protocol(): string {
    return this.#socket.protocol;
  }

  /**
   * Sends a value as JSON.
   *
   * @throws EnfiladeError `ERR_VALUE` when JSON cannot encode it.
   */
  sendJSON(value: unknown): void {
    this.sendText(Payload.json(value).data.toString());
  }

  /** Sends a text message. */
  sendText(text: string): void {
    this.#socket.send(text);
  }

  /** Sends a binary message. */
  sendBinary(bytes: Bytes): void {
    const { data } = Payload.binary(bytes);
    this.#socket.send(typeof data === "string" ? encoder.encode(data) : data);
  }

  /**
   * Waits for the next message. Rejects with a `ConnectionError` when the connection has ended and all messages are
   * read.
   */
  async read(): Promise<Message> {
    const message = await this.#inbox.take();
    if (message !== undefined) return message;
    throw new ConnectionError(this.#closeInfo ?? { code: ABNORMAL, reason: "", isClean: false, by: "network" });
  }

  /** Reads the next message as text. Rejects like {@link read}, or with `ERR_NOT_TEXT` for a binary message. */
  async readText(): Promise<string> {
    return (await this.read()).text;
  }

  /** Reads the next message as JSON. Rejects like {@link readText}, or with `ERR_BAD_JSON` when it is not JSON. */
  async readJSON(): Promise<unknown> {
    return (await this.read()).json();
  }

  /** Reads the bytes of the next message, text or binary. Rejects like {@link read}. */
  async readBinary(): Promise<Uint8Array> {
    return (await this.read()).bytes;
  }

  /** `for await (const message of client)` reads messages until the connection ends, without an error at the end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    for (let message = await this.#inbox.take(); message !== undefined; message = await this.#inbox.take()) {
      yield message;
    }
  }

  /**
   * Starts the closing handshake. Resolves when the connection has ended.
   *
   * @param code 1000, or a code from 3000 to 4999. Default: none; the server sees 1005.
   * @throws EnfiladeError `ERR_CLOSE_CODE` for another code, if the client was made by `connect`.
   */
  close(code?: number, reason?: string): Promise<CloseInfo> {
    this.#isClosing ||= this.#socket.isOpen;
    this.#socket.close(code, reason);
    return this.closed;
  }

  /** Breaks the connection without a close frame, as a lost network does. The server sees 1006. */
  terminate(): void {
    this.#socket.destroy();
  }

  #onMessage(data: string | Uint8Array): void {
    const isText = typeof data === "string";
    this.#inbox.push(new Message(isText ? encoder.encode(data) : data, isText));
  }

  #onClose(code: number, reason: string): void {
    const isClean = code !== ABNORMAL;
    const by = isClean ? (this.#isClosing ? "client" : "server") : "network";
    this.#closeInfo = { code, reason, isClean, by };
    this.#inbox.end();
    this.#onClosed(this.#closeInfo);
  }
}
