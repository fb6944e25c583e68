import type { ResumeFailure } from "../wire/frames.js";
import type { Position } from "../wire/position.js";
import type { ClientState, StateDetail } from "./connection/reconnector.js";
import type { Listeners } from "./listeners.js";
import type { ClientMessage } from "./messages/message.js";
import type { Presence } from "./presence.js";

/** A new connection has resumed at the position of the last one: no message is missing. */
export interface Recovered {
  /** The position of the last publication before the reconnect. The publications after it follow as messages. */
  readonly position: Position;
}

/** Messages are missing, or may be. */
export interface Lost {
  /**
   * After a reconnect: `epoch` (the history has restarted), `trimmed` (the history no longer has the missed messages),
   * `limit` (more messages were missed than the server replays), `invalid` (the server could not read the position) or
   * `off` (the room has no history).
   *
   * On an open connection: `jump` (a gap in the offsets) or `lagged`: the server dropped messages because this client
   * was slow, or messages were lost between nodes.
   *
   * In this client: `overflow` (more than 1,000 messages, or 4 MiB of them, waited for a reader).
   */
  readonly reason: ResumeFailure | "jump" | "lagged" | "overflow";
  /** The number of missing messages; `undefined` if it is not known. With `off` it is possible that none is missing. */
  readonly missed: number | undefined;
  /** The room, if the handler joined it besides the room of this connection; else `undefined`. */
  readonly room?: string | undefined;
}

/** Outgoing messages and events that were dropped before they were sent. A request that is dropped rejects instead. */
export interface Dropped {
  /** The number of dropped messages. */
  readonly count: number;
  /** `full`: past `queueMessagesMax` or `queueBytesMax`; `closed`: the room was closed. */
  readonly reason: "full" | "closed";
}

/** The events of {@link ClientRoom.on}, with the arguments of their listeners. */
export interface RoomEvents {
  /** A message has arrived. Messages come in order, and wait until there is a first listener or loop. */
  message: [message: ClientMessage];
  /**
   * The state has changed. `detail` has the close code, the reason and the delay of the next attempt; see
   * {@link StateDetail}.
   */
  state: [state: ClientState, detail: StateDetail];
  /** A new connection has resumed without a loss. Called in order with the messages. */
  recovered: [recovered: Recovered];
  /** Messages are missing at this place in the order, or may be. */
  lost: [lost: Lost];
  /** The users in the room have changed; see {@link ClientRoom.presence}. */
  presence: [presence: Presence];
  /** Outgoing messages were dropped. */
  dropped: [dropped: Dropped];
  /**
   * An error that no caller receives: a {@link RequestError} for a message or event that the server refused, a
   * {@link ConnectError} for a refusal or an unreachable server, or the error of a listener, of `token` or of
   * `loadState`. Without a listener it is logged to the console.
   */
  error: [error: Error];
}

/** The events of a room, including those for its own parts. */
export interface InternalEvents extends RoomEvents {
  /** No more messages will arrive. */
  end: [];
  /** A line for the log, for each frame and each state. */
  line: [line: string];
}

/** Notifies the listeners of a room. */
export type RoomListeners = Pick<Listeners<InternalEvents>, "emit">;

export const roomEventNames = [
  "message",
  "state",
  "recovered",
  "lost",
  "presence",
  "dropped",
  "error",
] as const satisfies readonly (keyof RoomEvents)[];
