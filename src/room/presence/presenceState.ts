import type { PresenceEntry, PresenceUpdate } from "../../backplane/backplane.js";
import { connectionKey, userKey } from "../../backplane/presenceKey.js";
import type { Timer } from "../../connection/clock.js";
import type { Member } from "../../protocol/dialect.js";
import type { PresenceMode } from "../roomConfig.js";

/** A user in a room, however many connections that takes; an anonymous connection counts as one. */
export interface PresentUser {
  /** The user's, or else the connection's. */
  readonly id: string;
  /** What `authorize` returned; of a user who is on other nodes alone, what `show` of the route's `presence` returns. */
  readonly user: unknown;
  /** On all nodes; 0 for a user who has just left and may return. */
  readonly connections: number;
}

/** Who is in a room. */
export interface PresenceState {
  readonly count: number;
  /** Counts up with every change; 0 where presence is off. */
  readonly version: number;
  /** Empty where only the count is kept. */
  readonly users: readonly PresentUser[];
}

/** From one version to the next. */
export interface PresenceChange {
  readonly version: number;
  readonly count: number;
  readonly joined: readonly PresentUser[];
  readonly left: readonly PresentUser[];
}

/** A user in one room, as this node sees it. */
export interface Entry {
  readonly key: string;
  readonly id: string;
  /** As on the newest connection. */
  user: unknown;
  /** What others are told of the user. */
  shown: unknown;
  /** Members of this node. */
  local: number;
  /** What other nodes have, by node. */
  others: Map<string, PresenceEntry> | undefined;
  leaving: Timer | undefined;
}

/** Who is among `members`, where nobody keeps count: without a version, and without those about to return. */
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

/** Who is in a room, as other nodes have it; without a version, since nobody follows it here. */
export function stateElsewhere(changes: readonly PresenceUpdate[], mode: PresenceMode): PresenceState {
  const entries = new Map<string, Entry>();
  for (const { node, key, entry: theirs } of changes) {
    if (theirs === undefined) continue;
    const entry = entries.get(key) ?? newEntry(key, theirs.id);
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

export function newEntry(key: string, id: string): Entry {
  return { key, id, user: undefined, shown: undefined, local: 0, others: undefined, leaving: undefined };
}

export function connectionsOf({ local, others }: Entry): number {
  if (others === undefined) return local;
  return [...others.values()].reduce((sum, { connections }) => sum + connections, local);
}

export function presentUser(entry: Entry): PresentUser {
  const { id, user } = entry;
  return { id, user, connections: connectionsOf(entry) };
}
