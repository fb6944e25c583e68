/** What is told of a WebSocket: a message has `data`, a close `code` and `reason`, and an error perhaps a `message`. */
export interface SocketEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
}

/** What is needed of a WebSocket: a browser's, Node's own (22 and later), that of `ws` and that of `undici` have it. */
export interface WebSocketLike {
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message" | "close" | "error", listener: (event: SocketEvent) => void): void;
}

/** Makes one; see {@link WebSocketLike}. */
export type WebSocketConstructor = new (url: string, subprotocols: string[]) => WebSocketLike;

/** @throws TypeError when there is none. */
export function defaultWebSocket(): WebSocketConstructor {
  // Node has it since 22.
  const { WebSocket } = globalThis as { readonly WebSocket?: WebSocketConstructor };
  if (WebSocket) return WebSocket;
  throw new TypeError("no WebSocket: connect(url, { WebSocket })");
}
