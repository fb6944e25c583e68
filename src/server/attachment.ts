import { Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { EnfiladeError } from "../errors.js";
import type { Door } from "./door.js";
import { refusal } from "./refusal.js";

type UpgradeListener = (incoming: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** The listeners of this library: several apps may be attached to one server. */
const ours = new WeakSet<object>();
/** Sockets that one of them has taken. */
const taken = new WeakSet<Duplex>();

/**
 * Has `door` receive the upgrade requests of `server`, and `plain` its other requests if nobody else answers them.
 *
 * @returns what detaches them again.
 * @throws EnfiladeError `ERR_OPTION` when `server` is no HTTP server.
 */
export function attach(
  server: HttpServer | HttpsServer,
  door: Door,
  plain: (request: IncomingMessage, response: ServerResponse) => void,
): () => void {
  const given: unknown = server;
  if (!(given instanceof HttpServer || given instanceof HttpsServer)) {
    throw new EnfiladeError(
      "ERR_OPTION",
      "attach takes an http.Server or https.Server; with Express: const server = http.createServer(expressApp)",
    );
  }
  const onUpgrade: UpgradeListener = (incoming, socket, head) => {
    if (taken.has(socket)) return;
    const found = isWebSocket(incoming) ? door.find(incoming.url ?? "/") : refusal(426, "", upgradeHeaders);
    const refused = "status" in found;
    if (refused && answersElsewhere(server, onUpgrade)) return;
    taken.add(socket);
    if (refused) door.refuse(incoming, socket, found);
    else door.receive(incoming, socket, head, found);
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    if (server.listenerCount("request") === 1) plain(request, response);
  };
  ours.add(onUpgrade);
  server.on("upgrade", onUpgrade);
  server.on("request", onRequest);
  return () => {
    server.off("upgrade", onUpgrade);
    server.off("request", onRequest);
  };
}

/** RFC 9110 15.5.22: a 426 names the protocol that is wanted. */
export const upgradeHeaders = { upgrade: "websocket", connection: "Upgrade" } as const;

/** RFC 6455 4.2.1: the value is compared without regard to case. */
function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

/** Whether a listener that is not ours may answer, or one of ours that comes after this one. */
function answersElsewhere(server: HttpServer | HttpsServer, onUpgrade: UpgradeListener): boolean {
  const listeners = server.listeners("upgrade");
  return listeners.some((listener) => !ours.has(listener)) || listeners.at(-1) !== onUpgrade;
}
