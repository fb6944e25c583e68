import type { EvictCommand, HistoryConfig, HistoryQuery } from "../backplane/backplane.js";
import { isConnectionId } from "../backplane/connectionId.js";
import { type UserAddress, userIdOf, userTopic } from "../backplane/topic.js";
import type { Clock } from "../connection/clock.js";
import { EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import { CloseCode, checkedReason } from "../wire/closeCodes.js";
import { checkNames } from "../wire/options.js";
import type { RoomPath } from "../wire/path.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import { Address, type Post, type SendOptions, User } from "./address.js";
import type { Publication } from "./history/publication.js";
import type { Subscription } from "./history/subscription.js";
import type { PresenceState } from "./presence/presenceState.js";
import type { RoomState } from "./roomState.js";
import { roomWriter } from "./writer.js";

export interface ReadOptions {
  /** How many at most. Default: all that are kept. */
  readonly limit?: number | undefined;
  /** Only what came after this position, the first ones; without it, the last ones. */
  readonly since?: Position | undefined;
  /** Whether the newest comes first. Default: `false`. */
  readonly reverse?: boolean | undefined;
}

export interface SubscribeOptions {
  /** How many of the last publications come first, at most. Default: none. Needs history. */
  readonly replay?: number | undefined;
  /** Everything after this position comes first, as far as it is kept. Needs history. */
  readonly since?: Position | undefined;
  /** Ends the subscription when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

export interface WriterOptions extends SendOptions {
  /** Whether bytes are pieces of one UTF-8 text, such as the output of a process. Default: `false`, they are binary messages. */
  readonly text?: boolean | undefined;
}

/** Whom {@link Room.evict} takes out: a connection, by itself, its handler or its id, or all connections of a user. */
export type Evictee = string | { readonly id: string } | User | { readonly user: UserAddress };

export interface EvictOptions {
  /** Why, for `onRoomLeave` of the handler; cut to 123 bytes of UTF-8. Default: empty. */
  readonly reason?: string | undefined;
}

/** What a room needs beyond what every address does; the registry. */
export interface RoomPost extends Post {
  history(path: RoomPath, query: HistoryQuery): Promise<readonly Publication[]>;
  historyConfig(path: RoomPath): HistoryConfig | undefined;
  subscribeToRoom(path: RoomPath, archive: HistoryQuery | undefined, signal: AbortSignal | undefined): Subscription;
  presence(path: RoomPath): Promise<PresenceState>;
  evict(path: RoomPath, command: EvictCommand): void;
  roomState(path: RoomPath): RoomState | undefined;
  readonly clock: Clock;
}

/**
 * Everyone who is at one path, and what is kept of it.
 *
 * A `Room` is a handle: it may be kept, and always shows who is there when it is used.
 */
export class Room extends Address {
  readonly #post: RoomPost;
  readonly #opened: RoomState | undefined;

  constructor(
    readonly path: RoomPath,
    post: RoomPost,
    opened?: RoomState,
  ) {
    super(path, post);
    this.#post = post;
    this.#opened = opened;
  }

  /**
   * What the application keeps with this room, on this node: freed when the last one leaves. To a listener of
   * `"room-empty"` it is there for the last time.
   *
   * @throws EnfiladeError `ERR_NO_ROOM` when no one is here.
   */
  get state(): Map<string, unknown> {
    const room = this.#opened ?? this.#post.roomState(this.path);
    if (room !== undefined) return room.state;
    throw new EnfiladeError("ERR_NO_ROOM", `nobody is in ${this.path}: its state lives as long as somebody is`);
  }

  /**
   * What is kept of the room, the oldest first.
   *
   * @throws EnfiladeError (as a rejection) `ERR_HISTORY` when the room's route keeps none, `ERR_OPTION`.
   */
  async history(options: ReadOptions = {}): Promise<Publication[]> {
    checkNames("history()", options, ["limit", "since", "reverse"]);
    const { limit, since, reverse = false } = options;
    this.#needHistory("history()");
    const query = { limit: count("limit", limit, Number.POSITIVE_INFINITY), since: checked(since) };
    const publications = await this.#post.history(this.path, query);
    return reverse ? publications.toReversed() : [...publications];
  }

  /**
   * Listens to the room as a member does: what is kept first, if that is asked for, then what is published.
   *
   * ```ts
   * for await (const { data } of room.subscribe({ replay: 10 })) console.log(data);
   * ```
   *
   * It receives from this call on, until the loop is left, `signal` is aborted, the room is closed with `close()`, or the
   * app is. Call it and loop over it: what waits for a loop that never comes is kept up to `subscriberMessagesMax`.
   *
   * @throws EnfiladeError `ERR_ROOMS_MAX`; `ERR_HISTORY` when the past is asked for and none is kept, `ERR_OPTION`.
   */
  subscribe(options: SubscribeOptions = {}): Subscription {
    checkNames("subscribe()", options, ["replay", "since", "signal"]);
    const { replay, since, signal } = options;
    const wantsPast = replay !== undefined || since !== undefined;
    if (wantsPast) this.#needHistory("replay and since");
    const limit = count("replay", replay, Number.POSITIVE_INFINITY);
    return this.#post.subscribeToRoom(this.path, wantsPast ? { since: checked(since), limit } : undefined, signal);
  }

  /**
   * Who is here, on all nodes. If no one is on this one, the other nodes are asked and have half a second to answer.
   *
   * Where the route has no `presence`, it is counted among the connections of this node.
   */
  async presence(): Promise<PresenceState> {
    return this.#post.presence(this.path);
  }

  /**
   * Takes a connection, or all connections of a user, out of this room, on every node. It does not close them, but where the
   * route says `closeOnLastRoomLeft`; they may join again where nothing forbids it.
   *
   * ```ts
   * app.registry.room("/chat/general").evict({ user: "ann" }, { reason: "rude" });
   * ```
   *
   * If other nodes cannot be reached, members of this one are taken out, and an error is reported to the app.
   *
   * @throws EnfiladeError `ERR_OPTION` when `who` is neither, `ERR_USER`.
   */
  evict(who: Evictee, options: EvictOptions = {}): void {
    checkNames("evict()", options, ["reason"]);
    const reason: unknown = options.reason ?? "";
    if (typeof reason !== "string")
      throw new EnfiladeError("ERR_OPTION", `reason takes a string, got ${typeof reason}`);
    this.#post.evict(this.path, { who: evicted(who), reason: checkedReason(CloseCode.normal, reason) });
  }

  /**
   * A stream into this room, such as for the output of a process:
   * `Readable.toWeb(child.stdout).pipeTo(room.writer({ text: true }))`.
   *
   * Strings become text messages, bytes binary ones. It goes no faster than the members read, but for one that holds up the others for more than a second.
   */
  writer(given: WriterOptions = {}): WritableStream<string | Uint8Array> {
    const { text = false, ...options } = given;
    checkNames("writer()", given, ["text", "policy", "except", "keep"]);
    const publish = (payload: Payload) => this.#post.publish(this.path, payload, options);
    return roomWriter({ publish, clock: this.#post.clock, members: () => this.#members() }, text);
  }

  #members(): Member[] {
    return [...(this.#post.membersOf(this.path) ?? [])];
  }

  #needHistory(what: string): void {
    if (this.#post.historyConfig(this.path) !== undefined) return;
    throw new EnfiladeError(
      "ERR_HISTORY",
      `${what} of ${this.path} needs history: give its route history: { size: 100, seconds: 3600 }`,
    );
  }
}

/** @throws EnfiladeError `ERR_OPTION` for the id of a user, which would evict nothing. */
function evictedConnection(id: string): EvictCommand["who"] {
  if (isConnectionId(id)) return { connection: id };
  const quoted = JSON.stringify(id);
  throw new EnfiladeError(
    "ERR_OPTION",
    `evict takes the id of a connection, and ${quoted} is none; for a user pass { user: ${quoted} }`,
  );
}

function evicted(who: Evictee): EvictCommand["who"] {
  if (who instanceof User) return { user: who.id };
  const id: unknown = typeof who === "string" ? who : who !== null && typeof who === "object" && "id" in who && who.id;
  // A handler has an id and a user: it stands for its connection.
  if (typeof id === "string") return evictedConnection(id);
  if (typeof who === "object" && who !== null && "user" in who) return { user: userIdOf(userTopic(who.user)) };
  throw new EnfiladeError("ERR_OPTION", `evict takes a handler, a connection, an id or { user }, got ${typeof who}`);
}

function count(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return otherwise;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new EnfiladeError("ERR_OPTION", `${name} takes a whole number, got ${String(value)}`);
}

function checked(since: Position | undefined): Position | undefined {
  if (since === undefined) return undefined;
  const { epoch, offset } = since ?? {};
  if (typeof epoch === "string" && epoch !== "" && Number.isSafeInteger(offset) && offset >= 0) return since;
  throw new EnfiladeError("ERR_OPTION", `since takes a position { epoch, offset }, got ${JSON.stringify(since)}`);
}
