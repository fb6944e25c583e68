import type { HistoryTerms } from "../backplane/backplane.js";

/** What is known of who is in a room: everybody, how many, or nothing that is kept. */
export type PresenceMode = "full" | "count" | "off";

export interface PresenceTerms {
  readonly mode: PresenceMode;
  readonly leaveGraceMs: number;
  /** What others are told of a user beside the id. */
  readonly show: ((user: unknown) => unknown) | undefined;
}

/** What holds for a room, by the route of its path. */
export interface RoomTerms {
  /** `undefined`: nothing is kept. */
  readonly history: HistoryTerms | undefined;
  readonly presence: PresenceTerms;
}

/** A room that has no route, or whose route says nothing of it. */
export const plainTerms: RoomTerms = {
  history: undefined,
  presence: { mode: "off", leaveGraceMs: 0, show: undefined },
};
