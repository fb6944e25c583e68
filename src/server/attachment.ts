import { Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { ConnectionRequest } from "../connection/request.js";
import type { Refusal } from "../connection/transport.js";
import { EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Acceptor, Destination } from "./acceptor.js";
import { refusal, upgradeHeaders } from "./refusal.js";
import { WebSocketTransport } from "./websocket/transport.js";
import { handshakeFault, type RefusalTime } from "./websocket/upgrade.js";

type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;
type UpgradeListener = (incoming: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** The listeners of this library: several apps may be attached to one server. */
const ours = new WeakSet<object>();
/** Sockets that one of them has taken. */
const taken = new WeakSet<Duplex>();
/** How many plain requests of a socket have no whole answer yet. */
const answering = new WeakMap<Duplex, number>();

/**
 * Has `acceptor` receive the upgrade requests of `server`, and `plain` its other requests if no other listener answers them.
 *
 * @returns what detaches them again.
 * @throws EnfiladeError `ERR_OPTION` when `server` is no HTTP server.
 */
export function attach(
  server: HttpServer | HttpsServer,
  acceptor: Acceptor,
  plain: RequestListener,
  refusalTime: RefusalTime,
): () => void {
  const given: unknown = server;
  if (!(given instanceof HttpServer || given instanceof HttpsServer)) {
    throw new EnfiladeError(
      "ERR_OPTION",
      "attach takes an http.Server or https.Server; with Express: const server = http.createServer(expressApp)",
    );
  }
  const onUpgrade: UpgradeListener = (incoming, socket, head) => {
    // Node has taken its own listener off: until somebody takes the socket over, a reset would end the process.
    socket.on("error", ignoreError);
    const alone = server.listenerCount("upgrade") === 1;
    if (!alone && taken.has(socket)) return;
    const found = isWebSocket(incoming) ? acceptor.find(incoming.url ?? "/") : refusal(426, "", upgradeHeaders);
    const refused = "status" in found;
    if (refused && answersElsewhere(server.listeners("upgrade"), onUpgrade)) return;
    if (!alone) taken.add(socket);
    // An earlier request on this socket is not answered yet: an answer written now would come before its answer.
    if (answering.has(socket)) socket.destroy();
    else receive(acceptor, new WebSocketTransport({ incoming, socket, head }, refusalTime), incoming, found);
  };
  const onRequest: RequestListener = (request, response) => {
    const { socket } = request;
    answering.set(socket, (answering.get(socket) ?? 0) + 1);
    response.once("close", () => answered(socket));
    if (response.headersSent) return;
    const refused = "status" in acceptor.find(request.url ?? "/");
    const listeners = server.listeners("request");
    if (refused ? !answersElsewhere(listeners, onRequest) : onlyOurs(listeners)) plain(request, response);
  };
  ours.add(onUpgrade).add(onRequest);
  server.on("upgrade", onUpgrade);
  server.on("request", onRequest);
  return () => {
    server.off("upgrade", onUpgrade);
    server.off("request", onRequest);
  };
}

function receive(
  acceptor: Acceptor,
  transport: WebSocketTransport,
  incoming: IncomingMessage,
  found: Destination | Refusal,
): void {
  const refusal = "status" in found ? found : handshakeFault(incoming);
  const { headers, socket, url = "/" } = incoming;
  const remoteAddress = socket.remoteAddress ?? "";
  if (refusal !== undefined) acceptor.refuse(transport, refusal, { url, headers, remoteAddress });
  else if ("match" in found) acceptor.accept(transport, requestOf(incoming, found.path), found.match);
}

/** The request of an upgrade; only what is needed of it, so that Node may free the rest. */
function requestOf(raw: IncomingMessage, path: RoomPath): ConnectionRequest {
  const { url = "/", headers, socket } = raw;
  const remoteAddress = socket.remoteAddress ?? "";
  return new ConnectionRequest({ url, path, headers, remoteAddress, secure: "encrypted" in socket, raw });
}

/** RFC 6455 4.2.1: the value is compared without regard to case. */
function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

/** Whether a listener that is not ours may answer, or one of ours that comes after this one. */
function answersElsewhere(listeners: readonly object[], own: object): boolean {
  return !onlyOurs(listeners) || listeners.at(-1) !== own;
}

function onlyOurs(listeners: readonly object[]): boolean {
  return listeners.every((listener) => ours.has(listener));
}

function answered(socket: Duplex): void {
  const left = (answering.get(socket) ?? 1) - 1;
  if (left === 0) answering.delete(socket);
  else answering.set(socket, left);
}

function ignoreError(): void {
  // A broken socket is told by its close event.
}
