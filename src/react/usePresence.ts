import { useCallback, useSyncExternalStore } from "react";
import type { Presence } from "../client/presence.js";
import type { ClientRoom } from "../client/room.js";

const empty: Presence = { count: 0, version: 0, users: [] };

/**
 * Returns the users in the room, if its route keeps presence, and renders the component when they change. The result is
 * the same object until then. Without a room, and on a server, it is empty.
 *
 * @param room The room of {@link useRoom}.
 */
export function usePresence<Client, Server>(room: ClientRoom<Client, Server> | undefined): Presence {
  const subscribe = useCallback((onChange: () => void) => room?.on("presence", onChange) ?? (() => undefined), [room]);
  return useSyncExternalStore(
    subscribe,
    () => room?.presence ?? empty,
    () => empty,
  );
}
