/// <reference types="node" preserve="true" />
import { createServer, type Server } from "node:http";
import { duplexPair } from "node:stream";
import { EnfiladeError } from "../errors.js";
import type { App } from "../server/app.js";
import { type ConnectOptions, TestClient } from "./client.js";

export { type ConnectOptions, TestClient } from "./client.js";
export { ManualClock } from "./clock.js";

/** Servers that listen nowhere, one for each app: connections are put into them by hand. */
const servers = new WeakMap<App, Server>();

/**
 * Connects to an app without a port: two linked sockets in memory, and all of the real way in between.
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
 * @throws EnfiladeError (as a rejection) `ERR_APP_STATE` when the app is closed, `ERR_PATH` without a path.
 */
export async function connect(app: App, path: string, options: ConnectOptions = {}): Promise<TestClient> {
  if (!path.startsWith("/"))
    throw new EnfiladeError("ERR_PATH", `connect takes a path such as "/chat/x", got "${path}"`);
  if (app.status().state !== "open") throw new EnfiladeError("ERR_APP_STATE", "the app is closed and takes no client");
  const server = servers.get(app) ?? createServer();
  if (!servers.has(app)) {
    app.attach(server);
    servers.set(app, server);
  }
  return TestClient.open(`ws://localhost${path}`, options, () => {
    const [ours, theirs] = duplexPair();
    // A linked stream does not notice that its other side was destroyed; a socket would.
    ours.once("close", () => theirs.destroy());
    theirs.once("close", () => ours.destroy());
    server.emit("connection", theirs);
    return ours;
  });
}

/**
 * Connects to any URL.
 *
 * @throws HttpError (as a rejection) with the status and the body of the answer, when the server refuses.
 */
export function connectURL(url: string, options: ConnectOptions = {}): Promise<TestClient> {
  return TestClient.open(url, options);
}
