import type { ResumeFailure } from "../wire/frames.js";
import type { Position } from "../wire/position.js";
import type { ClientState, StateDetail } from "./connection/reconnector.js";
import type { Listeners } from "./listeners.js";
import type { ClientMessage } from "./messages/message.js";
import type { Presence } from "./presence.js";

/** A new connection continued where the last one ended: nothing was missed. */
export interface Recovered {
  /** Of the last publication that was received; the ones that were missed follow. */
  readonly position: Position;
}

/** Messages that may be missing. */
export interface Lost {
  /**
   * Of a new connection: `epoch` (the history was begun anew), `trimmed` (it does not reach back so far), `limit` (more was
   * missed than is replayed), `invalid`, `off` (there is none). On one connection: `jump` (the offsets had a gap) and `lagged`, both
   * since this client was slow, or publications were lost between nodes. On this side: `overflow`, more waited for a reader than is kept.
   */
  readonly reason: ResumeFailure | "jump" | "lagged" | "overflow";
  /** How many; `undefined` where the server does not know. With `off` there may have been none. */
  readonly missed: number | undefined;
}

/** Frames of this side that were given up before any connection took them. */
export interface Dropped {
  readonly count: number;
  /** `full`: more waited than may; `closed`: the room is closed. */
  readonly reason: "full" | "closed";
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

/** What a room reports inside as well. */
export interface InternalEvents extends RoomEvents {
  /** No more messages come. */
  end: [];
  /** A line for the log, for each frame and each state. */
  line: [line: string];
}

/** Where the parts of a room report. */
export type RoomListeners = Pick<Listeners<InternalEvents>, "tell">;

/** The names of what a room reports. */
export const roomEventNames = [
  "message",
  "state",
  "recovered",
  "lost",
  "presence",
  "dropped",
  "error",
] as const satisfies readonly (keyof RoomEvents)[];
