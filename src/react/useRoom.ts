import { useCallback, useInsertionEffect, useMemo, useSyncExternalStore } from "react";
import { identityOf, type UseRoomOptions } from "./options.js";
import { connecting, idle, type UseRoomResult } from "./result.js";
import { joinShared, type RoomUser, readShared } from "./sharedRoom.js";

/**
 * Connects to a room while the component is mounted, and renders it when the state of the connection changes.
 *
 * All components with the same URL, `key` and `token` share one connection; see {@link UseRoomOptions}. It is closed
 * `lingerMs` after the last of them has unmounted. On a server it does not connect. The types are those of `connect`.
 *
 * Options that are functions, such as `token`, may be new in each render: the function of the last render is called.
 *
 * @param url As for `connect`. With `null` or `undefined` there is no connection. Another URL is another room.
 * @throws TypeError to the nearest error boundary, when the URL is invalid.
 * @throws EnfiladeError `ERR_OPTION` to the nearest error boundary, when an option is unknown.
 */
export function useRoom<Client = unknown, Server = unknown>(
  url: string | URL | null | undefined,
  options: UseRoomOptions = {},
): UseRoomResult<Client, Server> {
  const identity = url ? identityOf(url, options) : undefined;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the URL is a part of the identity; options are set below
  const user = useMemo<RoomUser>(() => ({ url: url ?? "", options }), [identity]);
  useInsertionEffect(() => {
    user.options = options;
  });
  const subscribe = useCallback(
    (onChange: () => void) => (identity ? joinShared(identity, user, onChange) : () => undefined),
    [identity, user],
  );
  const initial = identity ? connecting : idle;
  const result = useSyncExternalStore(
    subscribe,
    () => readShared(identity) ?? initial,
    () => initial,
  );
  // The types of the events are those that the component declares; they are not checked.
  return result as UseRoomResult<Client, Server>;
}
