import type { Clock } from "../connection/clock.js";
import type { PeerLimits } from "../connection/limits.js";
import type { RoomPath } from "../wire/path.js";
import type { Epoch, Gap, Position } from "../wire/position.js";
import type { Claims } from "./claims.js";
import type { Counts } from "./counts.js";
import type { Delivery, HistoryConfig } from "./delivery.js";
import type { BackplaneLimits } from "./limits.js";
import type { RevokedTopic, Topic } from "./topic.js";

export type { Epoch, Gap } from "../wire/position.js";
export type { HistoryConfig } from "./delivery.js";

/** A part of a room's history. */
export interface HistoryPage {
  /** The position of the last publication; offset 0 before the first. */
  readonly top: Position;
  /** The known epochs of the room, the oldest first; the last one is that of `top`. */
  readonly epochs: readonly Epoch[];
  /** The last offset that was read, if entries after the last delivery could not be decoded. */
  readonly readTo?: number | undefined;
  /** In the order of their offsets, without a gap between them. Each has a position in its own epoch. */
  readonly deliveries: readonly Delivery[];
}

/** A query for {@link Backplane.readHistory}. */
export interface HistoryQuery {
  /**
   * Only publications after this position, those of later epochs included. If it is of an unknown epoch, or not reached
   * yet: all publications of the epochs that began later, or of the last one if that cannot be told.
   */
  readonly since?: Position | undefined;
  /** The maximum number of publications: the first ones after `since`, or without `since` the last ones. */
  readonly limit: number;
  /** With `since`: the page may end before `limit`, once it has this many bytes. Default: no limit. */
  readonly bytesMax?: number | undefined;
}

/** Closes the connections of all members of a topic. */
export interface CloseCommand {
  /** 1000, or a code from 3000 to 4999. */
  readonly code: number;
  /** At most 123 bytes of UTF-8. */
  readonly reason: string;
}

/** Removes members from a room without closing their connections. */
export interface EvictCommand {
  /** The id of one connection, or the id of a user for all connections of this user. */
  readonly who: { readonly connection: string } | { readonly user: string };
  /** At most 123 bytes of UTF-8, as a close reason. */
  readonly reason: string;
}

/** A user in a room, with the connections of one node. */
export interface PresenceEntry {
  /** The id of the user; for an anonymous connection, the id of the connection. */
  readonly id: string;
  /** The result of `show` of the route's `presence` option, a JSON value; missing without `show`. */
  readonly shown?: unknown;
  /** How many connections the user has to the room on this node; at least 1. */
  readonly connections: number;
}

/** The nodes that have a room with presence open. A node gets a new id at each start. */
export interface RoomNodes {
  /** The id of this node. */
  readonly self: string;
  /** The ids of the other nodes that have the room open. */
  readonly others: readonly string[];
}

/** The presence of one user in a room on another node. */
export interface PresenceUpdate {
  /** The id of the node. */
  readonly node: string;
  /**
   * The key of the user in the room, the same on all nodes: `user:` and the id, or `connection:` and the id of an
   * anonymous connection.
   */
  readonly key: string;
  /** The current entry; `undefined` if the user is no longer in the room on this node. */
  readonly entry: PresenceEntry | undefined;
}

/** Reports once that a user joined or left a room. */
export type PresenceReport = (event: "join" | "leave") => void;

/** The state of the connection to the other nodes; `app.status().backplane`. */
export interface LinkStatus {
  /** `memory` for a single node; else the name of the engine, such as `redis`. */
  readonly engine: string;
  /**
   * `away` while the engine cannot be reached, and before the first connection; else `up`. Always `up` with one node.
   */
  readonly state: "up" | "away";
  /** Known nodes of the cluster, including this one. */
  readonly nodes: number;
  /** Messages from other nodes that this version could not decode; they were ignored. */
  readonly malformed: number;
  /** How often a room missed publications on this node and got them later. */
  readonly healed: number;
  /** How often publications were lost for good and the members of the room were notified. */
  readonly lagged: number;
  /** Publications that were rejected, since the engine could not be reached or did not answer in time. */
  readonly unpublished: number;
}

/** The status of a backplane. */
export interface BackplaneStatus {
  /** Rooms whose history is in the memory of this process; 0 with Redis or NATS, which keep it. */
  readonly historyRooms: number;
  /** The bytes accounted for the history in this process; see `historyBytesMax`. */
  readonly historyBytes: number;
  /** How often the history of a room was dropped to make space for other rooms. */
  readonly historyEvictions: number;
  /** The connection to the other nodes. */
  readonly backplane: LinkStatus;
}

/** Receives publications and commands from the backplane; the app implements it. No method throws. */
export interface Receiver {
  /** Delivers a message to the members of `topic` on this node. */
  onDelivery(topic: Topic, delivery: Delivery): void;
  /** Closes the connections of the members of `topic` on this node. */
  onCloseAll(topic: Topic | RevokedTopic, closing: CloseCommand): void;
  /** Removes members on this node from a room. */
  onEvict(path: RoomPath, command: EvictCommand): void;
  /** Notifies the members of a room on this node about lost publications, or about a new epoch (`missed` is 0). */
  onGap(path: RoomPath, gap: Gap): void;
  /** Applies changes of the presence on other nodes. */
  onPresence(path: RoomPath, changes: readonly PresenceUpdate[]): void;
  /** Reports an error that no caller receives, such as a failed subscription. The app emits it as `"error"`. */
  onError(error: Error): void;
  /** The counts of this node. */
  counts(): Counts;
}

/** The configuration that an app passes to its backplane. */
export interface BackplaneContext {
  /** The clock of the app; use it for all timers. */
  readonly clock: Clock;
  /** A random number of at least 0 and less than 1, as `Math.random`. It spreads the work of many nodes over time. */
  readonly random: () => number;
  /** The limits of the app that a backplane must apply. */
  readonly limits: BackplaneLimits & Pick<PeerLimits, "outboxBytesMax">;
  /** The option `backplaneOutage` of the app. */
  readonly outage: BackplaneOutage;
}

/**
 * The handling of publications without history while the engine cannot be reached: `reject` them with `ERR_BACKPLANE`
 * (the default), or deliver them on this node only (`local`).
 */
export type BackplaneOutage = "reject" | "local";

/**
 * Connects the rooms and other topics of all nodes. Use `redis()`, `nats()` or the default `MemoryBackplane`, or
 * implement `Engine` for another broker.
 *
 * Every implementation guarantees:
 * - A publication is delivered exactly once to every node that has its topic open. One to a tree (`below:`) is
 *   delivered to every node. The publishing node receives its own publications too, and not before the call.
 * - Publications and commands of one node to one topic arrive in the order of the calls. In rooms with history, the
 *   publications of all nodes arrive in the order of their offsets.
 * - Publications that are lost between nodes are read from history, or reported with {@link Receiver.onGap}.
 */
export interface Backplane {
  /**
   * Claims the frames of clients, so that only one node runs a frame that its client repeats. `undefined` for a single
   * node, and if frames are to be run once per node.
   */
  readonly claims?: Claims | undefined;
  /**
   * Called by an app before any other method. The next app may call it after `stop`.
   *
   * @throws EnfiladeError `ERR_OPTION` while another app uses the backplane.
   */
  start(receiver: Receiver, config: BackplaneContext): void;
  /**
   * Subscribes this node to `topic`. Returns `undefined` if the node is subscribed at once; else a promise that
   * resolves when it is, and never rejects.
   *
   * A tree (`below:`) is opened for code that subscribes to all of its rooms. `MemoryBackplane` then also delivers
   * publications to rooms of the tree that are not open; a backplane over an engine does not.
   *
   * @param history How much history the room keeps; `undefined`: none.
   */
  open(topic: Topic, history?: HistoryConfig): Promise<void> | undefined;
  /** Ends the subscription to `topic`; called when the last member on this node has left. */
  close(topic: Topic): void;
  /**
   * Publishes a message to all nodes that have `topic` open. Resolves when it has been sent, with its position if the
   * room keeps it as history. Rejects with `ERR_BACKPLANE` if it was not sent, or if it is unknown whether it was.
   */
  publish(topic: Topic, delivery: Delivery): Promise<Position | undefined>;
  /**
   * Closes the connections of all members of `topic` on every node. Resolves and rejects like {@link publish}.
   *
   * With a `RevokedTopic`, which is never opened, the command is delivered to every node.
   */
  closeAll(topic: Topic | RevokedTopic, closing: CloseCommand): Promise<void>;
  /** Removes members from a room on every node. Resolves and rejects like {@link publish}. */
  evict(path: RoomPath, command: EvictCommand): Promise<void>;
  /**
   * Reads the history of a room, as of some moment between the call and its result. Publications that are delivered to
   * this node after that moment follow without a gap. Rejects with `ERR_BACKPLANE` if the history cannot be read.
   */
  readHistory(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<HistoryPage>;
  /**
   * Announces the presence of a user on this node, in a room that is open here; without `entry`, its end.
   * Returns `undefined` if the presence on the other nodes is known; else a promise that resolves when it is, and never
   * rejects.
   */
  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined;
  /**
   * Called when, from the view of this node, a user has joined or left a room that is open here. The backplane calls
   * `report` on exactly one of the nodes that call this method: once with "join", and once with "leave".
   */
  reportPresence(path: RoomPath, key: string, isPresent: boolean, report: PresenceReport): void;
  /** The nodes that have a room open, as far as this node knows; the room is open here. */
  nodesInRoom(path: RoomPath): RoomNodes;
  /** Asks the other nodes for the presence in a room that is not open here. Rejects with `ERR_BACKPLANE` on failure. */
  readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]>;
  /** The sum of the counts of all other nodes. */
  countsElsewhere(): Counts;
  /** The state of the connection to the other nodes and of the history in memory; a part of `app.status()`. */
  status(): BackplaneStatus;
  /**
   * Resolves when a message of this node has passed the engine and come back, which shows that the engine works.
   * Called by `app.health()`, which limits the time. Missing if there is no engine.
   */
  readonly probe?: (() => Promise<void>) | undefined;
  /** Called last; nothing is delivered afterwards. The backplane keeps its history and can be started again. */
  stop(): Promise<void>;
}
