import { useEffect } from "react";
import type { ServerEventData, ServerEventName } from "../client/events.js";
import type { ClientRoom } from "../client/room.js";
import { useLatest } from "./useLatest.js";

/**
 * Calls `listener` with the data of each event with this name that a handler emits, while the component is mounted.
 *
 * The listener may be a new function in each render: that of the last render is called. An error that it throws is
 * reported to the event `"error"` of the room.
 *
 * @param room The room of {@link useRoom}; without one it does nothing.
 */
export function useEvent<Client, Server, Event extends ServerEventName<Server>>(
  room: ClientRoom<Client, Server> | undefined,
  event: Event,
  listener: (data: ServerEventData<Server, Event>) => unknown,
): void {
  const latest = useLatest(listener);
  useEffect(() => room?.onEvent(event, latest), [room, event, latest]);
}
