import type { DeliveryPolicy } from "../connection/policy.js";
import type { RoomPath } from "../wire/path.js";
import type { Payload } from "../wire/payload.js";

/**
 * What is published to: a room by its path, or one of the audiences that no path names.
 *
 * Room paths begin with a slash, so the kinds cannot be taken for one another.
 */
export type Topic = RoomPath | "all" | `user:${string}` | `channel:${string}`;

/** One message on its way to everyone who is in a topic. */
export interface Publication {
  readonly payload: Payload;
  /** Ids of the connections that do not get it. */
  readonly except: readonly string[];
  /** What becomes of it for a member that lags. */
  readonly policy?: DeliveryPolicy | undefined;
}

/** Takes a publication to the members that this node has in `topic`. Never throws. */
export type Deliver = (topic: Topic, publication: Publication) => void;

/**
 * The same topics on every node.
 *
 * The contract: a publication is delivered exactly once to every node that opened its topic. The publishing node hears
 * its own publication through the same path, and no earlier than its publish call. Publications of one node to one
 * topic arrive in the order of the calls.
 */
export interface Backplane {
  /** Called once, before anything else. */
  start(deliver: Deliver): void;
  /** From now on this node wants what is published to `topic`. */
  open(topic: Topic): void;
  /** No more: the last member of this node left. */
  close(topic: Topic): void;
  /** Resolves when the publication is on its way to every node that opened `topic`; rejects when it is not. */
  publish(topic: Topic, publication: Publication): Promise<void>;
}
