import { checkNames } from "../../wire/options.js";
import { webSocketURL } from "../connection/address.js";
import type { ConnectOptions } from "../connectOptions.js";
import { ClientSocket } from "./clientSocket.js";

/** Options of `connectSocket(url, options)`: those of `connect`, as the defaults of its rooms. */
export type SocketOptions = Omit<ConnectOptions, "onResync">;

/**
 * Connects many rooms over one WebSocket. Returns at once; the socket opens with the first room.
 *
 * Each room is a connection of its own on the server: with a handler, `authorize`, recovery and a close code. The
 * heartbeat and the limits of a socket are those of all rooms.
 *
 * @param url The URL of the server, such as `wss://example.com`. Rooms are paths on it.
 * @throws TypeError when the URL is invalid, or there is no global `WebSocket` and none in the options.
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown.
 * @example
 * ```ts
 * import { connectSocket } from "enfilade/client";
 *
 * const socket = connectSocket("wss://example.com");
 * const chat = socket.room("/chat/general");
 * const org = socket.room("/org/7");
 * ```
 */
export function connectSocket(url: string | URL, options: SocketOptions = {}): ClientSocket {
  checkNames("connectSocket()", options, socketOptionNames);
  return new ClientSocket(webSocketURL(url), options);
}

const socketOptionNames = [
  "token",
  "WebSocket",
  "queueMessagesMax",
  "queueBytesMax",
  "debug",
  "clock",
  "random",
] as const satisfies readonly (keyof SocketOptions)[];
