import { EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";

/**
 * The address of a publication: a room (its path), all connections (`all`), a user (`user:ann`), a channel
 * (`channel:main`), or a tree (`below:/org/7`: the room `/org/7` and all rooms below it).
 *
 * Room paths begin with a slash, so the kinds cannot be confused.
 */
export type Topic = RoomPath | "all" | `user:${string}` | `channel:${string}` | `below:${RoomPath}`;

/** Whether `topic` is a room path: only these begin with a slash. */
export function isRoom(topic: string): topic is RoomPath {
  return topic.startsWith("/");
}

/** The topic of a tree: a room and all rooms below it. */
export type TreeTopic = `below:${RoomPath}`;

export function isTree(topic: Topic): topic is TreeTopic {
  return topic.startsWith("below:");
}

/** Clients whose access is revoked. Only {@link Backplane.closeAll} takes it, for every node. */
export type RevokedTopic = `revoked:${"user" | "connection" | "room"}:${string}`;

/** The clients of a {@link RevokedTopic}: all of a user, one connection, or all in a room or a tree. */
export type RevokedClients =
  | { readonly user: string }
  | { readonly connection: string }
  | { readonly room: RoomPath | TreeTopic };

const revokedPattern = /^revoked:(user|connection|room):(.*)$/s;

export function revokedTopic(clients: RevokedClients): RevokedTopic {
  if ("user" in clients) return `revoked:user:${clients.user}`;
  return "room" in clients ? `revoked:room:${clients.room}` : `revoked:connection:${clients.connection}`;
}

export function isRevoked(topic: string): topic is RevokedTopic {
  return revokedPattern.test(topic);
}

export function revokedClientsOf(topic: RevokedTopic): RevokedClients {
  const [, kind, name = ""] = revokedPattern.exec(topic) ?? [];
  if (kind === "user") return { user: name };
  if (kind === "connection") return { connection: name };
  // The cast is safe: `revokedTopic` has made it of one of these, and the room of any other text has no members.
  return { room: name as RoomPath | TreeTopic };
}

/** The top room of a tree. */
export function baseOf(topic: TreeTopic): RoomPath {
  // The cast is safe: the type of `topic` has a room path after the prefix.
  return topic.slice("below:".length) as RoomPath;
}

/** The pattern of a tree, as callers write it: `/org/7/**`. */
export function patternOf(topic: TreeTopic): string {
  const base = baseOf(topic);
  return base === "/" ? "/**" : `${base}/**`;
}

const userPrefix = "user:";

/** The topic of a user. */
export type UserTopic = `user:${string}`;

export function isUser(topic: Topic): topic is UserTopic {
  return topic.startsWith(userPrefix);
}

export function userIdOf(topic: UserTopic): string {
  return topic.slice(userPrefix.length);
}

/** The id of a user. Ids are compared as strings: `7` and `"7"` are the same user. */
export type UserId = string | number;

/** A user to send to: an id, or the object that `authorize` returned. */
export type UserAddress = UserId | { readonly id: UserId };

/** The id as a string; `undefined` if it is invalid, such as `NaN`. */
export function textOfUserId(id: unknown): string | undefined {
  if (typeof id === "string") return id;
  return typeof id === "number" && Number.isFinite(id) ? String(id) : undefined;
}

/** Describes an invalid id for an error message. */
export function describeUserId(id: unknown): string {
  return typeof id === "number" ? String(id) : typeof id;
}

/** @throws EnfiladeError `ERR_USER` when `user` is neither an id nor an object with an id. */
export function userTopic(user: UserAddress): UserTopic {
  const given: unknown = typeof user === "object" ? user?.id : user;
  const id = textOfUserId(given);
  if (id !== undefined) return `user:${id}`;
  const came = typeof user === "object" ? `an object whose id is ${describeUserId(given)}` : describeUserId(given);
  throw new EnfiladeError("ERR_USER", `a user is a string, a finite number, or an object with such an id; got ${came}`);
}
