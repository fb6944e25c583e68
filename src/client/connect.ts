import { checkNames } from "../wire/options.js";
import { webSocketURL } from "./connection/address.js";
import { type ConnectOptions, connectOptionNames } from "./connectOptions.js";
import { ClientRoom } from "./room.js";

/**
 * Connects to a room, and keeps connected until it is closed.
 *
 * ```ts
 * const room = connect<Chat>("/chat/general", { token });
 * room.on("message", ({ data }) => show(data));
 * await room.request("join", { name: "Ann" });
 * ```
 *
 * With the type of an `EventHandler`, names, data and replies of its events `onJoin`, say `join`, are checked. With two interfaces,
 * `connect<ClientEvents, ServerEvents>`, the first has the events of the client by their names on the wire, each as a function from data to
 * reply; the second those of the server, each as its data, or as such a function for one that the server requests.
 *
 * @param url Of `ws`, `wss`, `http` or `https`; in a page it may be relative.
 * @throws TypeError when it is no such URL, or there is no WebSocket.
 * @throws EnfiladeError `ERR_OPTION` when there is no such option.
 */
export function connect<Client = unknown, Server = unknown>(
  url: string | URL,
  options: ConnectOptions = {},
): ClientRoom<Client, Server> {
  checkNames("connect()", options, connectOptionNames);
  return new ClientRoom<Client, Server>(webSocketURL(url), options);
}
