import type { HistoryConfig, HistoryQuery } from "../backplane/backplane.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";

/** What an engine tells; none of it throws. */
export interface EngineEvents {
  /** Connected, anew or for the first time: it answers, and nothing is subscribed. */
  onUp(): void;
  /** Not connected any more, or an attempt failed; it goes on trying. */
  onDown(error: Error): void;
  /** @param position Of what was appended to the history of a room; of several, the first. */
  onMessage(channel: string, bytes: Uint8Array, position: Position | undefined): void;
  /** Something came on a channel of ours that is no message of this engine. */
  onMalformed(channel: string): void;
  /** A channel cannot be heard, for a reason that lasts. */
  onError(error: Error): void;
}

/** What is kept of a room, as the engine has it; see `Kept`. */
export interface EngineHistoryPage {
  readonly top: Position;
  readonly base: number;
  readonly entries: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

export interface EngineRoom {
  readonly path: RoomPath;
  readonly history: HistoryConfig;
}

/**
 * What carries bytes between nodes, and keeps them: Redis, NATS.
 *
 * The name of a channel is any text; that of a room's is its path. Every promise may be rejected at any time, and is
 * rejected soon after the connection is lost; nothing is queued for one that is not there. What one node publishes to one channel, or appends to one room, arrives in the
 * order of the calls, the two among each other as well, at every node that subscribed, at most once; the publisher too is told of it that way.
 */
export interface Engine {
  /** As errors and the status name it. */
  readonly name: string;
  /** Connects, and goes on connecting until `stop`. */
  start(events: EngineEvents): void;
  /** Lets go of a connection that does not answer, and connects anew. Tells `down`. */
  restart(reason: Error): void;
  subscribe(channels: readonly string[]): Promise<unknown>;
  unsubscribe(channels: readonly string[]): Promise<unknown>;
  publish(channel: string, bytes: Uint8Array): Promise<unknown>;
  /** How many publications {@link append} takes at once. */
  readonly appendMax: number;
  /**
   * Numbers and keeps publications to a room, and publishes them to the room's channel, joined as `joinParcels` does where
   * they are several. Resolves with the position of the first; the others are numbered behind it.
   */
  append(room: EngineRoom, publications: readonly Uint8Array[]): Promise<Position>;
  read(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<EngineHistoryPage>;
  /** The position of the last publication, and holds on to it: whoever asks is there. */
  top(room: EngineRoom): Promise<Position>;
  /** Whether an error is an answer: the engine is there, and said no. */
  refuses(error: Error): boolean;
  /** Lets go of what is left of rooms that nobody needs any more; called now and then. */
  tidy?(): Promise<void>;
  /** Ends every connection, after what was published has left. */
  stop(): Promise<void>;
}
