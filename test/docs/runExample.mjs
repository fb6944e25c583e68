/** Imports its arguments in turn, then ends the process: the server of an example would run forever. */
import cluster from "node:cluster";
import { pathToFileURL } from "node:url";

// Node.js has a global WebSocket since version 22.
if (!("WebSocket" in globalThis)) {
  const { WebSocket } = await import("ws");
  globalThis.WebSocket = WebSocket;
}
for (const file of process.argv.slice(2)) await import(pathToFileURL(file).href);
// By the next turn of the event loop, an unhandled rejection has ended the process.
await new Promise(setImmediate);
// A worker of node:cluster ends with its primary.
if (cluster.isPrimary) process.exit();
