import type { Message } from "../wire/message.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import type { DeliveryPolicy } from "./policy.js";

/** How long a request to a client waits. */
export interface RequestOptions {
  /** Milliseconds until it is given up; `Infinity` for never. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Gives it up when it is aborted, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Requests to a client, which it answers. */
export interface Requests {
  /** See `Connection.sendRequest`. */
  request(event: string, data: unknown, options: RequestOptions): Promise<unknown>;
}

/** What a connection itself needs of the dialect that its client speaks. */
export interface Codec {
  /** The bytes of a message to this client alone. */
  encodePayload(payload: Payload): Uint8Array;
  /** An incoming message for the handler; `undefined` when the dialect has dealt with it. */
  receive(message: Message): Message | undefined;
  /** For a client that answers requests; `undefined` for one that cannot. */
  readonly requests: Requests | undefined;
  /** Whether the client is told of messages that were dropped for it; only then the next three are called. */
  readonly reportsLosses: boolean;
  /** @param position Of a publication of the client's home, where history is kept. */
  onSent(position: Position | undefined): void;
  /** With `skip` this message was dropped, with any other policy an earlier one that it replaced. */
  onDropped(position: Position | undefined, policy: DeliveryPolicy): void;
  /** What to send about publications that were dropped for this client. */
  reportLosses(): Uint8Array[];
}
