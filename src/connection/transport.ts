import type { Message } from "../wire/message.js";

/** What a connection needs of its socket. The server fits one to each socket that it upgraded. */
export interface Transport {
  /** From now on `events` are told. */
  listen(events: TransportEvents): void;
  /** The subprotocol agreed on, or `""`. */
  readonly protocol: string;
  /** Whether permessage-deflate was agreed on, without context takeover by the server. */
  readonly deflates: boolean;
  /** Whether frames may still be written: neither side has begun to close. */
  readonly isOpen: boolean;
  /** Bytes handed over and not yet taken by the network. */
  readonly bufferedBytes: number;
  /** Bytes received so far; grows with every byte of any frame. */
  readonly receivedBytes: number;
  /** Hands whole frames over. Never throws: a broken socket is told by `ended`. */
  write(frames: Uint8Array): void;
  /** Calls `callback` once, when all that was written before has left this process, or cannot any more. */
  whenWritten(callback: () => void): void;
  ping(): void;
  /** Stops and starts receiving, so that TCP holds the sender back. */
  pause(): void;
  resume(): void;
  /** Sends the close frame; the end is told by `ended`. */
  close(code: number, reason: string): void;
  /** Ends the connection at once, without a close frame. */
  destroy(): void;
}

/** What a transport tells its connection. */
export interface TransportEvents {
  onMessage(message: Message): void;
  /** A control frame came. */
  onHeard(): void;
  /** The close frame is about to be sent: what is sent from now on comes too late. */
  onClosing(): void;
  /** The peer broke the protocol or a limit; the transport closes with this code. */
  onFailed(code: number, reason: string): void;
  /** The socket is gone. `code` is 1006 when the peer sent no close frame. Called once, and nothing after it. */
  onGone(code: number, reason: string): void;
}
