import { EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";

/**
 * The address of a publication: a room by its path, everyone, a user, a channel, or a room and all rooms below it.
 *
 * Room paths begin with a slash, so the kinds cannot be confused. `below:/org/7` is the room `/org/7` and every room below
 * it.
 */
export type Topic = RoomPath | "all" | `user:${string}` | `channel:${string}` | `below:${RoomPath}`;

/** Every topic that begins with a slash is a room path. */
export function isRoom(topic: string): topic is RoomPath {
  return topic.startsWith("/");
}

/** A room and all rooms below it. */
export type TreeTopic = `below:${RoomPath}`;

export function isTree(topic: Topic): topic is TreeTopic {
  return topic.startsWith("below:");
}

/** The topmost room of a tree. */
export function baseOf(topic: TreeTopic): RoomPath {
  // By its type a room path follows the prefix; slice() returns any string.
  return topic.slice("below:".length) as RoomPath;
}

/** A tree as callers write it. */
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

/** The id of a user as an application has it. Ids are compared as text: `7` and `"7"` are the same user. */
export type UserId = string | number;

/** A user to send to: an id, or what `authorize` returned. */
export type UserAddress = UserId | { readonly id: UserId };

/** An id as a text; `undefined` for what is none, such as `NaN`. */
export function textOfUserId(id: unknown): string | undefined {
  if (typeof id === "string") return id;
  return typeof id === "number" && Number.isFinite(id) ? String(id) : undefined;
}

/** What came in place of an id. */
export function describeUserId(id: unknown): string {
  return typeof id === "number" ? String(id) : typeof id;
}

/** @throws EnfiladeError `ERR_USER` when `user` is neither an id nor an object with one. */
export function userTopic(user: UserAddress): UserTopic {
  const given: unknown = typeof user === "object" ? user?.id : user;
  const id = textOfUserId(given);
  if (id !== undefined) return `user:${id}`;
  const came = typeof user === "object" ? `an object whose id is ${describeUserId(given)}` : describeUserId(given);
  throw new EnfiladeError(
    "ERR_USER",
    `a user is an id, a string or a finite number, or an object with one; got ${came}`,
  );
}
