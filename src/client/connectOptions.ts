import type { Clock } from "../connection/clock.js";
import type { WebSocketConstructor } from "./connection/socket.js";
import type { LoadState } from "./messages/messageQueue.js";

/** How a room is connected to. */
export interface ConnectOptions {
  /** Credentials, never part of the URL. A function is called for each attempt, and has 10 s; one that fails has its attempt fail. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Default: the global one, which Node has since 22. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** Frames that wait while there is no connection; past it the oldest message or event is dropped. Default: 100. */
  readonly queueMessagesMax?: number | undefined;
  /** Bytes of them. Default: 1 MiB. */
  readonly queueBytesMax?: number | undefined;
  /** See {@link ClientRoom.onResync}. */
  readonly onResync?: LoadState | undefined;
  /** A line for each frame and each state, to the console or to a function: control characters escaped, cut at 300. Default: `false`. */
  readonly debug?: boolean | ((line: string) => void) | undefined;
  /** Time, so that a test can set it. */
  readonly clock?: Clock | undefined;
  /** From 0 to 1, for the time between attempts. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** The names of the options. */
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
