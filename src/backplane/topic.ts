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

/** @throws EnfiladeError `ERR_USER` when `user` is neither an id nor an object with one. */
export function userTopic(user: string | { readonly id: string }): UserTopic {
  const id: unknown = typeof user === "string" ? user : user?.id;
  if (typeof id === "string") return `user:${id}`;
  const came = typeof user === "object" ? `an object whose id is ${typeof id}` : typeof user;
  throw new EnfiladeError("ERR_USER", `a user is an id, a string, or an object with one; got ${came}`);
}
