import type { PresenceReport } from "../../backplane/backplane.js";

/** The part of this node in the reports about one user. */
export interface UserReport {
  /**
   * - `idle`: another node reports the user, or none does yet.
   * - `claiming`: this node claims the user, and waits for answers.
   * - `announcing`: the claim succeeded; the other nodes are being notified.
   * - `reporting`: this node reports the user.
   * - `leaving`: the other nodes are being notified of the leave.
   */
  state: "idle" | "claiming" | "announcing" | "reporting" | "leaving";
  /** True if the user connected to this node, not only to others. */
  isOwn: boolean;
  /** True if the user is present, as this node sees it. A user who may return within `leaveGraceMs` is present. */
  isPresent: boolean;
  /** True if a node has reported the join, and none has reported the leave. */
  isReported: boolean;
  report: PresenceReport | undefined;
  /** The node that reported the user, if it was lost without announcing its leave. */
  lostNode: string | undefined;
  /** True if this node resigned when it closed the room. It reports the leave if no other node takes over. */
  hasResigned: boolean;
}

/** The initial state of a user. */
export function newUserReport(): UserReport {
  const flags = { isOwn: false, isPresent: false, isReported: false, hasResigned: false };
  return { state: "idle", ...flags, report: undefined, lostNode: undefined };
}
