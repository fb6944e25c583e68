/** What the errors of ws and of Node mean for a user who typed a URL. */
const meanings: readonly (readonly [error: RegExp, meaning: string])[] = [
  [/^Unexpected server response: (\d+)$/, "the server answered with HTTP $1, and opened no WebSocket"],
  [/^connect ECONNREFUSED (.*)$/, "no server listens at $1"],
  [/^ECONNREFUSED$/, "no server listens at this host and port"],
  [/^getaddrinfo \w+ (.*)$/, "no address is known for the host $1"],
  [/wrong version number|packet length too long/i, "the server has no TLS at this port; use ws:// or http://"],
  [/^(?:socket hang up|(?:read |write )?ECONNRESET)$/, "the server closed the connection without an answer"],
  [/^Parse Error/, "the server does not speak HTTP"],
  [/^Opening handshake has timed out$/, "the server did not answer in time"],
  [/^Server sent no subprotocol$/, "the server does not speak enfilade.v1; use --plain"],
];

/** Why a WebSocket failed, in words, from the message of its error. */
export function meaningOf(message: string): string {
  for (const [error, meaning] of meanings) {
    const match = error.exec(message);
    if (match) return meaning.replace("$1", () => match[1] ?? "");
  }
  return message;
}

/** The message of the error of a WebSocket. An error of several addresses has an empty one, but a code. */
export function messageOf(error: Error & { readonly code?: string }): string {
  return error.message || error.code || "no connection";
}
