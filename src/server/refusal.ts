import { type IncomingMessage, type OutgoingHttpHeaders, ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../connection/clock.js";
import { HttpError } from "../errors.js";

/** An HTTP answer to a request that does not become a connection. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<OutgoingHttpHeaders>;
  readonly body: string | Uint8Array;
}

/** RFC 9110 15.5.22: a 426 names the protocol that is wanted. */
export const upgradeHeaders = { upgrade: "websocket", connection: "Upgrade" } as const;

/** A refusal in plain text; without a text it is the standard phrase of the status. */
export function refusal(status: number, text = "", headers: Readonly<Record<string, string>> = {}): Refusal {
  const body = text === "" ? (STATUS_CODES[status] ?? "Refused") : text;
  return { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers }, body };
}

export async function refusalOfResponse(response: Response): Promise<Refusal> {
  const headers: OutgoingHttpHeaders = Object.fromEntries(response.headers);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers["set-cookie"] = cookies;
  return { status: response.status, headers, body: new Uint8Array(await response.arrayBuffer()) };
}

/** `undefined` for an error that is none of the client's business. */
export function refusalOfError(error: unknown): Refusal | undefined {
  return error instanceof HttpError ? refusal(error.status, error.message, error.headers) : undefined;
}

/** Answers an upgrade request on its raw socket, and sees to it that the socket ends. */
export function refuse(
  incoming: IncomingMessage,
  socket: Duplex,
  { status, headers, body }: Refusal,
  clock: Clock,
  ms: number,
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
  const timer = clock.setTimeout(() => socket.destroy(), ms);
  socket.once("close", () => timer.cancel());
}
