import type { Clock } from "../connection/clock.js";
import type { PeerLimits } from "../connection/limits.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import type { Counts } from "./counts.js";
import type { Delivery, HistoryConfig } from "./delivery.js";
import type { BackplaneLimits } from "./limits.js";
import type { Topic } from "./topic.js";

export type { HistoryConfig } from "./delivery.js";

/** A part of a room's history. */
export interface HistoryPage {
  /** The position of the last publication; offset 0 before the first. */
  readonly top: Position;
  /** The offset at which the epoch of `top` began, if not 0: what is before it was published in an older epoch. */
  readonly base?: number | undefined;
  /** The last offset that was read, if entries after the last delivery could not be decoded. */
  readonly readTo?: number | undefined;
  /** In the order of their offsets, without a gap between them. */
  readonly deliveries: readonly Delivery[];
}

export interface HistoryQuery {
  /** Only what came after this position. For a position of another epoch, or one that is not reached yet: everything. */
  readonly since?: Position | undefined;
  /** The maximum: of the first ones after `since`, or else of the last ones. */
  readonly limit: number;
}

/** Publications to a room that this node has missed and that are no longer kept. */
export interface Gap {
  /** The last of them: delivery continues with the publication after it. */
  readonly position: Position;
  /** How many; `undefined` if not known. */
  readonly missed: number | undefined;
}

/** Closes all members of a topic. */
export interface CloseCommand {
  readonly code: number;
  readonly reason: string;
}

/** Takes members out of a room without closing them. */
export interface EvictCommand {
  /** One connection by its id, or all connections of a user. */
  readonly who: { readonly connection: string } | { readonly user: string };
  /** At most 123 bytes of UTF-8, as a close reason. */
  readonly reason: string;
}

/** A user in a room, as one node has it. */
export interface PresenceEntry {
  readonly id: string;
  /** What is shown of the user; JSON. */
  readonly shown?: unknown;
  /** Connections of that node; never 0. */
  readonly connections: number;
}

/** The nodes that have a room with presence open. A node has another id after each start. */
export interface RoomNodes {
  readonly self: string;
  readonly others: readonly string[];
}

/** What another node has of one user in a room; without `entry`: no longer anything. */
export interface PresenceUpdate {
  /** The id of the node. */
  readonly node: string;
  readonly key: string;
  readonly entry: PresenceEntry | undefined;
}

/** Reports that a user joined a room or left it. */
export type PresenceReport = (event: "join" | "leave") => void;

/** The state of the connection between nodes. */
export interface LinkStatus {
  /** `memory` for a single node, else the name of the engine. */
  readonly engine: string;
  /** `away` while the engine cannot be reached, and before the first connection. */
  readonly state: "up" | "away";
  /** Nodes of the cluster, this one included. */
  readonly nodes: number;
  /** Messages that this version does not understand; they were ignored. */
  readonly malformed: number;
  /** How often a room missed publications on this node and got them later. */
  readonly healed: number;
  /** How often publications were lost for good, and the members of the room notified. */
  readonly lagged: number;
  /** Publications that were rejected. */
  readonly unpublished: number;
}

/** The status of a backplane. */
export interface BackplaneStatus {
  /** Rooms with history in this process, and the bytes accounted for it. */
  readonly historyRooms: number;
  readonly historyBytes: number;
  /** How often the history of a room was dropped to make space for others. */
  readonly historyEvictions: number;
  readonly backplane: LinkStatus;
}

/** How a node receives from its backplane. No method throws. */
export interface Receiver {
  /** Delivers to the members of `topic` on this node. */
  onDelivery(topic: Topic, delivery: Delivery): void;
  /** Closes the members of `topic` on this node. */
  onCloseAll(topic: Topic, closing: CloseCommand): void;
  /** Takes members of a room on this node out of it. */
  onEvict(path: RoomPath, command: EvictCommand): void;
  /** Notifies the members of a room about lost publications. */
  onGap(path: RoomPath, gap: Gap): void;
  /** Takes changes of what other nodes have in a room. */
  onPresence(path: RoomPath, changes: readonly PresenceUpdate[]): void;
  onError(error: Error): void;
  /** The counts of this node. */
  counts(): Counts;
}

/** What a backplane gets from its app. */
export interface BackplaneContext {
  readonly clock: Clock;
  /** From 0 to 1, as `Math.random`. */
  readonly random: () => number;
  readonly limits: BackplaneLimits & Pick<PeerLimits, "outboxBytesMax">;
  readonly outage: BackplaneOutage;
}

/**
 * What happens to publications without history while the other nodes cannot be reached: they are rejected, or delivered on
 * this node alone.
 */
export type BackplaneOutage = "reject" | "local";

/**
 * Connects the topics of all nodes.
 *
 * The contract:
 * - A publication is delivered exactly once to every node that has its topic open, and one to `below:` to every node. The
 *   publishing node receives its own publication the same way, and not before its call.
 * - Publications and commands of one node to one topic arrive in the order of the calls. In rooms with history, those
 *   of all nodes arrive in the order of their offsets.
 * - What is lost between nodes is read from history, or reported with {@link Receiver.onGap}.
 */
export interface Backplane {
  /** Called once, before any other method. */
  start(receiver: Receiver, config: BackplaneContext): void;
  /**
   * Subscribes this node to `topic`. Returns a promise that resolves when it is subscribed and never rejects; `undefined`
   * when it is.
   *
   * A tree (`below:`) is opened for code that listens to all of its rooms. Publications to rooms of it that are not open are
   * then delivered too, where the backplane can: one of a single node does, one over an engine does not.
   *
   * @param history How much history the room keeps; `undefined`: none.
   */
  open(topic: Topic, history?: HistoryConfig): Promise<void> | undefined;
  /** Ends the subscription: the last member of this node left. */
  close(topic: Topic): void;
  /**
   * Resolves when the publication has been sent to every node that has `topic` open, with its position in a room with
   * history. Rejects with `ERR_BACKPLANE` when it was not sent, or when that is not known.
   */
  publish(topic: Topic, delivery: Delivery): Promise<Position | undefined>;
  /** Closes all members of `topic` on every node; resolves and rejects as {@link publish}. */
  closeAll(topic: Topic, closing: CloseCommand): Promise<void>;
  /** Takes members out of a room on every node; resolves and rejects as {@link publish}. */
  evict(path: RoomPath, command: EvictCommand): Promise<void>;
  /**
   * Reads the history of a room, as it is at some moment between the call and its answer. What is delivered to this node
   * after that moment follows without a gap. Rejects with `ERR_BACKPLANE`.
   */
  readHistory(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<HistoryPage>;
  /**
   * Tells the other nodes what this one has of a user in a room that is open here; without `entry`: no longer anything.
   * Returns a promise that resolves when it is known what the others have and never rejects; `undefined` when it is known.
   */
  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined;
  /**
   * Says that a user is now in a room that is open here, as this node sees it, or no longer. Of all nodes that say so,
   * exactly one has `report` called with "join", and one with "leave".
   */
  reportPresence(path: RoomPath, key: string, isPresent: boolean, report: PresenceReport): void;
  /** The nodes that have a room open that is open here, as far as this one knows. */
  nodesInRoom(path: RoomPath): RoomNodes;
  /** What the other nodes have in a room that is not open here, as far as they answer. Rejects with `ERR_BACKPLANE`. */
  readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]>;
  /** The counts of all other nodes in total. */
  countsElsewhere(): Counts;
  status(): BackplaneStatus;
  /** Called last: nothing is delivered after it. The backplane can be started again, with its history. */
  stop(): Promise<void>;
}
