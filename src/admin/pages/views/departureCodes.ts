import type { Departure } from "../../api.js";

const closes = new Map<number, string>([
  [1000, "It had finished."],
  [1001, "It went away: a page was left, or a server was stopped."],
  [1002, "It broke the WebSocket protocol."],
  [1003, "The handler takes no binary messages."],
  [1005, "It was closed without a code."],
  [1006, "The connection broke, or the heartbeat found it dead."],
  [1007, "A message was not valid."],
  [1008, "Too many messages or fragments came at once, or a message took too long."],
  [1009, "A message was too large."],
  [1011, "The handler threw an error; see the errors."],
  [1012, "The server was being replaced."],
  [1013, "The server could not read the history, or check the credentials."],
  [4008, "The client read too slowly."],
  [4009, "The user has too many connections."],
  [4500, "The client broke enfilade.v1."],
  [4501, "The credentials were refused, or the access was revoked."],
  [4504, "No route matches the path."],
]);

const refusals = new Map<number, string>([
  [400, "The path or the request was not valid."],
  [401, "The credentials were missing or wrong."],
  [403, "The origin of the page may not connect, or the user may not."],
  [404, "No route matches the path."],
  [408, "The request did not arrive in time."],
  [426, "It was no WebSocket request."],
  [429, "Too many connections, or connects, of this address or user."],
  [500, "The application failed; see the errors."],
  [503, "The server is full, closing, or could not authorize in time."],
]);

/** The usual cause of a close code, or of the status of a refusal. */
export function explain({ kind, code }: Pick<Departure, "kind" | "code">): string {
  const known = (kind === "close" ? closes : refusals).get(code);
  return known ?? (kind === "close" ? "The application closed it." : "The application refused it.");
}
