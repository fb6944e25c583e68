import type { PresenceChange, PresentUser } from "./presence/presenceState.js";
import type { Room } from "./room.js";

/** The events of `registry.on()`, by name, with the arguments of their listeners. */
export interface RegistryEvents {
  /** A room was opened on this node, by its first member or its first subscription. */
  room: [room: Room];
  /** A room was freed on this node: it has no member or subscription, and no user returned within `leaveGraceMs`. */
  "room-empty": [room: Room];
  /** A user joined a room whose route has `presence`, on any node. Emitted on exactly one node. */
  join: [room: Room, user: PresentUser];
  /** A user left such a room and did not return within `leaveGraceMs`. Emitted on exactly one node. */
  leave: [room: Room, user: PresentUser];
  /** The presence of a room changed, on any node. Emitted on each node that has the room open, once per tick. */
  presence: [room: Room, change: PresenceChange];
  /**
   * Publications to a room were lost between nodes and are not in its history. `missed` is their number; `undefined` if
   * it is not known. Clients of `enfilade.v1` are notified by the library; the application can notify or close plain
   * clients.
   */
  lagged: [room: Room, missed: number | undefined];
}

/** The names of all events. */
export const registryEvents: Readonly<Record<keyof RegistryEvents, true>> = {
  room: true,
  "room-empty": true,
  join: true,
  leave: true,
  presence: true,
  lagged: true,
};
