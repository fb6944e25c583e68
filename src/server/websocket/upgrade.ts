import { type IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../../connection/clock.js";
import type { Refusal } from "../../connection/transport.js";
import { refusal, upgradeHeaders } from "../refusal.js";

/** An upgrade request that is not answered yet. */
export interface UpgradeRequest {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex & { readonly bytesRead?: number };
  readonly head: Buffer;
}

/** Time for a refused client to read its answer. */
export interface RefusalTime {
  readonly clock: Clock;
  readonly closeMs: number;
}

/** What makes a request no handshake of RFC 6455 4.2.1, said before any hook is asked. */
export function handshakeFault({ method, headers }: IncomingMessage): Refusal | undefined {
  if (method !== "GET") return refusal(405, "", { allow: "GET" });
  if (!/^[+/\dA-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "")) return refusal(400, "No Sec-WebSocket-Key");
  if (headers["sec-websocket-version"] === "13") return undefined;
  // RFC 6455 4.4: the answer names the version that is spoken.
  return refusal(426, "", { ...upgradeHeaders, "sec-websocket-version": "13" });
}

/** Answers an upgrade request on its raw socket, and sees to it that the socket ends. */
export function writeRefusal(
  { incoming, socket }: UpgradeRequest,
  { status, headers, body }: Refusal,
  { clock, closeMs }: RefusalTime,
): void {
  if (socket.destroyed) return;
  const response = new ServerResponse(incoming);
  response.shouldKeepAlive = false;
  // First, since it throws for a header that HTTP does not allow: the socket is then still free for another answer.
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  // Node types it for the sockets of its own server; it only writes to what it is given.
  response.assignSocket(socket as Parameters<typeof response.assignSocket>[0]);
  response.end(body, () => {
    response.detachSocket(socket as Parameters<typeof response.detachSocket>[0]);
    socket.end();
  });
  // What the client sent meanwhile is read: closing a socket with unread bytes resets it, and may take the answer along.
  socket.resume();
  const timer = clock.setTimeout(() => socket.destroy(), closeMs);
  socket.once("close", () => timer.cancel());
}
