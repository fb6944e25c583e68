import type { App } from "../server/app.js";
import { ABNORMAL } from "../wire/closeCodes.js";
import { checkNames } from "../wire/options.js";
import { link } from "./link.js";
import type { LinkedTransport } from "./linkedTransport.js";
import type { ClientSocket, ConnectOptions } from "./socket.js";

/** An event of a {@link TestWebSocket}. */
export interface TestWebSocketEvent {
  /** Decides which of the other properties are set; with `open` none. */
  readonly type: "open" | "message" | "close" | "error";
  /** With `message`: a string, or an `ArrayBuffer` for a binary message. */
  readonly data?: unknown;
  /** With `close`: the close code; 1006 if the connection broke or was refused. */
  readonly code?: number;
  /** With `close`: the close reason. */
  readonly reason?: string;
  /** With `close`: false for the code 1006. */
  readonly wasClean?: boolean;
  /** With `error`: the cause, such as the status of a refusal. */
  readonly message?: string;
}

/** A WebSocket like that of a browser, with the members that clients use. Bytes arrive as an `ArrayBuffer`. */
export interface TestWebSocket {
  /** The URL that was passed to the constructor. */
  readonly url: string;
  /** The subprotocol that client and server agreed on; `""` for none. */
  readonly protocol: string;
  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** Sends a text message for a string, else a binary one. */
  send(data: string | ArrayBuffer | ArrayBufferView): void;
  /**
   * Starts the closing handshake.
   *
   * @throws EnfiladeError `ERR_CLOSE_CODE` for a code other than 1000 and 3000 to 4999.
   */
  close(code?: number, reason?: string): void;
  /** Calls `listener` for each event of this type. */
  addEventListener(type: TestWebSocketEvent["type"], listener: (event: TestWebSocketEvent) => void): void;
  /** Removes a listener. */
  removeEventListener(type: TestWebSocketEvent["type"], listener: (event: TestWebSocketEvent) => void): void;
}

/** A class that {@link socketsOf} returns. */
export type TestWebSocketConstructor = new (url: string | URL, protocols?: string | string[]) => TestWebSocket;

/**
 * Returns a WebSocket class that connects to `app` in memory, without a port. The host of the URL is ignored. For tests
 * of `enfilade/client`. The header `headers.cookie` is that of a page.
 *
 * ```ts
 * const room = connect("ws://app/chat/general", { WebSocket: socketsOf(app) });
 * ```
 *
 * @param options `headers`: request headers of each connection. Default: none.
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown.
 */
export function socketsOf(app: App, options: Pick<ConnectOptions, "headers"> = {}): TestWebSocketConstructor {
  checkNames("socketsOf()", options, ["headers"]);
  const { headers = {} } = options;
  return class extends LinkedWebSocket {
    constructor(url: string | URL, protocols: string | string[] = []) {
      super(app, new URL(url), { headers, protocols: typeof protocols === "string" ? [protocols] : protocols });
    }
  };
}

class LinkedWebSocket implements TestWebSocket {
  readonly url: string;
  binaryType = "arraybuffer";
  readonly #transport: LinkedTransport;
  readonly #listeners = new Map<string, Set<(event: TestWebSocketEvent) => void>>();
  #socket: ClientSocket | undefined;
  #readyState = 0;

  constructor(app: App, url: URL, options: ConnectOptions) {
    this.url = url.href;
    this.#transport = link(app, url.pathname + url.search, options, {
      onOpen: (socket) => this.#onOpen(socket),
      onRefused: ({ status }) => this.#refuse(`Unexpected server response: ${status}`),
    });
  }

  get protocol(): string {
    return this.#socket?.protocol ?? "";
  }

  get readyState(): number {
    return this.#readyState;
  }

  send(data: string | ArrayBuffer | ArrayBufferView): void {
    if (typeof data === "string") this.#socket?.send(data);
    else if (data instanceof ArrayBuffer) this.#socket?.send(new Uint8Array(data));
    else this.#socket?.send(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }

  close(code?: number, reason?: string): void {
    if (this.#readyState >= 2) return;
    this.#readyState = 2;
    if (this.#socket !== undefined) this.#socket.close(code, reason);
    else this.#refuse("closed before the connection was open");
  }

  addEventListener(type: string, listener: (event: TestWebSocketEvent) => void): void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
  }

  removeEventListener(type: string, listener: (event: TestWebSocketEvent) => void): void {
    this.#listeners.get(type)?.delete(listener);
  }

  #onOpen(socket: ClientSocket) {
    this.#socket = socket;
    // Deferred, since listeners are added after the constructor has returned.
    queueMicrotask(() => {
      if (this.#readyState !== 0) return;
      this.#readyState = 1;
      this.#dispatch({ type: "open" });
    });
    return {
      onMessage: (data: string | Uint8Array) =>
        this.#dispatch({ type: "message", data: typeof data === "string" ? data : data.slice().buffer }),
      onClose: (code: number, reason: string) => this.#close(code, reason),
    };
  }

  #refuse(message: string): void {
    this.#transport.destroy();
    queueMicrotask(() => {
      this.#dispatch({ type: "error", message });
      this.#close(ABNORMAL, "");
    });
  }

  #close(code: number, reason: string): void {
    if (this.#readyState === 3) return;
    this.#readyState = 3;
    this.#dispatch({ type: "close", code, reason, wasClean: code !== ABNORMAL });
  }

  #dispatch(event: TestWebSocketEvent): void {
    for (const listener of [...(this.#listeners.get(event.type) ?? [])]) listener(event);
  }
}
