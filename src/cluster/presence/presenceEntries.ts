import type { PresenceEntry } from "../../backplane/backplane.js";

/** What another node has of users, by key; `undefined` for a user that it no longer has. */
export type ReceivedEntries = Map<string, PresenceEntry | undefined>;

/** Checks entries that came from outside; `undefined` for what are no entries. */
export function entriesOf(value: unknown): ReceivedEntries | undefined {
  if (!Array.isArray(value)) return undefined;
  const received: ReceivedEntries = new Map();
  for (const pair of value) {
    const [key, entry]: unknown[] = Array.isArray(pair) ? pair : [];
    if (typeof key !== "string" || !(entry === null || isEntry(entry))) return undefined;
    received.set(key, entry ?? undefined);
  }
  return received;
}

/** The entries of users that the node still has. */
export function presentOf(received: ReceivedEntries): Map<string, PresenceEntry> {
  const present = new Map<string, PresenceEntry>();
  for (const [key, entry] of received) if (entry !== undefined) present.set(key, entry);
  return present;
}

function isEntry(value: unknown): value is PresenceEntry {
  if (typeof value !== "object" || value === null || !("id" in value) || !("connections" in value)) return false;
  const { id, connections } = value;
  const isCount = Number.isSafeInteger(connections) && Number(connections) > 0;
  return typeof id === "string" && isCount && (!("shown" in value) || isEncodable(value.shown));
}

/** JSON can be parsed that is nested too deep to be written. */
function isEncodable(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}
