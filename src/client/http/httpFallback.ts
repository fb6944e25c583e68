import { EnfiladeError } from "../../errors.js";
import { ABNORMAL } from "../../wire/closeCodes.js";
import { checkNames } from "../../wire/options.js";
import {
  defaultWebSocket,
  type SocketEvent,
  type WebSocketConstructor,
  type WebSocketLike,
} from "../connection/socket.js";
import { StreamSocket } from "./streamSocket.js";

/** Options of {@link httpFallback}. */
export interface HttpFallbackOptions {
  /** The WebSocket class. Default: the global `WebSocket`. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** Sends the requests. Default: the global `fetch`, with `credentials: "same-origin"`. */
  readonly fetch?: typeof fetch | undefined;
  /** Milliseconds after which a client that uses HTTP tries a WebSocket again. Default: 300,000. */
  readonly retryMs?: number | undefined;
}

/** Attempts without a WebSocket in a row, until HTTP is used. */
const failuresMax = 2;
const defaultRetryMs = 300_000;
/** A timer of JavaScript cannot wait longer. */
const retryMsMax = 2 ** 31 - 1;

/**
 * A WebSocket class for `connect()` that uses plain HTTP where no WebSocket can be opened, such as behind a proxy that
 * strips upgrades: after two attempts in a row without a message, frames arrive as an event stream, and are sent by
 * POST. If that does not work either, a WebSocket comes next. Order, recovery, presence and requests are the same. The
 * route needs `http: true`. Use one class for all rooms of a server: they share what is known about it.
 *
 * ```ts
 * import { connect } from "enfilade/client";
 * import { httpFallback } from "enfilade/fallback";
 *
 * const room = connect("wss://example.com/chat/general", { WebSocket: httpFallback() });
 * ```
 *
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown or its value is invalid.
 * @throws TypeError when there is no global `WebSocket` and none in the options.
 */
export function httpFallback(options: HttpFallbackOptions = {}): WebSocketConstructor {
  checkNames("httpFallback()", options, ["WebSocket", "fetch", "retryMs"]);
  const { retryMs = defaultRetryMs } = options;
  if (typeof retryMs !== "number" || !(retryMs > 0 && retryMs <= retryMsMax)) {
    throw new EnfiladeError("ERR_OPTION", `retryMs takes milliseconds from 1 to ${retryMsMax}, got ${retryMs}`);
  }
  const { WebSocket = defaultWebSocket(), fetch = globalThis.fetch.bind(globalThis) } = options;
  for (const [name, value] of Object.entries({ WebSocket, fetch })) {
    if (typeof value === "function") continue;
    throw new EnfiladeError("ERR_OPTION", `${name} of httpFallback() takes a function, got ${value}`);
  }
  const trials = new Trials(retryMs);
  return class implements WebSocketLike {
    readonly #isStream = trials.haveFailed;
    readonly #socket: WebSocketLike;

    constructor(url: string, subprotocols: string[]) {
      this.#socket = this.#isStream
        ? new StreamSocket(url, subprotocols, { fetch, retryMs, onUnavailable: () => trials.reset() })
        : new WebSocket(url, subprotocols);
      if (!this.#isStream) trials.watch(this.#socket);
    }

    send(data: string | Uint8Array): void {
      this.#socket.send(data);
    }

    close(code?: number, reason?: string): void {
      this.#socket.close(code, reason);
    }

    addEventListener(type: "message" | "close" | "error", listener: (event: SocketEvent) => void): void {
      // The status may be that of a proxy, and would end the room. Over HTTP, the server shows its own.
      const isHidden = type === "error" && !this.#isStream;
      this.#socket.addEventListener(type, isHidden ? () => listener({ type, message: "no WebSocket" }) : listener);
    }
  };
}

/** Knows whether WebSockets can be opened. */
class Trials {
  readonly #retryMs: number;
  #failures = 0;
  #lastAt = 0;

  constructor(retryMs: number) {
    this.#retryMs = retryMs;
  }

  /** Whether the last attempts failed, and it is too soon for another one. */
  get haveFailed(): boolean {
    return this.#failures >= failuresMax && performance.now() - this.#lastAt < this.#retryMs;
  }

  /** HTTP does not work either, so nothing is known about WebSockets. */
  reset(): void {
    this.#failures = 0;
  }

  /** A WebSocket works if the server sends anything by it, be it a close code. */
  watch(socket: WebSocketLike): void {
    this.#lastAt = performance.now();
    let isOver = false;
    const end = (works: boolean) => {
      if (isOver) return;
      isOver = true;
      this.#failures = works ? 0 : this.#failures + 1;
    };
    socket.addEventListener("message", () => end(true));
    socket.addEventListener("close", ({ code = ABNORMAL }) => end(code !== ABNORMAL));
    socket.addEventListener("error", () => end(false));
  }
}
