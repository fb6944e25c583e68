import { checkNames } from "../wire/options.js";
import { webSocketURL } from "./connection/address.js";
import { type ConnectOptions, connectOptionNames } from "./connectOptions.js";
import type { ServerOf } from "./events.js";
import { ClientRoom } from "./room.js";

/**
 * Connects to a room, and reconnects until the room is closed. Returns at once; `await room.opened` waits for the
 * connection.
 *
 * With the type of an `EventHandler`, as in `connect<Chat>`, TypeScript checks the names, data and replies of its
 * events: the method `onJoin` answers the event `join`. With two interfaces, `connect<ClientEvents, ServerEvents>`, the
 * first has the events of the client by their names on the wire, each as a function from data to reply. The second has
 * the events of the server, each as the type of its data, or as such a function if the server requests it.
 * `connect<typeof chat>` has both from a contract; see `contract()`.
 *
 * @param url A URL with `ws`, `wss`, `http` or `https`. In a page it may be relative, such as `/chat/general`.
 * @throws TypeError when the URL is invalid, or there is no global `WebSocket` and none in the options.
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown.
 * @example
 * ```ts
 * import { App, EventHandler, On, Route } from "enfilade";
 * import { connect } from "enfilade/client";
 *
 * @Route("/chat/:channel")
 * class Chat extends EventHandler {
 *   @On("join")
 *   onJoin({ name }: { name: string }) {
 *     this.emitToThisRoom("joined", { name });
 *     return { members: this.room.size };
 *   }
 * }
 *
 * const app = new App({ handlers: [Chat] });
 * await app.listen(8000);
 *
 * const room = connect<Chat>("ws://localhost:8000/chat/general");
 * room.onEvent("joined", (data) => console.log("joined:", data));
 * const { members } = await room.request("join", { name: "Ann" });
 * console.log(`${members} in the room`);
 *
 * room.close();
 * await app.close();
 * ```
 */
export function connect<Client = unknown, Server = ServerOf<Client>>(
  url: string | URL,
  options: ConnectOptions = {},
): ClientRoom<Client, Server> {
  checkNames("connect()", options, connectOptionNames);
  return new ClientRoom<Client, Server>(webSocketURL(url), options);
}
