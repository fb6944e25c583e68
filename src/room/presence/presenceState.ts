import type { PresenceEntry, PresenceUpdate } from "../../backplane/backplane.js";
import { connectionKey, userKey } from "../../backplane/presenceKey.js";
import type { Member } from "../../protocol/dialect.js";
import type { PresenceMode } from "../roomConfig.js";

/** A user in a room; all connections of the user count as one. An anonymous connection counts as a user of its own. */
export interface PresentUser {
  /** The id of the user, as text; of the connection if it is anonymous. */
  readonly id: string;
  /** The user that `authorize` returned; if the user is only on other nodes, the result of `presence.show`. */
  readonly user: unknown;
  /** The number of the user's connections to the room, on all nodes; 0 for a user who has just left and may return. */
  readonly connections: number;
}

/** The presence of a room: the result of `room.presence()`. */
export interface PresenceState {
  /** The number of users; an anonymous connection counts as one. */
  readonly count: number;
  /** Increases by one with each change; 0 if presence is off, or if the room is open on other nodes only. */
  readonly version: number;
  /** The users; empty with the mode `"count"`. */
  readonly users: readonly PresentUser[];
}

/** A change of presence, from one version to the next. */
export interface PresenceChange {
  /** The version after the change. */
  readonly version: number;
  /** The number of users after the change. */
  readonly count: number;
  /** Users who joined. */
  readonly joined: readonly PresentUser[];
  /** Users who left and did not return within `leaveGraceMs`. */
  readonly left: readonly PresentUser[];
}

/** The state of one user in one room, on this node. */
export interface UserEntry {
  readonly key: string;
  readonly id: string;
  /** The user of the newest connection. */
  user: unknown;
  /** The part of the user that others see. */
  shown: unknown;
  /** The number of connections on this node. */
  local: number;
  /** Entries of other nodes, by node. */
  others: Map<string, PresenceEntry> | undefined;
}

/** The presence of a room whose presence is off, counted from its members; the version is 0. */
export function stateOf(members: Iterable<Member>, userIdOf: (id: string) => string | undefined): PresenceState {
  const entries = new Map<string, PresentUser>();
  for (const member of members) {
    const userId = userIdOf(member.id);
    const key = keyOf(member, userId);
    const { id = userId ?? member.id, user = member.user, connections = 0 } = entries.get(key) ?? {};
    entries.set(key, { id, user, connections: connections + 1 });
  }
  return { count: entries.size, version: 0, users: [...entries.values()] };
}

/** The presence of a room that is open on other nodes only; the version is 0. */
export function stateElsewhere(changes: readonly PresenceUpdate[], mode: PresenceMode): PresenceState {
  const entries = new Map<string, UserEntry>();
  for (const { node, key, entry: theirs } of changes) {
    if (theirs === undefined) continue;
    const entry = entries.get(key) ?? newUserEntry(key, theirs.id);
    entries.set(key, entry);
    entry.user = theirs.shown;
    entry.others ??= new Map();
    entry.others.set(node, theirs);
  }
  return { count: entries.size, version: 0, users: mode === "full" ? [...entries.values()].map(presentUser) : [] };
}

export function keyOf(member: Member, userId: string | undefined): string {
  return userId === undefined ? connectionKey(member.id) : userKey(userId);
}

export function newUserEntry(key: string, id: string): UserEntry {
  return { key, id, user: undefined, shown: undefined, local: 0, others: undefined };
}

export function connectionsOf({ local, others }: UserEntry): number {
  if (others === undefined) return local;
  return [...others.values()].reduce((sum, { connections }) => sum + connections, local);
}

/** The user as others see it. */
export function shownUser(entry: UserEntry): PresentUser {
  const { id, shown } = entry;
  return { id, user: shown, connections: connectionsOf(entry) };
}

export function presentUser(entry: UserEntry): PresentUser {
  const { id, user } = entry;
  return { id, user, connections: connectionsOf(entry) };
}
