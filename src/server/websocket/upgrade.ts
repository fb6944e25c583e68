import { type IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../../connection/clock.js";
import type { Refusal } from "../../connection/transport.js";
import { refusal, upgradeHeaders } from "../refusal.js";

/** An upgrade request without an answer. */
export interface UpgradeRequest {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex & { readonly bytesRead?: number };
  readonly head: Buffer;
}

/** The time that a refused client has to read its answer. */
export interface RefusalTime {
  readonly clock: Clock;
  readonly closeMs: number;
}

/** Returns a refusal for a request that is not a valid handshake (RFC 6455 4.2.1). Called before any hook. */
export function handshakeRefusal({ method, headers }: IncomingMessage): Refusal | undefined {
  if (method !== "GET") return refusal(405, "", { allow: "GET" });
  if (!/^[+/\dA-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "")) return refusal(400, "No Sec-WebSocket-Key");
  if (headers["sec-websocket-version"] === "13") return undefined;
  // RFC 6455 4.4: the answer names the supported version.
  return refusal(426, "", { ...upgradeHeaders, "sec-websocket-version": "13" });
}

/** Answers an upgrade request on its raw socket, and ends the socket after `closeMs` at the latest. */
export function writeRefusal(
  { incoming, socket }: UpgradeRequest,
  { status, headers, body }: Refusal,
  { clock, closeMs }: RefusalTime,
): void {
  if (socket.destroyed) return;
  const response = new ServerResponse(incoming);
  response.shouldKeepAlive = false;
  // Throws for a header that HTTP does not allow. Called first, so that another answer can still be written.
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  // Node's type demands a net.Socket, but the method only writes to the stream.
  response.assignSocket(socket as Parameters<typeof response.assignSocket>[0]);
  response.end(body, () => {
    response.detachSocket(socket as Parameters<typeof response.detachSocket>[0]);
    socket.end();
  });
  // Reads the remaining bytes of the client: closing a socket with unread bytes resets it, and may discard the answer.
  socket.resume();
  const timer = clock.setTimeout(() => socket.destroy(), closeMs);
  socket.once("close", () => timer.cancel());
}
