import type { EvictCommand, HistoryConfig, HistoryQuery } from "../backplane/backplane.js";
import { isConnectionId } from "../backplane/connectionId.js";
import { type UserAddress, userIdOf, userTopic } from "../backplane/topic.js";
import type { Clock } from "../connection/clock.js";
import { EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import { CloseCode, checkedReason } from "../wire/closeCodes.js";
import { escaped } from "../wire/line.js";
import { checkNames } from "../wire/options.js";
import type { RoomPath } from "../wire/path.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import { Address, type AddressDeps, type SendOptions, User } from "./address.js";
import type { Publication } from "./history/publication.js";
import type { Subscription } from "./history/subscription.js";
import type { PresenceState } from "./presence/presenceState.js";
import type { RoomState } from "./roomState.js";
import { roomWriter } from "./writer.js";

/** Options of `room.history()`. */
export interface ReadOptions {
  /** The maximum number of publications. Default: all that are kept. */
  readonly limit?: number | undefined;
  /** Reads the first publications after this position; without it, the last ones. */
  readonly since?: Position | undefined;
  /** Whether the newest publication comes first. Default: `false`. */
  readonly reverse?: boolean | undefined;
}

/** Options of `room.subscribe()` and `registry.subscribe()`. */
export interface SubscribeOptions {
  /** How many of the last publications come first. Needs history. Default: 0. */
  readonly replay?: number | undefined;
  /** All kept publications after this position come first. Needs history. Default: none. */
  readonly since?: Position | undefined;
  /** Ends the subscription when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of `room.writer()`. */
export interface WriterOptions extends SendOptions {
  /** Whether bytes are parts of one UTF-8 text, such as the output of a process. Default: `false`: binary messages. */
  readonly text?: boolean | undefined;
}

/** The argument of {@link Room.evict}: a connection, its handler or its id; or a `User` or `{ user }`. */
export type Evictee = string | { readonly id: string } | User | { readonly user: UserAddress };

/** Options of `room.evict()`. */
export interface EvictOptions {
  /** The reason that the handler's `onRoomLeave` gets; cut to 123 bytes of UTF-8. Default: empty. */
  readonly reason?: string | undefined;
}

/** The operations that a room needs; the registry implements them. */
export interface RoomDeps extends AddressDeps {
  history(path: RoomPath, query: HistoryQuery): Promise<readonly Publication[]>;
  historyConfig(path: RoomPath): HistoryConfig | undefined;
  subscribeToRoom(path: RoomPath, past: HistoryQuery | undefined, signal: AbortSignal | undefined): Subscription;
  presence(path: RoomPath): Promise<PresenceState>;
  evict(path: RoomPath, command: EvictCommand): void;
  roomState(path: RoomPath): RoomState | undefined;
  readonly clock: Clock;
}

/**
 * The room of a path: its members, history, presence and state. `registry.room(path)` and `this.room` return it.
 *
 * A `Room` is a handle: keep it as long as you like; it always shows the current members. It works without members too.
 */
export class Room extends Address {
  readonly #deps: RoomDeps;
  readonly #opened: RoomState | undefined;

  constructor(
    /** The canonical path. */
    readonly path: RoomPath,
    deps: RoomDeps,
    opened?: RoomState,
  ) {
    super(path, deps);
    this.#deps = deps;
    this.#opened = opened;
  }

  /**
   * Data that the application keeps with this room, on this node. It is freed with the room; a listener of
   * `"room-empty"` can still read it.
   *
   * @throws EnfiladeError `ERR_NO_ROOM` when the room is not open on this node: it has neither a member nor a
   *   subscription here.
   */
  get state(): Map<string, unknown> {
    const room = this.#opened ?? this.#deps.roomState(this.path);
    if (room !== undefined) return room.state;
    const advice = "use its state while it has a member or a subscription";
    throw new EnfiladeError("ERR_NO_ROOM", `the room ${this.path} is not open on this node; ${advice}`);
  }

  /**
   * Reads the history of the room, the oldest publication first.
   *
   * @throws EnfiladeError (as a rejection) `ERR_HISTORY` when the room's route has no history, `ERR_BACKPLANE` when the
   *   backplane cannot be reached, `ERR_OPTION` for an invalid option.
   */
  async history(options: ReadOptions = {}): Promise<Publication[]> {
    checkNames("history()", options, ["limit", "since", "reverse"]);
    const { limit, since, reverse = false } = options;
    this.#needHistory("history()");
    const query = { limit: checkedCount("limit", limit), since: checkedPosition(since) };
    const publications = await this.#deps.history(this.path, query);
    return reverse ? publications.toReversed() : [...publications];
  }

  /**
   * Subscribes server code to the room: to its history, if `replay` or `since` is given, then to new publications.
   *
   * ```ts
   * for await (const { data } of room.subscribe({ replay: 10 })) console.log(data);
   * ```
   *
   * It receives publications from the moment of this call until you leave the loop, abort `signal`, or close the room
   * or the app. Up to `subscriberMessagesMax` publications wait for the loop.
   *
   * @throws EnfiladeError `ERR_HISTORY` when `replay` or `since` is given and the room has no history, `ERR_ROOMS_MAX`
   *   when the room cannot be opened, `ERR_OPTION` for an invalid option.
   */
  subscribe(options: SubscribeOptions = {}): Subscription {
    checkNames("subscribe()", options, ["replay", "since", "signal"]);
    const { replay, since, signal } = options;
    const hasPast = replay !== undefined || since !== undefined;
    if (hasPast) this.#needHistory("replay and since");
    const limit = checkedCount("replay", replay);
    return this.#deps.subscribeToRoom(
      this.path,
      hasPast ? { since: checkedPosition(since), limit } : undefined,
      signal,
    );
  }

  /**
   * The users in the room, on all nodes. A node without members asks the others, which have half a second to answer.
   *
   * If the route has no `presence`, it counts only connections of this node.
   *
   * @throws EnfiladeError (as a rejection) `ERR_BACKPLANE` when the other nodes must be asked and cannot be reached.
   */
  async presence(): Promise<PresenceState> {
    return this.#deps.presence(this.path);
  }

  /**
   * Removes a connection, or all connections of a user, from this room, on every node. Connections stay open, unless
   * their route has `closeOnLastRoomLeft`. They can join again, unless `authorizeJoin` refuses it.
   *
   * ```ts
   * app.registry.room("/chat/general").evict({ user: "ann" }, { reason: "rude" });
   * ```
   *
   * If other nodes cannot be reached, members of this node are removed, and an error is reported to the app.
   *
   * @throws EnfiladeError `ERR_OPTION` when `who` is neither a connection nor a user, `ERR_USER` for a bad user id.
   */
  evict(who: Evictee, options: EvictOptions = {}): void {
    checkNames("evict()", options, ["reason"]);
    const reason: unknown = options.reason ?? "";
    if (typeof reason !== "string") {
      throw new EnfiladeError("ERR_OPTION", `reason takes a string, got ${typeof reason}`);
    }
    this.#deps.evict(this.path, { who: evicteeOf(who), reason: checkedReason(CloseCode.normal, reason) });
  }

  /**
   * A stream into this room, such as for the output of a process:
   * `Readable.toWeb(child.stdout).pipeTo(room.writer({ text: true }))`.
   *
   * A string becomes a text message; bytes become a binary message, or part of a text with `{ text: true }`. The stream
   * waits for members that lag, but not longer than a second while other members keep up.
   *
   * @throws EnfiladeError `ERR_OPTION` for an unknown option.
   */
  writer(options: WriterOptions = {}): WritableStream<string | Uint8Array> {
    const { text = false, ...sendOptions } = options;
    checkNames("writer()", options, ["text", "policy", "except", "keep"]);
    const publish = (payload: Payload) => this.#deps.publish(this.path, payload, sendOptions);
    return roomWriter({ publish, clock: this.#deps.clock, members: () => this.#members() }, text);
  }

  #members(): Member[] {
    return [...(this.#deps.membersOf(this.path) ?? [])];
  }

  #needHistory(subject: string): void {
    if (this.#deps.historyConfig(this.path) !== undefined) return;
    throw new EnfiladeError(
      "ERR_HISTORY",
      `${subject} of ${this.path} needs history; give its route history: { size: 100, seconds: 3600 }`,
    );
  }
}

/** @throws EnfiladeError `ERR_OPTION` for an id that is not that of a connection, such as a user's. */
function evictedConnection(id: string): EvictCommand["who"] {
  if (isConnectionId(id)) return { connection: id };
  const quoted = escaped(id);
  throw new EnfiladeError(
    "ERR_OPTION",
    `evict takes the id of a connection, got ${quoted}; for a user pass { user: ${quoted} }`,
  );
}

function evicteeOf(who: Evictee): EvictCommand["who"] {
  if (who instanceof User) return { user: who.id };
  const id: unknown = typeof who === "string" ? who : who !== null && typeof who === "object" && "id" in who && who.id;
  // A handler has both an id and a user; it means its connection.
  if (typeof id === "string") return evictedConnection(id);
  if (typeof who === "object" && who !== null && "user" in who) return { user: userIdOf(userTopic(who.user)) };
  throw new EnfiladeError("ERR_OPTION", `evict takes a handler, a connection, an id or { user }, got ${typeof who}`);
}

function checkedCount(name: string, value: number | undefined): number {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new EnfiladeError("ERR_OPTION", `${name} takes a whole number, got ${String(value)}`);
}

function checkedPosition(since: Position | undefined): Position | undefined {
  if (since === undefined) return undefined;
  const { epoch, offset } = since ?? {};
  if (typeof epoch === "string" && epoch !== "" && Number.isSafeInteger(offset) && offset >= 0) return since;
  throw new EnfiladeError("ERR_OPTION", `since takes a position { epoch, offset }, got ${JSON.stringify(since)}`);
}
