import type { PresenceEntry } from "../../backplane/backplane.js";
import type { Fields } from "../nodeMessage.js";
import { isFlag, keysOf, type NodePresence, pairsOf, type ReportFlag } from "./nodePresence.js";

/** The users of another node, by key; `undefined` for a user who has no connection there any more. */
type ReceivedEntries = Map<string, PresenceEntry | undefined>;

/** A change of the presence of another node. */
export interface ReceivedChange {
  readonly seq: number;
  readonly entries: ReceivedEntries;
  readonly flags: ReadonlyMap<string, ReportFlag>;
  readonly isClosing: boolean;
}

/** Reads the whole presence of another node in a room; `undefined` if it is malformed. */
export function stateOf(fields: Fields): NodePresence | undefined {
  const { reporting: reports = [] } = fields;
  const entries = entriesOf(fields.entries);
  const reporting = keysOf(reports);
  if (entries === undefined || reporting === undefined || !Number.isSafeInteger(fields.seq)) return undefined;
  const isClosing = fields.isClosing === true;
  return { seq: Number(fields.seq), entries: presentOf(entries), reporting: new Set(reporting), isClosing };
}

/** Reads a change of another node; `undefined` if it is malformed. */
export function changeOf(fields: Fields): ReceivedChange | undefined {
  const { reporting: reports = [] } = fields;
  const entries = entriesOf(fields.entries);
  const flags = pairsOf(reports, isFlag);
  if (entries === undefined || flags === undefined || !Number.isSafeInteger(fields.seq)) return undefined;
  return { seq: Number(fields.seq), entries, flags, isClosing: fields.isClosing === true };
}

/** Reads entries that another node sent; `undefined` if they are malformed. */
function entriesOf(value: unknown): ReceivedEntries | undefined {
  if (!Array.isArray(value)) return undefined;
  const received: ReceivedEntries = new Map();
  for (const pair of value) {
    const [key, entry]: unknown[] = Array.isArray(pair) ? pair : [];
    if (typeof key !== "string" || !(entry === null || isEntry(entry))) return undefined;
    received.set(key, entry ?? undefined);
  }
  return received;
}

/** The entries without the users who have left the node. */
function presentOf(received: ReceivedEntries): Map<string, PresenceEntry> {
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

/** Returns false for a value that was parsed from JSON, but is nested too deeply to be encoded again. */
function isEncodable(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}
