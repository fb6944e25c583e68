import type { Clock } from "../connection/clock.js";
import { checkNames } from "../wire/options.js";
import { newClientId, subprotocols, webSocketURL } from "./connection/address.js";
import { clientClock } from "./connection/clock.js";
import { defaultWebSocket, type WebSocketConstructor } from "./connection/socket.js";
import type { LoadState } from "./messages/messageQueue.js";
import { ClientRoom } from "./room.js";

/** How a room is connected to. */
export interface ConnectOptions {
  /** Credentials, never part of the URL. A function is asked anew for each attempt, and has 10 s; one that fails has its attempt fail. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Default: the global one, which Node has since 22. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** Frames that wait while there is no connection; past it the oldest message or event goes. Default: 100. */
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

const optionNames: Readonly<Record<keyof ConnectOptions, true>> = {
  token: true,
  WebSocket: true,
  queueMessagesMax: true,
  queueBytesMax: true,
  onResync: true,
  debug: true,
  clock: true,
  random: true,
};

/**
 * Connects to a room, and keeps to it until it is closed.
 *
 * ```ts
 * const room = connect<Chat>("/chat/general", { token });
 * room.on("message", ({ data }) => show(data));
 * await room.request("join", { name: "Ann" });
 * ```
 *
 * With the type of an `EventHandler`, names, data and replies of its events `onJoin`, say `join`, are checked.
 *
 * @param url Of `ws`, `wss`, `http` or `https`; in a page it may be relative.
 * @throws TypeError when it is no such URL, or there is no WebSocket.
 * @throws EnfiladeError `ERR_OPTION` when there is no such option.
 */
export function connect<Handler = unknown>(url: string | URL, options: ConnectOptions = {}): ClientRoom<Handler> {
  checkNames("connect()", options, Object.keys(optionNames));
  const { WebSocket = defaultWebSocket(), debug, onResync } = options;
  const token = async () => (typeof options.token === "function" ? options.token() : options.token);
  return new ClientRoom<Handler>({
    url: webSocketURL(url),
    client: newClientId(),
    queueMessagesMax: options.queueMessagesMax ?? 100,
    queueBytesMax: options.queueBytesMax ?? 2 ** 20,
    clock: options.clock ?? clientClock,
    random: options.random ?? Math.random,
    debug: debug === true ? (line) => console.debug(line) : debug || undefined,
    onResync,
    token,
    link: { WebSocket, offer: async () => subprotocols(await token()) },
  });
}
