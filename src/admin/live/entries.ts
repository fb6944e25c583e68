import { STATUS_CODES } from "node:http";
import type { TapEntry } from "../../server/diagnostics/tapEntry.js";
import type { EntryBatch, LiveEntry } from "../api.js";
import { shownContent } from "../content.js";
import { pathOf, userOf } from "../records/departures.js";
import { messageOf } from "../records/errors.js";

const entriesMax = 500;
const bytesMax = 256 * 1024;

/** The newest entries that fit into one batch; the others are counted as missed. */
export function batchOf(node: string, entries: readonly LiveEntry[], missed: number): Omit<EntryBatch, "id"> {
  let bytes = 0;
  let first = entries.length;
  for (; first > 0 && entries.length - first < entriesMax; first -= 1) {
    bytes += Buffer.byteLength(JSON.stringify(entries[first - 1]));
    if (bytes > bytesMax) break;
  }
  return { node, missed: missed + first, entries: entries.slice(first) };
}

/**
 * The entry of a tap as pages show it; `undefined` for traffic of the admin itself.
 *
 * @param isOwn Whether a path is of the admin.
 */
export function liveEntryOf(entry: TapEntry, isOwn: (path: string) => boolean): LiveEntry | undefined {
  const connection = "connection" in entry ? entry.connection : undefined;
  const path = connection?.request.path;
  if (path !== undefined && isOwn(path)) return undefined;
  const { time: at, direction } = entry;
  const who = connection && { connection: connection.id, path: connection.request.path, ...userOf(connection.user) };
  if (direction === "lifecycle") return { at, direction, ...who, ...eventOf(entry) };
  if (direction === "in") {
    return { at, direction, ...who, kind: kindOf(entry.data), ...shownContent(entry.data) };
  }
  const content = { kind: entry.kind, ...shownContent(entry.data) };
  if (direction === "out") return { at, direction, ...who, ...(entry.room && { to: entry.room }), ...content };
  const { to, position } = entry;
  if (to.kind === "room" && isOwn(to.path)) return undefined;
  return { at, direction, to: addressOf(to), ...content, ...(position && { offset: position.offset }) };
}

function kindOf(data: string | Uint8Array): "text" | "binary" {
  return typeof data === "string" ? "text" : "binary";
}

function eventOf(entry: TapEntry & { readonly direction: "lifecycle" }): Partial<LiveEntry> {
  switch (entry.type) {
    case "open":
      return { type: "open" };
    case "close":
      return { type: "close", code: entry.code, reason: entry.reason };
    case "refuse": {
      const { request, status } = entry;
      return { type: "refuse", path: pathOf(request.url), code: status, reason: STATUS_CODES[status] ?? "" };
    }
    case "error":
      return { type: "error", text: messageOf(entry.error) };
  }
}

function addressOf(to: (TapEntry & { readonly direction: "publish" })["to"]): string {
  switch (to.kind) {
    case "room":
      return to.path;
    case "rooms":
      return to.pattern;
    case "user":
      return `user ${to.id}`;
    case "channel":
      return `channel ${to.name}`;
    case "all":
      return "all";
  }
}
