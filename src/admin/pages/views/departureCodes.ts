import type { Departure, RefusalReason } from "../../api.js";

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

/** By the reason that the diagnostics channel `enfilade:refuse` has. */
const causes: Readonly<Record<RefusalReason, string>> = {
  request: "It was no valid WebSocket request.",
  path: "The path was not valid.",
  route: "No route matches the path.",
  params: "A parameter of the path does not fit its schema.",
  origin: "The origin of the page may not connect.",
  authorize: "The application refused it: the credentials were missing or wrong.",
  revoked: "The access of the user was revoked.",
  timeout: "The application could not check the credentials in time.",
  error: "The application failed; see the errors.",
  rate: "Too many connects from this address.",
  address: "Too many connections from this address.",
  user: "Too many connections of this user.",
  connections: "The node is full.",
  handshakes: "The application checked too many credentials at once.",
  rooms: "The node has too many rooms.",
  draining: "The node was draining.",
  closing: "The node was closing.",
};
const refusals = new Map(Object.entries(causes));

/** The usual cause of a close code, or of the reason of a refusal. */
export function explain({ kind, code, reason }: Pick<Departure, "kind" | "code" | "reason">): string {
  if (kind === "refusal") return refusals.get(reason) ?? "The application refused it.";
  return closes.get(code) ?? "The application closed it.";
}
