import { isConnectionId } from "../../backplane/connectionId.js";
import {
  isRoom,
  isTree,
  type RevokedTopic,
  revokedTopic,
  type Topic,
  type UserAddress,
  userIdOf,
  userTopic,
} from "../../backplane/topic.js";
import { EnfiladeError } from "../../errors.js";

/**
 * Whose access `app.revoke()` ends: a user, by id or as `authorize` returned it; one connection, by id or itself; or
 * all connections in a room, or in a tree such as `/org/7/**`.
 */
export type Revocation =
  | { readonly user: UserAddress }
  | { readonly connection: string | { readonly id: string } }
  | { readonly room: string };

const expected = 'revoke takes one of { user: "7" }, { connection: id } and { room: "/chat/a" }';

/**
 * The topic of the connections to close.
 *
 * @param topicOf The topic of a room or a tree.
 * @throws EnfiladeError `ERR_OPTION` for anything else; `ERR_USER` for an invalid id; errors of `topicOf`.
 */
export function revokedTopicOf(whose: Revocation, topicOf: (path: string) => Topic): RevokedTopic {
  const given: unknown = whose;
  if (typeof given !== "object" || given === null) throw badRevocation(given === null ? "null" : typeof given);
  const names = Object.keys(given);
  const [name = ""] = names;
  if (names.length !== 1 || Reflect.get(given, name) == null) throw badRevocation(`{ ${names.join(", ")} }`);
  if ("user" in whose) return revokedTopic({ user: userIdOf(userTopic(whose.user)) });
  if ("connection" in whose) return revokedTopic({ connection: connectionIdOf(whose.connection) });
  const room = "room" in whose ? topicOf(whose.room) : undefined;
  if (room !== undefined && (isRoom(room) || isTree(room))) return revokedTopic({ room });
  throw badRevocation(`{ ${name} }`);
}

function connectionIdOf(connection: string | { readonly id: string }): string {
  const id: unknown = typeof connection === "string" ? connection : connection.id;
  if (typeof id === "string" && isConnectionId(id)) return id;
  throw badRevocation("a connection without the id of one");
}

function badRevocation(came: string): EnfiladeError {
  return new EnfiladeError("ERR_OPTION", `${expected}, got ${came}`);
}
