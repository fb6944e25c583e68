/// <reference types="node" preserve="true" />
import { EnfiladeError, HttpError } from "../errors.js";
import type { App } from "../server/app.js";
import { TestClient } from "./client.js";
import { link } from "./link.js";
import { type ConnectOptions, checkConnectOptions } from "./socket.js";
import { openWebSocket } from "./webSocket.js";

export { TestClient } from "./client.js";
export { ManualClock } from "./clock.js";
export { type AppFetch, fetchOf } from "./fetch.js";
export type { ConnectOptions } from "./socket.js";
export {
  socketsOf,
  type TestWebSocket,
  type TestWebSocketConstructor,
  type TestWebSocketEvent,
} from "./webSocketClass.js";

/**
 * Connects a test client to an app in memory, without a port. Routing, `authorize`, handlers and rooms are the real
 * ones. `await app.close()` closes the client too.
 *
 * @param path The path and query, such as `/chat/general?as=ann`.
 * @throws HttpError (as a rejection) with the status and the body of the answer, when the app refuses the client.
 * @throws EnfiladeError (as a rejection) `ERR_APP_STATE` when the app is closed, `ERR_PATH` when `path` does not begin
 *   with a slash, `ERR_OPTION` when an option is unknown.
 * @example
 * ```ts
 * import { deepEqual } from "node:assert/strict";
 * import { App, WebSocketHandler } from "enfilade";
 * import { connect } from "enfilade/testing";
 *
 * class Chat extends WebSocketHandler {
 *   static route = "/chat/:channel";
 *
 *   onJSON(message: unknown) {
 *     this.sendJSONToThisRoom(message);
 *   }
 * }
 *
 * const app = new App({ handlers: [Chat] });
 * const [ann, bob] = [await connect(app, "/chat/general"), await connect(app, "/chat/general")];
 * ann.sendJSON({ text: "hello" });
 * deepEqual(await bob.readJSON(), { text: "hello" });
 * await app.close();
 * ```
 */
export async function connect(app: App, path: string, options: ConnectOptions = {}): Promise<TestClient> {
  checkConnectOptions(options);
  if (!path.startsWith("/"))
    throw new EnfiladeError("ERR_PATH", `connect takes a path such as "/chat/x", got "${path}"`);
  if (app.status().state !== "open")
    throw new EnfiladeError("ERR_APP_STATE", "the app is closed; connect to an open app");
  return new Promise((resolve, reject) => {
    link(app, path, options, {
      onOpen: (socket) => {
        const { client, events } = TestClient.fromSocket(socket);
        resolve(client);
        return events;
      },
      onRefused: ({ status, headers, body }) => {
        const values = Object.entries(headers).map(([name, value]) => [name, String(value)]);
        const text = typeof body === "string" ? body : new TextDecoder().decode(body);
        reject(new HttpError(status, text, { headers: Object.fromEntries(values) }));
      },
    });
  });
}

/**
 * Connects a test client to a URL such as `ws://localhost:8000/chat/general`, over the network.
 *
 * @throws HttpError (as a rejection) with the status and the body of the answer, when the server refuses the client.
 * @throws EnfiladeError (as a rejection) `ERR_OPTION` when an option is unknown.
 */
export async function connectURL(url: string, options: ConnectOptions = {}): Promise<TestClient> {
  checkConnectOptions(options);
  const opened: { client?: TestClient } = {};
  await openWebSocket(url, options, (socket) => {
    const { client, events } = TestClient.fromSocket(socket);
    opened.client = client;
    return events;
  });
  if (opened.client === undefined) throw new EnfiladeError("ERR_CONNECTION", "the connection was never opened");
  return opened.client;
}
