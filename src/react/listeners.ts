import { useCallback, useEffect, useInsertionEffect, useRef } from "react";
import type { ServerEventData, ServerEventName } from "../client/events.js";
import type { ClientMessage } from "../client/messages/message.js";
import type { ClientRoom } from "../client/room.js";

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

/**
 * Calls `loadState` with the room when the component has mounted and the room is connected, and after each reconnect
 * that may have lost messages. Messages wait until it settles. See `onResync` of {@link ClientRoom}.
 *
 * `loadState` may be a new function in each render: that of the last render is called. Its error is reported to the
 * event `"error"` of the room.
 *
 * @param room The room of {@link useRoom}; without one it does nothing.
 */
export function useResync<Client, Server>(
  room: ClientRoom<Client, Server> | undefined,
  loadState: (room: ClientRoom<Client, Server>) => unknown,
): void {
  const latest = useLatest(loadState);
  useEffect(() => room?.onResync(() => latest(room)), [room, latest]);
}

/** Returns a function that is the same in each render, and calls the `callback` of the last one. */
function useLatest<Args extends readonly unknown[], Result>(
  callback: (...args: Args) => Result,
): (...args: Args) => Result {
  const latest = useRef(callback);
  // Before all other effects, so that none of them calls the function of an earlier render.
  useInsertionEffect(() => {
    latest.current = callback;
  });
  return useCallback((...args: Args) => latest.current(...args), []);
}
