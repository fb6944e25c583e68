import { useEffect } from "react";
import type { LoadState } from "../client/messages/messageQueue.js";
import type { ClientRoom } from "../client/room.js";
import { useLatest } from "./useLatest.js";

/**
 * Calls `loadState` when the component has mounted and the room is connected, and after each reconnect that may have
 * lost messages. Messages wait until it settles, so that none is missing in the loaded state. See `onResync` of a room.
 *
 * `loadState` may be a new function in each render: that of the last render is called. Its error is reported to the
 * event `"error"` of the room.
 *
 * @param room The room of {@link useRoom}; without one it does nothing.
 */
export function useResync<Client, Server>(room: ClientRoom<Client, Server> | undefined, loadState: LoadState): void {
  const latest = useLatest(loadState);
  useEffect(() => room?.onResync(latest), [room, latest]);
}
