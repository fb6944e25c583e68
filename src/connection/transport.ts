import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { Message } from "../wire/message.js";

/** How messages become the bytes of one kind of transport. One object serves all transports of a kind, which then share bytes. */
export interface Framing {
  /** The bytes of one whole message: text for a string, else binary. */
  encode(data: string | Uint8Array): Uint8Array;
}

/** The answer to a client that does not become a connection: an HTTP status, headers and a body. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<OutgoingHttpHeaders>;
  readonly body: string | Uint8Array;
}

/** Learns that a transport has ended. */
export interface GoneListener {
  onGone(): void;
}

/** What a client of a transport asks for. */
export interface TransportRequest {
  /** The request target, such as `/chat/general?as=ann`. */
  readonly url: string;
  /** Names in lower case. Default: none. */
  readonly headers?: IncomingHttpHeaders | undefined;
  /** Default: `""`, unknown. */
  readonly remoteAddress?: string | undefined;
  /** Whether the transport is encrypted, as with TLS. Default: `false`. */
  readonly secure?: boolean | undefined;
}

/** What the route of a client says of its transport. */
export interface TransportOptions {
  /** Bytes of one incoming message; past it {@link TransportEvents.onFailed} with 1009. */
  readonly messageBytesMax: number;
  readonly fragmentsMax: number;
  /** Milliseconds to wait for the peer's part of a close. */
  readonly closeMs: number;
  readonly compression: boolean;
  /** Known subprotocols, the preferred first. */
  readonly subprotocols: readonly string[];
}

/**
 * Moves messages as bytes between this process and one client, and ends.
 *
 * It exists from the moment that a client asks to connect. Then exactly one of {@link Transport.open} and
 * {@link Transport.refuse} is called, and `listen` right after an `open` that returned `true`.
 */
export interface Transport {
  /** How messages become bytes here; asked for once the transport is open. */
  readonly framing: Framing;
  /** The subprotocol agreed on, or `""`. */
  readonly protocol: string;
  /** Whether bytes may still be written: neither side has begun to close. */
  readonly isOpen: boolean;
  /** Bytes handed over and not yet taken by the network. */
  readonly bufferedBytes: number;
  /** Bytes received so far; grows with every byte, also of a message that is not whole yet. */
  readonly receivedBytes: number;
  /** Calls `listener.onGone` once when the transport has ended, whether it was open or not. Called before `open` and `refuse`. */
  whenGone(listener: GoneListener): void;
  /** Accepts the client. Returns `false` when that failed; the transport has then answered and ends by itself. */
  open(options: TransportOptions): boolean;
  /** Answers a client that is not accepted, and ends. Throws when the answer cannot be written; it may be called once more then. */
  refuse(refusal: Refusal): void;
  /** From now on `events` are called. */
  listen(events: TransportEvents): void;
  /** Hands whole messages over, as `framing` made them. Never throws: a broken transport reports `onGone`. */
  write(bytes: Uint8Array): void;
  /** Calls `callback` once, when all that was written before has left this process, or never can. */
  whenWritten(callback: () => void): void;
  /** Asks the peer for any sign of life; a transport that has no such thing does nothing, and its heartbeat should be off. */
  ping(): void;
  /** Stops and starts receiving, so that the sender is held back. */
  pause(): void;
  resume(): void;
  /** Ends the connection in agreement with the peer, behind all that was written; then `onGone` is called. */
  close(code: number, reason: string): void;
  /** Ends the connection at once. */
  destroy(): void;
}

/** What a transport reports to its connection. */
export interface TransportEvents {
  onMessage(message: Message): void;
  /** A sign of life that is no message. */
  onHeard(): void;
  /** The transport begins to close: what is sent from now on comes too late. */
  onClosing(): void;
  /** The peer broke the protocol or a limit; the transport closes with this code. */
  onFailed(code: number, reason: string): void;
  /** The transport has ended. `code` is 1006 when the peer did not close it. Called once, and nothing after it. */
  onGone(code: number, reason: string): void;
}
