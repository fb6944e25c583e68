import type { PresenceEntry } from "../../backplane/backplane.js";

/** What one node has in one room. */
export interface NodePresence {
  /** The sequence number of its last change. */
  seq: number;
  readonly entries: Map<string, PresenceEntry>;
  /** The users whose join and leave this node reports. */
  readonly reporting: Set<string>;
  /** Whether the room is closed there, and only kept until others report its users. */
  isClosing: boolean;
}

/**
 * A change of who reports a user: a node does from now on, has reported the leave, or no longer does although the user may
 * still be present.
 */
export type ReportFlag = "reports" | "left" | "resigned";

/** What a node answers to a claim, for a user about whom it has something to say. */
export type ClaimStatus = "reports" | "claims" | "reported";

const flags: readonly unknown[] = ["reports", "left", "resigned"] satisfies ReportFlag[];
const statuses: readonly unknown[] = ["reports", "claims", "reported", "claims reported"] satisfies string[];

export function isFlag(value: unknown): value is ReportFlag {
  return flags.includes(value);
}

export function isStatus(value: unknown): value is ClaimAnswer {
  return statuses.includes(value);
}

/** A status, or two: the node claims the user and knows that the join was reported. */
export type ClaimAnswer = ClaimStatus | "claims reported";

/** Checks pairs of a key and a value that came from outside; `undefined` for what are none. */
export function pairsOf<T>(value: unknown, isValue: (value: unknown) => value is T): Map<string, T> | undefined {
  if (!Array.isArray(value)) return undefined;
  const pairs = new Map<string, T>();
  for (const pair of value) {
    const [key, one]: unknown[] = Array.isArray(pair) ? pair : [];
    if (typeof key !== "string" || !isValue(one)) return undefined;
    pairs.set(key, one);
  }
  return pairs;
}

/** Checks keys that came from outside; `undefined` for what are none. */
export function keysOf(value: unknown): ReadonlySet<string> | undefined {
  if (!Array.isArray(value) || !value.every((key) => typeof key === "string")) return undefined;
  return new Set(value);
}
