import type { DeliveryPolicy } from "../connection/policy.js";
import type { RoomPath } from "../wire/path.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import type { Topic } from "./topic.js";

/** How much of a room is kept. */
export interface HistoryTerms {
  /** Publications. */
  readonly size: number;
  /** Bytes, as they are accounted for. */
  readonly bytesMax: number;
  /** Milliseconds since its publication. */
  readonly ageMsMax: number;
}

/** One message on its way to everyone who is in a topic. */
export interface Delivery {
  readonly payload: Payload;
  /** Ids of the connections that do not get it, and names of their clients. */
  readonly except: readonly string[];
  /** What becomes of it for a member that lags. */
  readonly policy?: DeliveryPolicy | undefined;
  /** How much of its room is to be kept; nothing if `undefined`. */
  readonly history?: HistoryTerms | undefined;
  /** Given by the backplane to what is kept. */
  readonly position?: Position | undefined;
}

/** What is kept of a room. */
export interface Kept {
  /** The position of the last publication; offset 0 before the first. */
  readonly top: Position;
  /** In the order of their offsets, without a gap between them. */
  readonly deliveries: readonly Delivery[];
}

export interface KeptQuery {
  /** Only what came after this position. Of another epoch, or one that is not reached yet: everything. */
  readonly since?: Position | undefined;
  /** How many at most: the first ones after `since`, or else the last ones. */
  readonly limit: number;
}

/** What a backplane tells of itself. */
export interface BackplaneStatus {
  /** Rooms of which something is kept here, and how many bytes that is accounted with. */
  readonly historyRooms: number;
  readonly historyBytes: number;
  /** How often the history of a room was let go for the space of others. */
  readonly historyEvictions: number;
}

/** Takes a delivery to the members that this node has in `topic`. Never throws. */
export type Deliver = (topic: Topic, delivery: Delivery) => void;

/**
 * The same topics on every node.
 *
 * The contract: a publication is delivered exactly once to every node that opened its topic, and one to `below:` to every
 * node. The publishing node hears its own publication through the same path, and no earlier than its publish call.
 * Publications of one node to one topic arrive in the order of the calls; where history is kept, those of all nodes
 * arrive in the order of their offsets.
 */
export interface Backplane {
  /** Called once, before anything else. */
  start(deliver: Deliver): void;
  /** From now on this node wants what is published to `topic`. */
  open(topic: Topic): void;
  /** No more: the last member of this node left. */
  close(topic: Topic): void;
  /**
   * Resolves when the publication is on its way to every node that opened `topic`, with its position where history is
   * kept; rejects when it is not.
   */
  publish(topic: Topic, delivery: Delivery): Promise<Position | undefined>;
  /** What is kept of a room, as of some moment between the call and its answer. */
  since(path: RoomPath, query: KeptQuery): Promise<Kept>;
  status(): BackplaneStatus;
  /** Called last: nothing is delivered any more. It may be started again, with all that it kept. */
  stop(): Promise<void>;
}
