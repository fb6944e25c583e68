/**
 * An event of a WebSocket: `message` with `data`, `close` with `code` and `reason`, or `error`, in Node with a
 * `message`.
 */
export interface SocketEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
}

/**
 * The part of a WebSocket that the client uses. Those of browsers, of Node 22 and later, of `ws` and of `undici` have
 * it.
 */
export interface WebSocketLike {
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message" | "close" | "error", listener: (event: SocketEvent) => void): void;
}

/** A WebSocket class, for the option `WebSocket`. */
export type WebSocketConstructor = new (url: string, subprotocols: string[]) => WebSocketLike;

/** @throws TypeError when there is no global WebSocket. */
export function defaultWebSocket(): WebSocketConstructor {
  // Node has it from version 22.
  const { WebSocket } = globalThis as { readonly WebSocket?: WebSocketConstructor };
  if (WebSocket) return WebSocket;
  throw new TypeError("no WebSocket: connect(url, { WebSocket })");
}
