import { deferred } from "../connection/clock.js";
import { Inbox } from "../connection/inbox.js";
import { type CloseInfo, ConnectionError } from "../errors.js";
import { ABNORMAL } from "../wire/closeCodes.js";
import { Message } from "../wire/message.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { ClientSocket, ClientSocketEvents } from "./socket.js";

const encoder = new TextEncoder();

/** A client for tests: what it is sent waits until it is read. */
export class TestClient implements AsyncIterable<Message> {
  /** Resolves when the connection has ended. Never rejects. */
  readonly closed: Promise<CloseInfo>;
  readonly #socket: ClientSocket;
  readonly #inbox: Inbox;
  #closeInfo: CloseInfo | undefined;
  /** Whether the close began here. */
  #closes = false;

  private constructor(socket: ClientSocket, onClosed: (info: CloseInfo) => void, closed: Promise<CloseInfo>) {
    this.#socket = socket;
    this.closed = closed;
    const owner = { onHold: () => undefined, onFlooded: () => undefined, onLateError: () => undefined };
    this.#inbox = new Inbox(owner, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    this.#onClosed = onClosed;
  }

  readonly #onClosed: (info: CloseInfo) => void;

  /** @internal A client on a socket that is being opened, and what takes the events of that socket. */
  static on(socket: ClientSocket): { readonly client: TestClient; readonly events: ClientSocketEvents } {
    const { promise, resolve } = deferred<CloseInfo>();
    const client = new TestClient(socket, resolve, promise);
    const events: ClientSocketEvents = {
      onMessage: (data) => client.#take(data),
      onClose: (code, reason) => client.#end(code, reason),
    };
    return { client, events };
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
    const { data } = Payload.binary(bytes);
    this.#socket.send(typeof data === "string" ? encoder.encode(data) : data);
  }

  /**
   * The next message; waits for it.
   *
   * @throws ConnectionError (as a rejection) when the connection has ended and every message was read.
   */
  async read(): Promise<Message> {
    const message = await this.#inbox.take();
    if (message !== undefined) return message;
    throw new ConnectionError(this.#closeInfo ?? { code: ABNORMAL, reason: "", isClean: false, by: "network" });
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
    this.#closes ||= this.#socket.isOpen;
    this.#socket.close(code, reason);
    return this.closed;
  }

  /** Vanishes without a close frame. */
  terminate(): void {
    this.#socket.destroy();
  }

  #take(data: string | Uint8Array): void {
    const isText = typeof data === "string";
    this.#inbox.push(new Message(isText ? encoder.encode(data) : data, isText));
  }

  #end(code: number, reason: string): void {
    const isClean = code !== ABNORMAL;
    const by = isClean ? (this.#closes ? "client" : "server") : "network";
    this.#closeInfo = { code, reason, isClean, by };
    this.#inbox.end();
    this.#onClosed(this.#closeInfo);
  }
}
