import type { HistoryConfig, HistoryQuery } from "../backplane/backplane.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";

/** What an engine reports. None of it throws. */
export interface EngineEvents {
  /** Connected or reconnected: the engine answers, and nothing is subscribed yet. */
  onUp(): void;
  /** The connection was lost, or an attempt to connect failed. The engine keeps trying. */
  onDown(error: Error): void;
  /** @param position Given for what was appended to the history of a room; for a batch, that of the first message. */
  onMessage(channel: string, bytes: Uint8Array, position: Position | undefined): void;
  /** A message arrived on one of our channels that this engine did not write. */
  onMalformed(channel: string): void;
  /** A channel cannot be subscribed, for a reason that lasts. */
  onError(error: Error): void;
}

/** A page of history as the engine stores it; see `HistoryPage`. */
export interface EngineHistoryPage {
  readonly top: Position;
  readonly base: number;
  readonly entries: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** A room and how much of it is kept. */
export interface EngineRoom {
  readonly path: RoomPath;
  readonly history: HistoryConfig;
}

/**
 * Carries bytes between nodes and keeps them: Redis, NATS.
 *
 * The contract:
 * - The name of a channel is any text. The channel of a room is its path.
 * - Every promise may reject at any time, and rejects soon after the connection is lost. Nothing is queued while there is
 *   no connection.
 * - What one node publishes to one channel, or appends to one room, arrives in the order of the calls, both kinds in one
 *   order. It arrives at most once at every node that has subscribed, the publisher included.
 */
export interface Engine {
  /** For errors and the status, such as `redis`. */
  readonly name: string;
  /** Connects, and keeps reconnecting until {@link stop}. */
  start(events: EngineEvents): void;
  /** Drops a connection that does not answer, calls `onDown`, and connects again. */
  restart(reason: Error): void;
  subscribe(channels: readonly string[]): Promise<unknown>;
  unsubscribe(channels: readonly string[]): Promise<unknown>;
  publish(channel: string, bytes: Uint8Array): Promise<unknown>;
  /** How many publications {@link append} takes at once. */
  readonly appendMax: number;
  /**
   * Numbers publications to a room, keeps them, and publishes them to the room's channel; several as one batch, joined by
   * `joinNodeMessages`. Resolves with the position of the first; the others follow it.
   */
  append(room: EngineRoom, publications: readonly Uint8Array[]): Promise<Position>;
  read(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<EngineHistoryPage>;
  /** Resolves with the position of the last publication, and marks the room as in use. */
  top(room: EngineRoom): Promise<Position>;
  /** Whether an error is an answer: the engine can be reached, and refused. */
  refuses(error: Error): boolean;
  /** Removes what is left of rooms that are no longer used. Called now and then. */
  tidy?(): Promise<void>;
  /** Ends every connection, after what was published has been sent. */
  stop(): Promise<void>;
}
