import { type IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../../connection/clock.js";
import type { Refusal } from "../../connection/transport.js";
import { isHost } from "../access/network.js";
import { refusal, upgradeHeaders } from "../refusal.js";
import { discardInput } from "./discard.js";
import { offeredSubprotocols } from "./subprotocols.js";

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

/** RFC 6455 4.2.1: the value is case-insensitive. */
export function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

/** Returns a refusal for a request that is not a valid handshake (RFC 6455 4.2.1). Called before any hook. */
export function handshakeRefusal(incoming: IncomingMessage): Refusal | undefined {
  const { method, headers, httpVersion } = incoming;
  if (!isWebSocket(incoming)) return refusal("request", 426, "", upgradeHeaders);
  if (method !== "GET") return refusal("request", 405, "", { allow: "GET" });
  // Node also accepts HTTP/1.0 and the text HTTP/2.0, which is no upgrade of HTTP/1.1.
  if (httpVersion !== "1.1") return refusal("request", 505);
  const fault = faultOf(incoming);
  if (fault !== undefined) return refusal("request", 400, fault);
  if (headers["sec-websocket-version"] === "13") return undefined;
  // RFC 6455 4.4: the answer names the supported version.
  return refusal("request", 426, "", { ...upgradeHeaders, "sec-websocket-version": "13" });
}

/** A fixed phrase for what is wrong with the header fields. */
function faultOf({ headers, rawHeaders }: IncomingMessage): string | undefined {
  // RFC 9112 3.2: exactly one Host. Node drops a second one.
  if (!isHost(headers.host ?? "") || countOf(rawHeaders, "host") !== 1) return "The Host is not valid";
  if (countOf(rawHeaders, "origin") > 1) return "More than one Origin";
  // The bytes of a body would be read as frames.
  if (Number(headers["content-length"] ?? 0) !== 0 || headers["transfer-encoding"] !== undefined)
    return "A handshake has no body";
  const connection = (headers.connection ?? "").toLowerCase().split(",");
  if (!connection.some((token) => token.trim() === "upgrade")) return "Connection has to be Upgrade";
  const isKey = /^[+/\dA-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "");
  if (!isKey) return "No Sec-WebSocket-Key";
  const isOffer = offeredSubprotocols(headers["sec-websocket-protocol"]) !== undefined;
  return isOffer ? undefined : "The Sec-WebSocket-Protocol is not valid";
}

/** How often a header was sent. Names and values alternate in the list. */
function countOf(rawHeaders: readonly string[], name: string): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const sent = rawHeaders[at];
    if (sent?.length === name.length && sent.toLowerCase() === name) count += 1;
  }
  return count;
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
  discardInput(socket);
  const timer = clock.setTimeout(() => socket.destroy(), closeMs);
  socket.once("close", () => timer.cancel());
}
