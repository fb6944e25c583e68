import { type CloseInfo, RequestError } from "../errors.js";
import { CloseCode, checkedReason } from "../wire/closeCodes.js";
import type { Message } from "../wire/message.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { Schema } from "../wire/schema.js";
import type { RequestOptions } from "./codec.js";
import type { Peer } from "./peer.js";
import { type DeliveryOptions, policyOf } from "./policy.js";
import type { ConnectionRequest } from "./request.js";

/** One client: what it sends, what it is sent, and how it ends. */
export class Connection implements AsyncIterable<Message> {
  readonly #peer: Peer;

  /** @internal */
  constructor(peer: Peer) {
    this.#peer = peer;
  }

  /** Unique for each connection, and not to be guessed. */
  get id(): string {
    return this.#peer.id;
  }

  /** The HTTP request that asked for this connection. */
  get request(): ConnectionRequest {
    return this.#peer.request;
  }

  /** What `authorize` returned, last when a client renewed its credentials; `undefined` for an anonymous client. */
  get user(): unknown {
    return this.#peer.user;
  }

  /** Resolves when the socket is gone. Never rejects. */
  get ended(): Promise<CloseInfo> {
    return this.#peer.ended;
  }

  /** The subprotocol agreed on, or `""`. */
  get protocol(): string {
    return this.#peer.protocol;
  }

  /** Aborted when the connection ends, from whichever side. */
  get signal(): AbortSignal {
    return this.#peer.signal;
  }

  /** Whether messages can still be sent. */
  get isOpen(): boolean {
    return this.#peer.isOpen;
  }

  /** Bytes sent and not yet taken by the network. */
  get bufferedBytes(): number {
    return this.#peer.bufferedBytes;
  }

  /**
   * Sends `value` as JSON. Sending to a connection that has ended does nothing.
   *
   * @throws EnfiladeError `ERR_VALUE` when JSON has no form for it.
   */
  sendJSON(value: unknown, options?: DeliveryOptions): void {
    this.#peer.send(Payload.json(value), policyOf(options));
  }

  sendText(text: string, options?: DeliveryOptions): void {
    this.#peer.send(Payload.text(text), policyOf(options));
  }

  /** Sends bytes; they are copied, so the caller may go on using the buffer. */
  sendBinary(bytes: Bytes, options?: DeliveryOptions): void {
    this.#peer.send(Payload.binary(bytes), policyOf(options));
  }

  /**
   * Sends a request to a client of `enfilade.v1`, and resolves with the data of its reply.
   *
   * A handler may await it at any time; messages of the client wait meanwhile. A client that reconnects has another
   * connection, and requests of the old one are rejected.
   *
   * @throws RequestError (as a rejection) `ERR_REQUEST` with the error that the client answered, `ERR_REQUEST_TIMEOUT`,
   *   `ERR_REQUESTS_MAX`, or `ERR_NO_REQUESTS` for a client that does not speak `enfilade.v1`.
   * @throws ConnectionError (as a rejection) when the connection has ended.
   * @throws EnfiladeError (as a rejection) `ERR_VALUE` when JSON has no form for `data`, `ERR_OPTION`.
   */
  sendRequest(event: string, data?: unknown, options: RequestOptions = {}): Promise<unknown> {
    const { requests } = this.#peer.dialect;
    return handled(requests?.request(event, data, options) ?? Promise.reject(noRequests()));
  }

  /** Resolves when all that was sent before has left this process, or never can. */
  flushed(): Promise<void> {
    return this.#peer.flushed();
  }

  /**
   * The next message.
   *
   * @throws ConnectionError (as a rejection) when the connection has ended; `isClean` tells whether in agreement.
   * @throws EnfiladeError `ERR_READING` (as a rejection) when the library, or another read, waits for messages.
   */
  read(): Promise<Message> {
    return handled(this.#read());
  }

  /** The next message, which must be text: a binary one rejects this read with a `MessageError` and is used up. */
  readText(): Promise<string> {
    return handled(this.#read().then((message) => message.text));
  }

  /** The next message parsed, and checked if there is a schema; what fails rejects this read and is used up. */
  readJSON(): Promise<unknown>;
  readJSON<Output>(schema: Schema<Output>): Promise<Output>;
  readJSON<Output>(schema?: Schema<Output>): Promise<unknown> {
    return handled(this.#read().then((message) => (schema === undefined ? message.json() : message.json(schema))));
  }

  /** Messages until the connection ends: after a clean close the loop is over, after any other it throws `ConnectionError`. */
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
   * Closes the connection: what was sent before still goes out, what has come and is not read yet is discarded.
   *
   * Does nothing when the connection is closing already.
   *
   * @param code 1000 or from 3000 to 4999. Default: 1000.
   * @param reason Cut to 123 bytes of UTF-8 on a character boundary.
   * @throws EnfiladeError `ERR_CLOSE_CODE` for another code, or a reason that is no string.
   */
  close(code: number = CloseCode.normal, reason = ""): void {
    this.#peer.close(code, checkedReason(code, reason));
  }

  /**
   * Closes when the handler has finished with what has come so far; nothing that comes later is read.
   *
   * Takes and throws what {@link close} does. A handler that never finishes keeps the connection open.
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
  const what = "this client does not speak enfilade.v1, and cannot answer requests; send it an event instead";
  return new RequestError("ERR_NO_REQUESTS", what);
}

const connections = new WeakMap<Peer, Connection>();

/** The connection of a peer as users have it: always the same object, made when it is first asked for. */
export function connectionOf(peer: Peer): Connection {
  const known = connections.get(peer);
  if (known !== undefined) return known;
  const connection = new Connection(peer);
  connections.set(peer, connection);
  return connection;
}

/**
 * The same promise, whose rejection ends no process when it is not awaited yet.
 *
 * A read or a request may be begun before other work and awaited after it; that the client leaves meanwhile must not count as an
 * unhandled rejection.
 */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
