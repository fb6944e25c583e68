import { Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { EnfiladeError } from "../errors.js";
import type { Acceptor } from "./acceptor.js";
import type { PlainRequests } from "./extensions/plainRequests.js";
import { refusal, upgradeHeaders } from "./refusal.js";
import { WebSocketTransport } from "./websocket/transport.js";
import { handshakeRefusal, isWebSocket, type RefusalTime } from "./websocket/upgrade.js";

type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;
type UpgradeListener = (incoming: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** The listeners of all apps: several apps may be attached to one server. */
const appListeners = new WeakSet<object>();
/** Sockets that an app has accepted or refused. */
const takenSockets = new WeakSet<Duplex>();
/** The number of plain requests on a socket whose answers are not complete. */
const openRequests = new WeakMap<Duplex, number>();

/**
 * Passes the upgrade requests of `server` to `acceptor`, and to `plainRequests` its other requests that no other
 * listener answers.
 *
 * @returns a function that detaches both.
 * @throws EnfiladeError `ERR_OPTION` when `server` is not an HTTP server.
 */
export function attach(
  server: HttpServer | HttpsServer,
  acceptor: Acceptor,
  plainRequests: PlainRequests,
  refusalTime: RefusalTime,
): () => void {
  const given: unknown = server;
  if (!(given instanceof HttpServer || given instanceof HttpsServer)) {
    throw new EnfiladeError(
      "ERR_OPTION",
      "attach takes an http.Server or https.Server; with Express: const server = http.createServer(expressApp); " +
        "with Fastify: fastify.server",
    );
  }
  const onUpgrade: UpgradeListener = (incoming, socket, head) => {
    // Node has removed its own error listener. Without one a reset of the socket would end the process.
    socket.on("error", ignoreError);
    const isOnlyListener = server.listenerCount("upgrade") === 1;
    if (!isOnlyListener && takenSockets.has(socket)) return;
    const found = isWebSocket(incoming)
      ? acceptor.findFor({ url: incoming.url ?? "/", headers: incoming.headers })
      : refusal("request", 426, "", upgradeHeaders);
    const isRefused = "status" in found;
    if (isRefused && canAnswerElsewhere(server.listeners("upgrade"), onUpgrade)) return;
    if (!isOnlyListener) takenSockets.add(socket);
    // An earlier request on this socket has no complete answer. An answer written now would overtake it.
    if (openRequests.has(socket)) socket.destroy();
    else receive(acceptor, new WebSocketTransport({ incoming, socket, head }, refusalTime), incoming, found);
  };
  const onRequest: RequestListener = (request, response) => {
    const { socket } = request;
    openRequests.set(socket, (openRequests.get(socket) ?? 0) + 1);
    response.once("close", () => onAnswered(socket));
    if (response.headersSent) return;
    const isOwn = plainRequests.isOwn(request.url ?? "/");
    const listeners = server.listeners("request");
    if (isOwn ? areAllOfApps(listeners) : !canAnswerElsewhere(listeners, onRequest)) {
      plainRequests.answer(request, response);
    }
  };
  appListeners.add(onUpgrade).add(onRequest);
  server.on("upgrade", onUpgrade);
  server.on("request", onRequest);
  return () => {
    server.off("upgrade", onUpgrade);
    server.off("request", onRequest);
  };
}

/** Passes on the needed parts of an upgrade request, so that Node can free the rest. */
function receive(
  acceptor: Acceptor,
  transport: WebSocketTransport,
  incoming: IncomingMessage,
  found: ReturnType<Acceptor["findFor"]>,
): void {
  const { headers, socket, url = "/" } = incoming;
  const { remoteAddress } = socket;
  const asked = { url, headers, remoteAddress, secure: "encrypted" in socket, raw: incoming };
  acceptor.receive(transport, asked, handshakeRefusal(incoming) ?? found);
}

/** Returns true if a listener of other code may answer, or the listener of an app that was attached later. */
function canAnswerElsewhere(listeners: readonly object[], own: object): boolean {
  return !areAllOfApps(listeners) || listeners.at(-1) !== own;
}

function areAllOfApps(listeners: readonly object[]): boolean {
  return listeners.every((listener) => appListeners.has(listener));
}

function onAnswered(socket: Duplex): void {
  const left = (openRequests.get(socket) ?? 1) - 1;
  if (left === 0) openRequests.delete(socket);
  else openRequests.set(socket, left);
}

function ignoreError(): void {
  // A broken socket also emits "close".
}
