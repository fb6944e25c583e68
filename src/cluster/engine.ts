import type { HistoryConfig, HistoryQuery } from "../backplane/backplane.js";
import type { RoomPath } from "../wire/path.js";
import type { Epoch, Position } from "../wire/position.js";
import type { EngineClaims } from "./claims/engineClaims.js";

/** Receives the events of an engine. No method throws. */
export interface EngineEvents {
  /** The engine is connected or reconnected, and answers. No channel is subscribed yet. */
  onUp(): void;
  /** The connection was lost, or an attempt to connect failed. The engine continues to try. */
  onDown(error: Error): void;
  /**
   * A message has arrived on a subscribed channel.
   *
   * @param position The position of an appended message, or of the first message of a batch; `undefined` for other
   * messages.
   */
  onMessage(channel: string, bytes: Uint8Array, position: Position | undefined): void;
  /** A message that this engine did not write has arrived on a subscribed channel. */
  onMalformed(channel: string): void;
  /** A channel cannot be subscribed, and another attempt would fail too. */
  onError(error: Error): void;
}

/** The end of a room's history, and its epochs. */
export interface EngineTop {
  /** The position of the last publication of the room. For a room without any: the epoch `""` and the offset 0. */
  readonly top: Position;
  /** The known epochs of the room, the oldest first; the last one is that of `top`. Empty for the epoch `""`. */
  readonly epochs: readonly Epoch[];
}

/** A page of history as the engine stores it; see `HistoryPage`. */
export interface EngineHistoryPage extends EngineTop {
  /** The publications, in the order of their offsets. */
  readonly entries: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** A room and the limits of its history. */
export interface EngineRoom {
  /** The path of the room; also the name of its channel. */
  readonly path: RoomPath;
  /** How much of the room's history the engine keeps. */
  readonly history: HistoryConfig;
  /**
   * The position of the last publication that this node has received; `undefined` if it knows none, if it does not have
   * the room open, and with `renumber`.
   */
  readonly seen?: Position | undefined;
}

/** The id of a publication that a caller may send again, and how long the engine has to recognise it. */
export interface PublicationId {
  /** 1 to 128 printable ASCII characters. */
  readonly id: string;
  /** The number of ids that are kept for a room. */
  readonly idsMax: number;
  /** The number of milliseconds that an id is kept. */
  readonly idsMs: number;
}

/**
 * Carries bytes between nodes and stores the history of rooms, such as Redis or NATS.
 *
 * The contract:
 * - The name of a channel is any text. The channel of a room is its path.
 * - Every promise may reject at any time, and rejects soon after the connection is lost. Nothing is queued while there
 * is no connection.
 * - The messages that one node publishes to one channel or appends to one room arrive in the order of these calls, of
 * both kinds. Each arrives at most once at every subscribed node, including the node that sent it.
 * - An engine that may have lost publications begins a new epoch in a room: after a restart, unless it promises to keep
 * everything, and when the last offset is below `seen` in the same epoch. Offsets continue from what is left. The last
 * 16 epochs of a room are kept, each with the offset where it began.
 */
export interface Engine {
  /** The name in errors and in the status, such as `redis`. */
  readonly name: string;
  /** Connects, and reconnects until {@link stop}. */
  start(events: EngineEvents): void;
  /** Drops a connection that does not answer, calls `onDown`, and connects again. */
  restart(reason: Error): void;
  /** Resolves when the channels are subscribed. */
  subscribe(channels: readonly string[]): Promise<unknown>;
  /** Resolves when the channels are unsubscribed. */
  unsubscribe(channels: readonly string[]): Promise<unknown>;
  /** Sends a message to all subscribed nodes. Resolves when the engine has accepted it. */
  publish(channel: string, bytes: Uint8Array): Promise<unknown>;
  /** The number of publications that one call of {@link append} accepts. */
  readonly appendMax: number;
  /** False if a call must have been answered before the next one to the same channel. Default: true. */
  readonly isPipelined?: boolean | undefined;
  /** The number of bytes of one message that the engine accepts. Default: no limit. */
  readonly messageBytesMax?: number | undefined;
  /**
   * Numbers publications to a room, stores them in its history, and publishes them to its channel. Several are
   * published as one batch of `joinNodeMessages`. Resolves with the position of the first one. The others have the
   * offsets after it.
   *
   * @param id The id of the only publication of the call. If the room has a recent one with this id, nothing is
   * published, and the promise resolves with the position of that one.
   */
  append(room: EngineRoom, publications: readonly Uint8Array[], id?: PublicationId): Promise<Position>;
  /**
   * Reads a part of the history of a room; see {@link Backplane.readHistory}. `since` with the epoch `""` is the
   * position before the first publication of the room.
   */
  read(room: EngineRoom, query: HistoryQuery): Promise<EngineHistoryPage>;
  /** Resolves with the end of the history, and marks a room that has publications as in use. */
  top(room: EngineRoom): Promise<EngineTop>;
  /** Keeps the number of publications that were lost when an epoch began, unless it is known. */
  confirmLost(room: EngineRoom, epoch: string, lost: number): Promise<unknown>;
  /** Begins a new epoch after `last`, if the current epoch is that of `last`: what follows was numbered again. */
  renumber(room: EngineRoom, last: Position): Promise<unknown>;
  /**
   * Claims frames of clients. Without it, each node recognizes only the repeated frames that it ran itself, so a frame
   * may be run once on each node.
   */
  readonly claims?: EngineClaims | undefined;
  /** Returns true for an error that is an answer of the engine: it can be reached, and refused the call. */
  refuses(error: Error): boolean;
  /** Removes the data of rooms that are no longer in use. Called about once per hour. */
  tidy?(): Promise<void>;
  /** Ends every connection, after all publications have been sent. */
  stop(): Promise<void>;
}
