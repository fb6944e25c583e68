import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Message } from "../wire/message.js";
import type { Clock } from "./clock.js";

/**
 * Encodes messages for one kind of transport.
 *
 * Transports with the same `Framing` object share the encoded bytes of a broadcast. So use one object for all of them.
 */
export interface Framing {
  /** Returns the bytes of one whole message: a text message for a string, else a binary message. */
  encode(data: string | Uint8Array): Uint8Array;
  /** Whether received messages may be compressed. Default: `false`. */
  readonly isDeflated?: boolean | undefined;
}

/**
 * Why a client is refused:
 *
 * - `request`: the upgrade request is not valid. `path`: its path is not. `route`: no route matches the path.
 * - `params`: the parameters of the path do not fit their schema. `origin`: the origin is not allowed.
 * - `authorize`: the application refused it. `revoked`: the access of its user was revoked during the handshake.
 * - `timeout`: `authorize` took longer than `authorizeMs`. `error`: the application failed.
 * - `rate`, `address`, `user`, `connections`, `handshakes`, `rooms`: a limit was reached: of connects from its network,
 *   of connections from its network, of its user or of the app, of calls of `authorize`, or of rooms.
 * - `draining`, `closing`: the app drains or closes.
 */
export type RefusalReason =
  | "request"
  | "path"
  | "route"
  | "params"
  | "origin"
  | "authorize"
  | "revoked"
  | "timeout"
  | "error"
  | "rate"
  | "address"
  | "user"
  | "connections"
  | "handshakes"
  | "rooms"
  | "draining"
  | "closing";

/** The HTTP answer to a client that is refused. */
export interface Refusal {
  /** For diagnostics. The client does not get it. */
  readonly reason: RefusalReason;
  /** The HTTP status, from 300 to 599. */
  readonly status: number;
  /** The headers of the response. */
  readonly headers: Readonly<OutgoingHttpHeaders>;
  /** The body of the response. */
  readonly body: string | Uint8Array;
  /** The text of an `HttpError`; the close reason of a client that gets a close code instead of the status. */
  readonly phrase?: string | undefined;
  /** The close code that replaces the status for a client of `enfilade.v1`. Default: that of the status, if any. */
  readonly closeCode?: number | undefined;
}

/** The listener for the end of a transport; see {@link Transport.whenGone}. */
export interface GoneListener {
  /** The transport has ended. */
  onGone(): void;
}

/** The request of a client that connects over a transport; the second argument of `app.accept()`. */
export interface TransportRequest {
  /** The request target, such as `/chat/general?as=ann`. */
  readonly url: string;
  /** The headers, with names in lower case. Default: none. */
  readonly headers?: IncomingHttpHeaders | undefined;
  /** The IP address of the client. Default: `""`, unknown. */
  readonly remoteAddress?: string | undefined;
  /** Whether the transport is encrypted, as with TLS. Default: `false`. */
  readonly secure?: boolean | undefined;
  /** The token of the client, for `request.token`. Default: the one in the headers. */
  readonly token?: string | undefined;
  /** A request of Node for `request.raw`, for session middleware. Default: none. */
  readonly raw?: IncomingMessage | undefined;
}

/** What reads the frames of WebSockets without compression: `"direct"`, this library, or `"ws"`, the library ws. */
export type FrameReceiver = "direct" | "ws";

/** The options of the client's route that concern its transport; see {@link Transport.open}. */
export interface TransportOptions {
  /** Bytes of one received message. Above: the transport fails with 1009, see {@link TransportEvents.onFailed}. */
  readonly messageBytesMax: number;
  /** Fragments of one received message. Above: the transport fails with 1008. */
  readonly fragmentsMax: number;
  /** Pieces in which the network delivers one frame. Above: the transport fails with 1008. */
  readonly bufferedChunksMax: number;
  /** Frames that the transport reports in one turn of the event loop; it reports the others in the next turns. */
  readonly turnMessagesMax: number;
  /** Bytes of these frames, decompressed. */
  readonly turnBytesMax: number;
  /** Milliseconds for these frames. */
  readonly turnMs: number;
  /** The clock of the app. */
  readonly clock: Clock;
  /** Milliseconds to wait for the peer's answer to a close. */
  readonly closeMs: number;
  /** Whether messages may be compressed. */
  readonly compression: boolean;
  /** The subprotocols of the server, the preferred first. */
  readonly subprotocols: readonly string[];
  /** What reads the frames of a WebSocket without compression. */
  readonly receiver: FrameReceiver;
}

/**
 * Carries messages between this process and one client. WebSocket is built in; pass other transports to `app.accept()`.
 *
 * A transport exists as soon as a client asks to connect. The app calls `whenGone` first, then either `open` or
 * `refuse`. If `open` returns `true`, it calls `listen` at once.
 */
export interface Transport {
  /** Encodes messages for this transport. Read after `open`. */
  readonly framing: Framing;
  /** The subprotocol that was agreed on; `""` if there is none. Read after `open`. */
  readonly protocol: string;
  /** Whether bytes can still be written: neither side has started to close. */
  readonly isOpen: boolean;
  /** The bytes that were written but that the network has not accepted yet. */
  readonly bufferedBytes: number;
  /** The bytes received so far, including those of an incomplete message. */
  readonly receivedBytes: number;
  /**
   * The memory of a message of which a part was received, and the rest is missing; `undefined` if there is none. See
   * `messageMs` and `memoryBytesMax`. Default: never.
   */
  readonly unfinishedBytes?: number | undefined;
  /**
   * Whether the client can read the HTTP status of a refusal. If not, a client of `enfilade.v1` is opened and gets a
   * close code instead, for some of them. Default: `false`.
   */
  readonly showsStatus?: boolean | undefined;
  /**
   * Whether the transport finds out by itself that the client is lost, and that a message does not end: it is not
   * pinged. Default: `false`.
   */
  readonly isWatched?: boolean | undefined;
  /** Calls `listener.onGone` once when the transport has ended, whether it was opened or not. */
  whenGone(listener: GoneListener): void;
  /** Accepts the client. Returns `false` if that failed: the transport then answers the client and ends by itself. */
  open(options: TransportOptions): boolean;
  /** Refuses the client, and ends. Throws if the answer cannot be written; it may then be called once more. */
  refuse(refusal: Refusal): void;
  /** Starts to report to `events`. */
  listen(events: TransportEvents): void;
  /** Sends one or more messages, encoded by `framing`. Never throws: a broken transport reports `onGone`. */
  write(bytes: Uint8Array): void;
  /** Calls `callback` once, when all bytes written before have left this process, or can no longer be sent. */
  whenWritten(callback: () => void): void;
  /**
   * Sends a ping that the peer answers. A transport without pings does nothing; then it needs `isWatched`, or
   * `heartbeatMs: false`.
   */
  ping(): void;
  /** Stops receiving, so that the sender is slowed down. */
  pause(): void;
  /** Receives again. */
  resume(): void;
  /** Starts the closing handshake, after all bytes written before. `onGone` follows. */
  close(code: number, reason: string): void;
  /** Reads nothing more of a client after a violation (RFC 6455 7.1.7). Optional: it only saves work. */
  ignoreInput?(): void;
  /** Ends the connection at once, without a closing handshake. `onGone` follows. */
  destroy(): void;
}

/** The events that a transport reports to its connection; see {@link Transport.listen}. */
export interface TransportEvents {
  /** A whole message was received. */
  onMessage(message: Message): void;
  /** A sign of life was received that is not a message, such as a pong. */
  onHeard(): void;
  /** The client sent a ping. The connection writes `pong`, the encoded answer, when it is its turn. */
  onPing(pong: Uint8Array): void;
  /** The closing handshake begins: messages sent after this call are lost. */
  onClosing(): void;
  /** The client violated the protocol or a limit. The transport has closed with this code. */
  onFailed(code: number, reason: string): void;
  /** The transport has ended. `code` is 1006 if the client did not close it. Called once, as the last event. */
  onGone(code: number, reason: string): void;
}
