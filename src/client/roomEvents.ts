import type { Position } from "../wire/position.js";
import type { ClientState, StateDetail } from "./connection/reconnector.js";
import type { ClientMessage } from "./messages/message.js";
import type { Lost } from "./messages/messageQueue.js";
import type { Dropped } from "./messages/sendQueue.js";
import type { Presence } from "./presence.js";

/** A new connection continued where the last one ended: nothing was missed. */
export interface Recovered {
  /** Of the last publication that was received; the ones that were missed follow. */
  readonly position: Position;
}

/** What a room reports, and with which arguments. */
export interface RoomEvents {
  /** A message, in order. Held until there is a first listener or loop. */
  message: [message: ClientMessage];
  /** Another state, and what led to it. */
  state: [state: ClientState, detail: StateDetail];
  /** In order with the messages. */
  recovered: [recovered: Recovered];
  /** Messages may be missing, at this place in their order. */
  lost: [lost: Lost];
  /** Another presence; see {@link ClientRoom.presence}. */
  presence: [presence: Presence];
  /** Frames of this side were dropped. */
  dropped: [dropped: Dropped];
  /** A refusal that nobody awaited, an error that a listener threw, or a failure to get a token. */
  error: [error: Error];
}

const names: Readonly<Record<keyof RoomEvents, 1>> = {
  message: 1,
  state: 1,
  recovered: 1,
  lost: 1,
  presence: 1,
  dropped: 1,
  error: 1,
};

/** The names of the events of a room. */
export function roomEventNames(): readonly string[] {
  return Object.keys(names);
}
