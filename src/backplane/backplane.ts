import type { Clock } from "../connection/clock.js";
import type { PeerLimits } from "../connection/limits.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import type { Counts } from "./counts.js";
import type { Delivery, HistoryConfig } from "./delivery.js";
import type { BackplaneLimits } from "./limits.js";
import type { Topic } from "./topic.js";

export type { HistoryConfig } from "./delivery.js";

/** What is kept of a room. */
export interface HistoryPage {
  /** The position of the last publication; offset 0 before the first. */
  readonly top: Position;
  /** The offset at which the epoch of `top` began, where that is not 0: what is before it was published in an older one. */
  readonly base?: number | undefined;
  /** The last offset that was read, where something behind the last delivery could not be understood. */
  readonly readTo?: number | undefined;
  /** In the order of their offsets, without a gap between them. */
  readonly deliveries: readonly Delivery[];
}

export interface HistoryQuery {
  /** Only what came after this position. Of another epoch, or one that is not reached yet: everything. */
  readonly since?: Position | undefined;
  /** How many at most: the first ones after `since`, or else the last ones. */
  readonly limit: number;
}

/** Publications of a room that this node never got, and that are not kept any more. */
export interface Gap {
  /** Everything of the room up to here is lost that was not delivered; the next one delivered is the next after it. */
  readonly position: Position;
  /** How many; `undefined` when that is not known. */
  readonly missed: number | undefined;
}

/** How everyone who is in a topic is closed. */
export interface CloseCommand {
  readonly code: number;
  readonly reason: string;
}

/** A user in a room, as another node has it. */
export interface PresenceEntry {
  readonly id: string;
  /** What is shown of the user; JSON. */
  readonly shown?: unknown;
  /** How many connections of that node; never 0. */
  readonly connections: number;
}

/** The nodes that have somebody in a room, each named by one life of it. */
export interface RoomNodes {
  readonly self: string;
  readonly others: readonly string[];
}

/** What another node says of one user in a room; without `entry`, that it has none any more. */
export interface PresenceUpdate {
  /** Names one life of a node. */
  readonly node: string;
  readonly key: string;
  readonly entry: PresenceEntry | undefined;
}

/** What a backplane counts of its way between the nodes. */
export interface LinkStatus {
  /** `memory` for a single node, or what carries publications to the others. */
  readonly engine: string;
  /** `away` while the engine cannot be reached, and before it was for the first time. */
  readonly state: "up" | "away";
  /** Nodes that are there, this one included. */
  readonly nodes: number;
  /** Messages of the engine that are none of ours, or none that this version understands; they were ignored. */
  readonly malformed: number;
  /** Times that a room had missed publications on this node and got them. */
  readonly healed: number;
  /** Times that some were lost for good, and its members told. */
  readonly lagged: number;
  /** Publications that were refused, or whose answer never came. */
  readonly unpublished: number;
}

/** What a backplane tells of itself. */
export interface BackplaneStatus {
  /** Rooms of which something is kept in this process, and how many bytes that is accounted with. */
  readonly historyRooms: number;
  readonly historyBytes: number;
  /** How often the history of a room was let go for the space of others. */
  readonly historyEvictions: number;
  readonly backplane: LinkStatus;
}

/** What a node takes from its backplane. Nothing of it throws. */
export interface Receiver {
  /** Takes a delivery to the members that this node has in `topic`. */
  onDelivery(topic: Topic, delivery: Delivery): void;
  /** Closes the members that this node has in `topic`. */
  onCloseAll(topic: Topic, closing: CloseCommand): void;
  /** Tells the members of a room of what they will never get. */
  onGap(path: RoomPath, loss: Gap): void;
  /** Takes who is in a room on other nodes. */
  onPresence(path: RoomPath, changes: readonly PresenceUpdate[]): void;
  onError(error: Error): void;
  /** What this node has now. */
  counts(): Counts;
}

/** What a backplane takes from its app. */
export interface BackplaneContext {
  readonly clock: Clock;
  /** From 0 to 1, as `Math.random`. */
  readonly random: () => number;
  readonly limits: BackplaneLimits & Pick<PeerLimits, "outboxBytesMax">;
  readonly outage: BackplaneOutage;
}

/**
 * What becomes of publications that need no history while other nodes cannot be reached: they are refused, or delivered
 * on this node alone.
 */
export type BackplaneOutage = "refuse" | "local";

/**
 * The same topics on every node.
 *
 * The contract: a publication is delivered exactly once to every node that opened its topic, and one to `below:` to every
 * node. The publishing node hears its own publication through the same path, and no earlier than its publish call.
 * Publications of one node to one topic, and closings among them, arrive in the order of the calls; where history is kept,
 * those of all nodes arrive in the order of their offsets. What is lost on the way is got from what is kept, or told with
 * {@link Receiver.onGap}.
 */
export interface Backplane {
  /** Called once, before anything else. */
  start(receiver: Receiver, config: BackplaneContext): void;
  /**
   * From now on this node wants what is published to `topic`; a promise to wait for until it hears, which never rejects.
   *
   * @param history How much of the room is kept; nothing if `undefined`.
   */
  open(topic: Topic, history?: HistoryConfig): Promise<void> | undefined;
  /** No more: the last member of this node left. */
  close(topic: Topic): void;
  /**
   * Resolves when the publication is on its way to every node that opened `topic`, with its position where history is
   * kept; rejects with `ERR_BACKPLANE` when it is not, or when that is not known.
   */
  publish(topic: Topic, delivery: Delivery): Promise<Position | undefined>;
  /** Closes everyone in `topic`, on every node; resolves and rejects as `publish`. */
  closeAll(topic: Topic, closing: CloseCommand): Promise<void>;
  /**
   * What is kept of a room, as of some moment between the call and its answer. What this node was delivered by then, and
   * what it is delivered from then on, meet without a gap. Rejects with `ERR_BACKPLANE`.
   */
  readHistory(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<HistoryPage>;
  /**
   * What this node has of a user in a room it opened; without `entry`, nothing any more. A promise to wait for until it is
   * known what the others have, which never rejects.
   */
  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined;
  /** Which nodes have somebody in a room that this one opened, as far as it was told. */
  nodesInRoom(path: RoomPath): RoomNodes;
  /** What the other nodes have of a room that this one has not opened, as far as they answer. Rejects with `ERR_BACKPLANE`. */
  readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]>;
  /** What the other nodes have, in sum. */
  countsElsewhere(): Counts;
  status(): BackplaneStatus;
  /** Called last: nothing is delivered any more. It may be started again, with all that it kept. */
  stop(): Promise<void>;
}
