import type { PresenceChange, PresentUser } from "./presence/presenceState.js";
import type { Room } from "./room.js";

/** What a registry reports, by name. */
export interface RegistryEvents {
  /** A first member came, or a first subscription: the room exists. */
  room: [room: Room];
  /** The last member left, and nobody returned within the grace: the room is freed. */
  "room-empty": [room: Room];
  /** A user joined a room whose route has `presence`, on whatever node: emitted on exactly one node of the cluster. */
  join: [room: Room, user: PresentUser];
  /** The user has left, and has not returned within the grace: emitted on exactly one node of the cluster. */
  leave: [room: Room, user: PresentUser];
  /** The presence of a room changed as this node sees it, on whatever node; emitted on each that has the room open, once a tick. */
  presence: [room: Room, change: PresenceChange];
  /**
   * Publications to a room were lost between nodes, and are not kept any more. Clients of `enfilade.v1` are told by
   * themselves; a plain one is for the application to tell, or to close.
   */
  lagged: [room: Room, missed: number | undefined];
}

/** The names of all of them, as the type checks. */
export const registryEvents: Readonly<Record<keyof RegistryEvents, true>> = {
  ...{ room: true, "room-empty": true, join: true, leave: true, presence: true, lagged: true },
};
