import { useEffect } from "react";
import type { ClientMessage } from "../client/messages/message.js";
import type { ClientRoom } from "../client/room.js";
import { useLatest } from "./useLatest.js";

/**
 * Calls `listener` with each message of the room, while the component is mounted: JSON, text and bytes, events
 * included. Otherwise like {@link useEvent}.
 *
 * @param room The room of {@link useRoom}; without one it does nothing.
 */
export function useMessages<Client, Server>(
  room: ClientRoom<Client, Server> | undefined,
  listener: (message: ClientMessage) => unknown,
): void {
  const latest = useLatest(listener);
  useEffect(() => room?.on("message", latest), [room, latest]);
}
