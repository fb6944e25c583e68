import { connect } from "../client/connect.js";
import { clientClock } from "../client/connection/clock.js";
import type { Timer } from "../connection/clock.js";
import { checkOptions, type UseRoomOptions } from "./options.js";
import type { UseRoomResult } from "./result.js";

/** One component that uses a room. */
export interface RoomUser {
  readonly url: string | URL;
  /** Those of its last render with this identity. */
  options: UseRoomOptions;
}

const lingerMsDefault = 1_000;

/** The rooms in use, by their identity. Only effects change it, so on a server it is empty. */
const sharedRooms = new Map<string, SharedRoom>();

/** The same object until something changes; `undefined` if no effect has connected yet. */
export function readShared(identity = ""): UseRoomResult | undefined {
  return sharedRooms.get(identity)?.result;
}

/**
 * Adds a user to the room with this identity, and connects if there is none. Returns a function that removes the user.
 *
 * @param onChange Called after each change of {@link readShared}.
 */
export function joinShared(identity: string, user: RoomUser, onChange: () => void): () => void {
  checkOptions(user.options);
  const shared = sharedRooms.get(identity) ?? new SharedRoom(identity, user);
  sharedRooms.set(identity, shared);
  return shared.add(user, onChange);
}

/** One connection for all components with the same identity, closed a moment after the last one has unmounted. */
class SharedRoom {
  readonly #identity: string;
  readonly #users = new Map<() => void, RoomUser>();
  /** The user that was added last, of those that are left; without users, the last one. */
  #user: RoomUser;
  #timer: Timer | undefined;
  result: UseRoomResult;

  constructor(identity: string, user: RoomUser) {
    this.#identity = identity;
    this.#user = user;
    this.result = this.#connect();
  }

  add(user: RoomUser, onChange: () => void): () => void {
    this.#timer?.cancel();
    this.#user = user;
    this.#users.set(onChange, user);
    return () => this.#remove(onChange);
  }

  #remove(onChange: () => void): void {
    this.#users.delete(onChange);
    this.#user = [...this.#users.values()].at(-1) ?? this.#user;
    if (this.#users.size) return;
    const { clock = clientClock, lingerMs = lingerMsDefault } = this.#user.options;
    this.#timer = clock.setTimeout(() => this.result.room?.close(), lingerMs);
    this.#forgetIfClosed();
  }

  /** The next component must get a new connection, not a room that was closed for good. */
  #forgetIfClosed(): void {
    if (this.result.state !== "closed" || this.#users.size) return;
    this.#timer?.cancel();
    sharedRooms.delete(this.#identity);
  }

  #connect(): UseRoomResult {
    const { key: _key, lingerMs: _lingerMs, token, ...options } = this.#user.options;
    const room = connect(this.#user.url, { ...options, token: token && (() => this.#token()) });
    const reconnect = () => this.#reconnect();
    room.on("state", (state, detail) => this.#show({ room, state, detail, reconnect }));
    return { room, state: room.state, detail: {}, reconnect };
  }

  /** The token as of now: a function of the last render may use the state of its component. */
  #token(): string | Promise<string> {
    const { token = "" } = this.#user.options;
    return typeof token === "function" ? token() : token;
  }

  #reconnect(): void {
    if (this.result.state === "closed" && this.#users.size) this.#show(this.#connect());
  }

  #show(result: UseRoomResult): void {
    this.result = result;
    this.#forgetIfClosed();
    for (const onChange of this.#users.keys()) onChange();
  }
}
