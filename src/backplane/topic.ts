import { EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";

/**
 * What is published to: a room by its path, or one of the audiences that no path names.
 *
 * Room paths begin with a slash, so the kinds cannot be taken for one another. `below:/org/7` is the room `/org/7` and
 * every room below it.
 */
export type Topic = RoomPath | "all" | `user:${string}` | `channel:${string}` | `below:${RoomPath}`;

/** A path as a caller writes it begins like a room's name; as a topic it then is one. */
export function isRoom(topic: string): topic is RoomPath {
  return topic.startsWith("/");
}

/** A room and all below it. */
export type TreeTopic = `below:${RoomPath}`;

export function isTree(topic: Topic): topic is TreeTopic {
  return topic.startsWith("below:");
}

/** The room that a tree begins with. */
export function baseOf(topic: TreeTopic): RoomPath {
  // What follows the prefix is a room path by its type, which slice() forgets.
  return topic.slice("below:".length) as RoomPath;
}

/** A tree as callers write it. */
export function patternOf(topic: TreeTopic): string {
  const base = baseOf(topic);
  return base === "/" ? "/**" : `${base}/**`;
}

/** @throws EnfiladeError `ERR_USER` for what names no user. */
export function userTopic(user: string | { readonly id: string }): Topic {
  const id: unknown = typeof user === "string" ? user : user?.id;
  if (typeof id === "string") return `user:${id}`;
  const came = typeof user === "object" ? `an object whose id is ${typeof id}` : typeof user;
  throw new EnfiladeError("ERR_USER", `a user is an id, a string, or an object with one; got ${came}`);
}
