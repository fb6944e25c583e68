import type { Clock } from "../connection/clock.js";
import type { WebSocketConstructor } from "./connection/socket.js";
import type { LoadState } from "./messages/messageQueue.js";

/** Options of `connect(url, options)`. */
export interface ConnectOptions {
  /**
   * Credentials for `authorize`, which reads them as `request.token`. Sent as a subprotocol, never in the URL. Default:
   * none.
   *
   * A function is called for each attempt to connect, and by `room.refresh()`. If it rejects, or takes longer than 10
   * s, the attempt fails.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** The WebSocket class. Default: the global `WebSocket`. Node 20 has none: pass `WebSocket` of the package `ws`. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /**
   * Messages that wait while there is no connection. Above: the oldest is dropped, and reported by the event
   * `"dropped"`; `request` rejects with `queue_full`. Default: 100.
   */
  readonly queueMessagesMax?: number | undefined;
  /** Bytes of these messages. Above: the oldest are dropped too. Default: 1 MiB. */
  readonly queueBytesMax?: number | undefined;
  /**
   * Loads the state of the application after the first connect, and after each reconnect that may have lost messages;
   * see {@link ClientRoom.onResync}.
   */
  readonly onResync?: LoadState | undefined;
  /**
   * Logs each frame and each state: `true` to the console, or to a function. A line has at most 300 characters, and its
   * control characters are escaped. Default: `false`.
   */
  readonly debug?: boolean | ((line: string) => void) | undefined;
  /** The source of time, for tests: `new ManualClock()` of `enfilade/testing`. Default: the system's time. */
  readonly clock?: Clock | undefined;
  /** Returns a number of at least 0 and less than 1, for the delays between attempts. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

export const connectOptionNames = [
  "token",
  "WebSocket",
  "queueMessagesMax",
  "queueBytesMax",
  "onResync",
  "debug",
  "clock",
  "random",
] as const satisfies readonly (keyof ConnectOptions)[];
