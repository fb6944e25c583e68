import type { PresenceEntry } from "../backplane/backplane.js";

/** What a node says that it has, or has no more, by key. */
export type ReceivedEntries = Map<string, PresenceEntry | undefined>;

/** Reads what anybody may have sent; `undefined` for what are no entries. */
export function entriesOf(value: unknown): ReceivedEntries | undefined {
  if (!Array.isArray(value)) return undefined;
  const heard: ReceivedEntries = new Map();
  for (const pair of value) {
    const [key, entry]: unknown[] = Array.isArray(pair) ? pair : [];
    if (typeof key !== "string" || !(entry === null || isEntry(entry))) return undefined;
    heard.set(key, entry ?? undefined);
  }
  return heard;
}

/** Those that a node has. */
export function presentOf(heard: ReceivedEntries): Map<string, PresenceEntry> {
  const present = new Map<string, PresenceEntry>();
  for (const [key, entry] of heard) if (entry !== undefined) present.set(key, entry);
  return present;
}

function isEntry(value: unknown): value is PresenceEntry {
  if (typeof value !== "object" || value === null || !("id" in value) || !("connections" in value)) return false;
  const { id, connections } = value;
  const isCount = Number.isSafeInteger(connections) && Number(connections) > 0;
  return typeof id === "string" && isCount && (!("shown" in value) || isEncodable(value.shown));
}

/** JSON may be read that is nested too deep to be written. */
function isEncodable(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}
