import { isRoom, type Topic } from "../backplane/topic.js";
import type { RoomPath } from "../wire/path.js";

/** The channel of messages to a tree of rooms, and of revoked access. Every node subscribes to it. */
export const treesChannel = "trees";
/** The channel of heartbeats. Every node subscribes to it. */
export const nodesChannel = "nodes";

const nodePrefix = "node:";
const presencePrefix = "presence:";

/** The channel of one node. */
export function nodeChannel(id: string): string {
  return nodePrefix + id;
}

/** The channel of the nodes that have a room with presence open. */
export function presenceChannel(path: RoomPath): string {
  return presencePrefix + path;
}

/** Returns true if a channel carries signals between nodes, not messages for members. */
export function carriesSignals(channel: string): boolean {
  return channel === nodesChannel || channel.startsWith(nodePrefix) || channel.startsWith(presencePrefix);
}

/** The room of a presence channel; `undefined` for any other channel. */
export function roomOfPresence(channel: string): RoomPath | undefined {
  const path = channel.startsWith(presencePrefix) ? channel.slice(presencePrefix.length) : "";
  return isRoom(path) ? path : undefined;
}

/**
 * The channel of a topic. The id of a user may contain half a surrogate pair. UTF-8 cannot encode it, and would give
 * two such ids the same channel; so it is escaped.
 */
export function channelOf(topic: Topic): string {
  return /\p{Surrogate}/u.test(topic) ? `json:${JSON.stringify(topic)}` : topic;
}
