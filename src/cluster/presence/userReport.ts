import type { PresenceReport } from "../../backplane/backplane.js";

/** What this node has to do with the reports about one user. */
export interface UserReport {
  /**
   * - `idle`: another node reports the user, or none does yet.
   * - `claiming`: the other nodes are asked.
   * - `announcing`: the others have agreed, and are being told.
   * - `reporting`: this node reports the user.
   * - `leaving`: the others are being told that the leave is reported.
   */
  state: "idle" | "claiming" | "announcing" | "reporting" | "leaving";
  /** Whether the user came to this node, and not only to others. */
  isOwn: boolean;
  /** Whether the user is in the room, as this node sees it; those who may return are. */
  isPresent: boolean;
  /** Whether the join was reported, on whatever node, and the leave was not. */
  isReported: boolean;
  report: PresenceReport | undefined;
  /** The node that reported the user and was lost without a word. */
  lostNode: string | undefined;
  /** Whether this node gave up the user when it closed the room, and is to report the leave if no other node takes over. */
  isGivenUp: boolean;
}

/** A user about whom nothing is known yet. */
export function newUserReport(): UserReport {
  const flags = { isOwn: false, isPresent: false, isReported: false, isGivenUp: false };
  return { state: "idle", ...flags, report: undefined, lostNode: undefined };
}
