import { isRoom, type Topic } from "../backplane/topic.js";
import type { RoomPath } from "../wire/path.js";

/** Every node subscribes to it: messages for a room and all rooms below it. */
export const treesChannel = "trees";
/** Every node subscribes to it: heartbeats. */
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

/** Whether a channel carries signals between nodes, and no messages for members. */
export function carriesSignals(channel: string): boolean {
  return channel === nodesChannel || channel.startsWith(nodePrefix) || channel.startsWith(presencePrefix);
}

/** The room of a presence channel; `undefined` for any other channel. */
export function roomOfPresence(channel: string): RoomPath | undefined {
  const path = channel.startsWith(presencePrefix) ? channel.slice(presencePrefix.length) : "";
  return isRoom(path) ? path : undefined;
}

/** Ids of users may contain half a surrogate pair, which UTF-8 cannot encode: two of them must not become one channel. */
export function channelOf(topic: Topic): string {
  return /\p{Surrogate}/u.test(topic) ? `json:${JSON.stringify(topic)}` : topic;
}
