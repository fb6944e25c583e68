import type { PresenceEntry } from "../../backplane/backplane.js";

/** The presence of one node in one room. */
export interface NodePresence {
  /** The sequence number of its last change. */
  seq: number;
  /** The users with connections to this node, by key. */
  readonly entries: Map<string, PresenceEntry>;
  /** The users whose join and leave this node reports. */
  readonly reporting: Set<string>;
  /** True if the room is closed there, and remains only until other nodes report its users. */
  isClosing: boolean;
}

/**
 * A change of the node that reports a user. `reports`: this node reports the user from now on. `left`: it has reported
 * the leave. `resigned`: it no longer reports the user, who may still be present.
 */
export type ReportFlag = "reports" | "left" | "resigned";

/**
 * The answer of a node to a claim. `reports`: it or another node reports the user. `claims`: it claims the user too.
 * `reported`: it knows that the join was reported.
 */
export type ClaimStatus = "reports" | "claims" | "reported";

const flags: readonly unknown[] = ["reports", "left", "resigned"] satisfies ReportFlag[];
const statuses: readonly unknown[] = ["reports", "claims", "reported", "claims reported"] satisfies string[];

export function isFlag(value: unknown): value is ReportFlag {
  return flags.includes(value);
}

export function isStatus(value: unknown): value is ClaimAnswer {
  return statuses.includes(value);
}

/** One status, or two: the node claims the user, and knows that the join was reported. */
export type ClaimAnswer = ClaimStatus | "claims reported";

/** Reads pairs of a key and a value that another node sent; `undefined` if they are malformed. */
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

/** Reads keys that another node sent; `undefined` if they are malformed. */
export function keysOf(value: unknown): ReadonlySet<string> | undefined {
  if (!Array.isArray(value) || !value.every((key) => typeof key === "string")) return undefined;
  return new Set(value);
}
