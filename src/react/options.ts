import { type ConnectOptions, connectOptionNames } from "../client/connectOptions.js";
import { checkNames } from "../wire/options.js";

/** Options of {@link useRoom}: those of `connect`, except for `onResync`, which is the hook {@link useResync}. */
export interface UseRoomOptions extends Omit<ConnectOptions, "onResync"> {
  /**
   * A part of the identity of the room: components with different keys have different connections to the same URL. Use
   * the id of the user if users can change without a new page. Default: none.
   */
  readonly key?: string | number | undefined;
  /**
   * Milliseconds until the connection is closed after the last component with it has unmounted. A component that mounts
   * earlier gets the same connection. Default: 1,000.
   */
  readonly lingerMs?: number | undefined;
}

const ids = new WeakMap<object, number>();
let lastId = 0;

/** A number for each object, the same each time. */
function idOf(object: object | undefined): number {
  if (!object) return 0;
  const id = ids.get(object) ?? ++lastId;
  ids.set(object, id);
  return id;
}

/** @throws EnfiladeError `ERR_OPTION` when an option is unknown. */
export function checkOptions(options: UseRoomOptions): void {
  const names = connectOptionNames.filter((name) => name !== "onResync");
  checkNames("useRoom()", options, [...names, "key", "lingerMs"]);
}

/**
 * Components with equal identities share a connection.
 *
 * `token`, `random` and `debug` are not a part of it if they are functions, since each render creates new ones.
 */
export function identityOf(url: string | URL, options: UseRoomOptions): string {
  const { key, token, WebSocket, clock, queueMessagesMax, queueBytesMax } = options;
  // A list, so that no token equals the word for a function.
  const credentials = typeof token === "string" ? [token] : typeof token;
  // As text: JSON has no Infinity.
  const limits = `${queueMessagesMax} ${queueBytesMax}`;
  return JSON.stringify([url, key, credentials, idOf(WebSocket), idOf(clock), limits]);
}
