import { type App, EnfiladeError, type Publication } from "../../src/index.js";
import type { RoomView } from "./settings.js";

const contentOf = ({ data, text }: Publication): unknown => data ?? text;

/** What the server knows of a room. */
export async function viewOf(app: App, path: string): Promise<RoomView> {
  const room = app.registry.room(path);
  const { users } = await room.presence();
  return {
    members: room.size,
    history: await room.history().then((all) => all.map(contentOf), withoutHistory),
    users: users.map(({ id }) => id),
  };
}

function withoutHistory(error: unknown): [] {
  if (error instanceof EnfiladeError && error.code === "ERR_HISTORY") return [];
  throw error;
}
