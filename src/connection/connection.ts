import { type CloseInfo, RequestError } from "../errors.js";
import { CloseCode, checkedReason } from "../wire/closeCodes.js";
import type { Message } from "../wire/message.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { Schema } from "../wire/schema.js";
import type { RequestOptions } from "./codec.js";
import type { Peer } from "./peer.js";
import { type DeliveryOptions, policyOf } from "./policy.js";
import type { ConnectionRequest } from "./request.js";

/**
 * The connection to one client: reads its messages, sends messages to it, and closes it.
 *
 * ```ts
 * for await (const message of this.connection) this.connection.sendText(message.text);
 * ```
 */
export class Connection implements AsyncIterable<Message> {
  readonly #peer: Peer;

  /** @internal */
  constructor(peer: Peer) {
    this.#peer = peer;
  }

  /** The id of the connection: 22 random characters, unique and impossible to guess. */
  get id(): string {
    return this.#peer.id;
  }

  /** The HTTP request that opened this connection. */
  get request(): ConnectionRequest {
    return this.#peer.request;
  }

  /** The user that `authorize` returned last (it runs again for a new token); `undefined` for an anonymous client. */
  get user(): unknown {
    return this.#peer.user;
  }

  /** A promise that resolves when the connection has ended, with its close code and reason. It never rejects. */
  get ended(): Promise<CloseInfo> {
    return this.#peer.ended;
  }

  /** The subprotocol of the connection, such as `enfilade.v1`; `""` if there is none. */
  get protocol(): string {
    return this.#peer.protocol;
  }

  /** A signal that is aborted when the connection ends, whichever side ends it. */
  get signal(): AbortSignal {
    return this.#peer.signal;
  }

  /** Whether messages can still be sent. */
  get isOpen(): boolean {
    return this.#peer.isOpen;
  }

  /** The bytes that were sent but that the network has not accepted yet. */
  get bufferedBytes(): number {
    return this.#peer.bufferedBytes;
  }

  /**
   * Sends `value` as JSON to this client. Does nothing if the connection has ended.
   *
   * @throws EnfiladeError `ERR_VALUE` when JSON cannot encode `value`; `ERR_OPTION` when an option is invalid.
   */
  sendJSON(value: unknown, options?: DeliveryOptions): void {
    this.#peer.send(Payload.json(value), policyOf(options));
  }

  /**
   * Sends a text message to this client. Does nothing if the connection has ended.
   *
   * @throws EnfiladeError `ERR_VALUE` when `text` is not a string; `ERR_OPTION` when an option is invalid.
   */
  sendText(text: string, options?: DeliveryOptions): void {
    this.#peer.send(Payload.text(text), policyOf(options));
  }

  /**
   * Sends a binary message to this client. Does nothing if the connection has ended.
   *
   * The bytes are copied, so the buffer can be reused at once.
   *
   * @throws EnfiladeError `ERR_VALUE` when `bytes` is neither an `ArrayBuffer` nor a view of one; `ERR_OPTION` when an
   *   option is invalid.
   */
  sendBinary(bytes: Bytes, options?: DeliveryOptions): void {
    this.#peer.send(Payload.binary(bytes), policyOf(options));
  }

  /**
   * Sends a request to a client of `enfilade.v1`, and resolves with the data of its reply, which is not checked.
   *
   * ```ts
   * const { video } = await this.connection.sendRequest("capabilities", { codecs }, { timeoutMs: 5_000 });
   * ```
   *
   * While a handler awaits the reply, further messages of the client wait. When the connection ends, the promise
   * rejects, even if the client reconnects: it then has a new connection.
   *
   * @throws RequestError (as a rejection) `ERR_REQUEST` when the client answered with an error, `ERR_REQUEST_TIMEOUT`
   *   after `timeoutMs`, `ERR_REQUESTS_MAX` when `requestsMax` requests have no reply yet, `ERR_NO_REQUESTS` when the
   *   client does not speak `enfilade.v1`.
   * @throws ConnectionError (as a rejection) when the connection has ended.
   * @throws EnfiladeError (as a rejection) `ERR_VALUE` when JSON cannot encode `data` or `event` is not a string,
   *   `ERR_OPTION` when an option is invalid.
   */
  sendRequest(event: string, data?: unknown, options: RequestOptions = {}): Promise<unknown> {
    const { requests } = this.#peer.dialect;
    return markHandled(requests?.request(event, data, options) ?? Promise.reject(noRequests()));
  }

  /** Resolves when all messages sent before have left this process, or can no longer be sent. Never rejects. */
  flushed(): Promise<void> {
    return this.#peer.flushed();
  }

  /**
   * Reads the next message. For handlers with `serve`.
   *
   * @throws ConnectionError (as a rejection) when the connection has ended; `isClean` is `false` if it failed.
   * @throws EnfiladeError (as a rejection) `ERR_READING` when the library or another read already waits for messages.
   */
  read(): Promise<Message> {
    return markHandled(this.#read());
  }

  /**
   * Reads the next message as text.
   *
   * @throws MessageError (as a rejection) `ERR_NOT_TEXT` when the message is binary. The message counts as read.
   * @throws ConnectionError (as a rejection) as {@link read}.
   * @throws EnfiladeError (as a rejection) `ERR_READING` as {@link read}.
   */
  readText(): Promise<string> {
    return markHandled(this.#read().then((message) => message.text));
  }

  /**
   * Reads the next message as JSON; with a schema, resolves with the output of the schema.
   *
   * ```ts
   * const hello = await this.connection.readJSON(z.object({ name: z.string() }));
   * ```
   *
   * @throws MessageError (as a rejection) `ERR_NOT_TEXT`, `ERR_BAD_JSON`, or `ERR_SCHEMA` with `issues`. The message
   *   counts as read.
   * @throws ConnectionError (as a rejection) as {@link read}.
   * @throws EnfiladeError (as a rejection) `ERR_READING` as {@link read}.
   */
  readJSON(): Promise<unknown>;
  readJSON<Output>(schema: Schema<Output>): Promise<Output>;
  readJSON<Output>(schema?: Schema<Output>): Promise<unknown> {
    return markHandled(this.#read().then((message) => (schema === undefined ? message.json() : message.json(schema))));
  }

  /**
   * Iterates over the messages: `for await (const message of connection)`. A clean close ends the loop.
   *
   * @throws ConnectionError when the connection has failed.
   * @throws EnfiladeError `ERR_READING` as {@link read}.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    for (;;) {
      const message = await this.#peer.take();
      if (message !== undefined) {
        yield message;
      } else {
        const { error } = this.#peer;
        if (error.isClean) return;
        throw error;
      }
    }
  }

  /**
   * Closes the connection. Messages sent before still go out; received messages that were not read are discarded.
   *
   * ```ts
   * this.connection.close(); // 1000: clients of enfilade.v1 do not reconnect
   * this.connection.close(4001, "please reconnect"); // 4000 to 4499: they reconnect; 4500 to 4999: they do not
   * ```
   *
   * Does nothing if the connection is closing or has ended.
   *
   * @param code 1000, or a code from 3000 to 4999. Default: 1000.
   * @param reason A text for the client, cut to 123 bytes of whole characters. Default: `""`.
   * @throws EnfiladeError `ERR_CLOSE_CODE` when the code is not allowed, or the reason is not a string.
   */
  close(code: number = CloseCode.normal, reason = ""): void {
    this.#peer.close(code, checkedReason(code, reason));
  }

  /**
   * Closes the connection when the handler has finished with all messages received so far. Later messages are not read.
   *
   * A handler that never finishes keeps the connection open.
   *
   * @param code As for {@link close}.
   * @param reason As for {@link close}.
   * @throws EnfiladeError `ERR_CLOSE_CODE` as {@link close}.
   */
  requestClose(code: number = CloseCode.normal, reason = ""): void {
    this.#peer.requestClose(code, checkedReason(code, reason));
  }

  async #read(): Promise<Message> {
    const message = await this.#peer.take();
    if (message === undefined) throw this.#peer.error;
    return message;
  }
}

function noRequests(): RequestError {
  const message = "this client does not speak enfilade.v1 and cannot answer requests; send it an event instead";
  return new RequestError("ERR_NO_REQUESTS", message);
}

const connections = new WeakMap<Peer, Connection>();

/** The `Connection` of a peer: always the same object, made on the first call. */
export function connectionOf(peer: Peer): Connection {
  const known = connections.get(peer);
  if (known !== undefined) return known;
  const connection = new Connection(peer);
  connections.set(peer, connection);
  return connection;
}

/**
 * Returns `promise`, marked as handled: its rejection does not end the process.
 *
 * A handler may start a read or a request, do other work, and await it then. If the client disconnects meanwhile, this
 * must not count as an unhandled rejection.
 */
function markHandled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
