import type { ReceivedFrame } from "../messages/readFrame.js";

/** An event of a WebSocket; its `type` decides which properties it has. */
export interface SocketEvent {
  /** `message`, `close` or `error`. */
  readonly type: string;
  /** With `message`: the content, a string for a text message. */
  readonly data?: unknown;
  /** @internal With `message`: the frame, if a socket with many rooms has parsed it. */
  readonly frame?: ReceivedFrame;
  /** With `close`: the close code. */
  readonly code?: number;
  /** With `close`: the close reason. */
  readonly reason?: string;
  /** With `error`: the cause. Only in Node; in a page it is missing. */
  readonly message?: string;
}

/**
 * The part of a WebSocket that the client uses. Those of browsers, of Node 22 and later, of `ws` and of `undici` have
 * it.
 */
export interface WebSocketLike {
  /** Sends a string as a text message, and bytes as a binary message. */
  send(data: string | Uint8Array): void;
  /** Starts the closing handshake. */
  close(code?: number, reason?: string): void;
  /** Calls `listener` for each event of this type. */
  addEventListener(type: "message" | "close" | "error", listener: (event: SocketEvent) => void): void;
}

/** A WebSocket class, for the option `WebSocket`. */
export type WebSocketConstructor = new (url: string, subprotocols: string[]) => WebSocketLike;

/** @throws TypeError when there is no global WebSocket. */
export function defaultWebSocket(): WebSocketConstructor {
  // Node has it from version 22.
  const { WebSocket } = globalThis as { readonly WebSocket?: WebSocketConstructor };
  if (WebSocket) return WebSocket;
  throw new TypeError("no WebSocket here; pass the option WebSocket, from ws");
}
