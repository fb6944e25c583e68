import { type App, EnfiladeError, type Publication } from "../../src/index.js";
import type { RoomView } from "./settings.js";

const contentOf = ({ data, text }: Publication): unknown => data ?? text;

/** What the server knows of a room. */
export async function viewOf(app: App, path: string): Promise<RoomView> {
  const room = app.registry.room(path);
  const { users } = await room.presence();
  const history = await room.history().catch(withoutHistory);
  return {
    members: room.size,
    history: history.map(contentOf),
    position: history.at(-1)?.position,
    users: users.map(({ id }) => id),
  };
}

function withoutHistory(error: unknown): [] {
  if (error instanceof EnfiladeError && error.code === "ERR_HISTORY") return [];
  throw error;
}
