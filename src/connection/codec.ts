import type { Message } from "../wire/message.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import type { DeliveryPolicy } from "./policy.js";

/** Options of `connection.sendRequest()`. */
export interface RequestOptions {
  /** Milliseconds until the request rejects with `ERR_REQUEST_TIMEOUT`, above 0; `Infinity`: never. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Aborting it rejects the request with the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
}

/** Sends requests to a client. */
export interface Requests {
  /** See `Connection.sendRequest`. */
  request(event: string, data: unknown, options: RequestOptions): Promise<unknown>;
}

/** The part of a dialect that a connection uses itself. */
export interface Codec {
  /** Encodes a message that is sent to this client only. */
  encodePayload(payload: Payload): Uint8Array;
  /** Reads a received message. Returns the message for the handler; `undefined` if the dialect has handled it. */
  receive(message: Message): Message | undefined;
  /** Sends requests to the client; `undefined` if the client cannot answer them. */
  readonly requests: Requests | undefined;
  /** Whether the client is notified of dropped messages. If not, the next three methods are not called. */
  readonly reportsLosses: boolean;
  /** @param position Of a publication to the client's home, if the home has history; else `undefined`. */
  onSent(position: Position | undefined): void;
  /** With the policy `skip` this message was dropped; with `latest` it replaced an earlier one. */
  onDropped(position: Position | undefined, policy: DeliveryPolicy): void;
  /** The frames that report the messages dropped since the last call. */
  reportLosses(): Uint8Array[];
}
