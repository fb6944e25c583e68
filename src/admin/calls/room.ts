import type { Publication } from "../../room/history/publication.js";
import type { Registry } from "../../room/registry.js";
import type { Room } from "../../room/room.js";
import type { HistoryEntry, RoomPresence } from "../api.js";
import { shownContent } from "../content.js";

const historyEntries = 50;
const presentUsersMax = 100;

/** The presence of a room as its route has it. */
export async function presenceOf(registry: Registry, room: Room): Promise<RoomPresence> {
  const { mode } = registry.configOf(room.path).presence;
  if (mode === "off") return { mode, count: 0, users: [] };
  const { count, users } = await room.presence();
  return { mode, count, users: users.slice(0, presentUsersMax).map(({ id }) => id) };
}

/** The last publications of a room; empty if it has no history. */
export async function historyOf(registry: Registry, room: Room): Promise<HistoryEntry[]> {
  if (registry.historyConfig(room.path) === undefined) return [];
  const publications = await room.history({ limit: historyEntries });
  return publications.map(entryOf);
}

function entryOf({ position, data, text, bytes }: Publication): HistoryEntry {
  const kind = bytes !== undefined ? "binary" : text !== undefined ? "text" : "json";
  return { ...(position !== undefined && { position }), kind, ...shownContent(bytes ?? text ?? JSON.stringify(data)) };
}
