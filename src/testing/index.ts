/// <reference types="node" preserve="true" />
import { EnfiladeError, HttpError } from "../errors.js";
import type { App } from "../server/app.js";
import { TestClient } from "./client.js";
import { link } from "./link.js";
import { type ConnectOptions, checkConnectOptions } from "./socket.js";
import { openWebSocket } from "./webSocket.js";

export { TestClient } from "./client.js";
export { ManualClock } from "./clock.js";
export type { ConnectOptions } from "./socket.js";
export {
  socketsOf,
  type TestWebSocket,
  type TestWebSocketConstructor,
  type TestWebSocketEvent,
} from "./webSocketClass.js";

/**
 * Connects to an app without a port: two ends linked in memory, and all of the real way behind `app.accept`.
 *
 * ```ts
 * const ann = await connect(app, "/chat/general");
 * ann.sendJSON({ text: "hello" });
 * expect(await ann.readJSON()).toEqual({ text: "hello" });
 * ```
 *
 * `await app.close()` ends what was connected.
 *
 * @throws HttpError (as a rejection) with the status and the body of the answer, when the app refuses.
 * @throws EnfiladeError (as a rejection) `ERR_APP_STATE` when the app is closed, `ERR_PATH` without a path, `ERR_OPTION`.
 */
export async function connect(app: App, path: string, options: ConnectOptions = {}): Promise<TestClient> {
  checkConnectOptions(options);
  if (!path.startsWith("/"))
    throw new EnfiladeError("ERR_PATH", `connect takes a path such as "/chat/x", got "${path}"`);
  if (app.status().state !== "open") throw new EnfiladeError("ERR_APP_STATE", "the app is closed and takes no client");
  return new Promise((resolve, reject) => {
    link(app, path, options, {
      onOpen: (socket) => {
        const { client, events } = TestClient.on(socket);
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
 * Connects to any URL.
 *
 * @throws HttpError (as a rejection) with the status and the body of the answer, when the server refuses.
 * @throws EnfiladeError (as a rejection) `ERR_OPTION`.
 */
export async function connectURL(url: string, options: ConnectOptions = {}): Promise<TestClient> {
  checkConnectOptions(options);
  const opened: { client?: TestClient } = {};
  await openWebSocket(url, options, (socket) => {
    const { client, events } = TestClient.on(socket);
    opened.client = client;
    return events;
  });
  if (opened.client === undefined) throw new EnfiladeError("ERR_CONNECTION", "the connection was never opened");
  return opened.client;
}
