import type { EvictCommand } from "../backplane/backplane.js";
import type { Topic } from "../backplane/topic.js";
import { isThenable } from "../connection/inbox.js";
import { EnfiladeError } from "../errors.js";
import type { JoiningClient, Member } from "../protocol/dialect.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { RoomPath } from "../wire/path.js";
import type { Audiences } from "./audiences.js";
import type { CatchUp, CatchUps } from "./history/catchUps.js";
import type { RoomTable } from "./roomTable.js";

/** The configuration of the connections of one route. */
export interface MemberConfig {
  /** The name of the route. */
  readonly channel: string | undefined;
  /** The maximum number of rooms of one connection. */
  readonly joinsMax: number;
  /** Whether to close a connection that has left its last room. */
  readonly closeOnLastRoomLeft: boolean;
  /** How many of the last publications of its home a new connection gets first. */
  readonly replay: number;
}

/** The handler's hooks for rooms other than the connection's home. */
export interface MemberHooks {
  /** Decides whether the connection may join: only with `true` or a promise of `true`. `undefined`: it may. */
  readonly authorizeJoin: ((path: RoomPath) => unknown) | undefined;
  onJoined(path: RoomPath): void;
  onLeft(path: RoomPath, reason: string): void;
}

interface Membership {
  readonly member: Member;
  readonly userId: string | undefined;
  readonly config: MemberConfig;
  readonly hooks: MemberHooks | undefined;
  /** An array: it rarely has more than one entry, and at most `joinsMax`. */
  readonly rooms: RoomPath[];
  /** Joins that wait for the decision of `authorizeJoin`. */
  pendingJoins: Map<RoomPath, Promise<void>> | undefined;
}

export interface MembershipsDeps {
  readonly audiences: Audiences;
  readonly rooms: RoomTable;
  readonly catchUps: CatchUps;
}

const noRooms: readonly RoomPath[] = [];

/** The rooms of each connection of this node. */
export class Memberships implements Iterable<Member> {
  readonly #deps: MembershipsDeps;
  /** By the id of the connection. */
  readonly #memberships = new Map<string, Membership>();

  constructor(deps: MembershipsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#memberships.size;
  }

  *[Symbol.iterator](): Generator<Member, void, undefined> {
    for (const { member } of this.#memberships.values()) yield member;
  }

  get(id: string): Member | undefined {
    return this.#memberships.get(id)?.member;
  }

  userIdOf(id: string): string | undefined {
    return this.#memberships.get(id)?.userId;
  }

  /** The rooms of a connection; its home is the first, unless the connection has left it. */
  roomsOf(id: string): readonly RoomPath[] {
    return this.#memberships.get(id)?.rooms ?? noRooms;
  }

  /**
   * Adds a connection to another room. Does nothing if it is in the room already, or has ended.
   *
   * Returns a promise if `authorizeJoin` returns one; the promise rejects with the errors below.
   *
   * @throws EnfiladeError `ERR_JOINS_MAX`, `ERR_ROOMS_MAX` or `ERR_JOIN_REFUSED`; also errors of `authorizeJoin`.
   */
  join(id: string, path: RoomPath): Promise<void> | undefined {
    const membership = this.#memberships.get(id);
    if (membership === undefined || membership.rooms.includes(path)) return undefined;
    const known = membership.pendingJoins?.get(path);
    if (known !== undefined) return known;
    if (membership.hooks?.authorizeJoin !== undefined) {
      this.#checkSpace(membership, path);
      const answer = membership.hooks.authorizeJoin(path);
      if (isThenable(answer)) return this.#joinLater(membership, path, answer);
      checkAdmitted(answer, path);
    }
    this.#join(membership, path);
    return undefined;
  }

  /** Removes a connection from a room; does nothing if it is not in the room. */
  leave(id: string, path: RoomPath, reason = ""): void {
    const membership = this.#memberships.get(id);
    membership?.pendingJoins?.delete(path);
    const index = membership?.rooms.indexOf(path) ?? -1;
    if (membership === undefined || index === -1) return;
    const { member, userId, config, hooks, rooms } = membership;
    rooms.splice(index, 1);
    countRooms(member, -1);
    if (path === member.home) member.readHomeBy(undefined);
    this.#deps.rooms.leave(path, member, userId);
    if (path !== member.home) {
      if (this.#deps.rooms.configOf(path).history !== undefined) member.dialect.joins?.onLeft(path);
      hooks?.onLeft(path, reason);
    }
    if (config.closeOnLastRoomLeft && rooms.length === 0) member.close(CloseCode.normal, reason);
  }

  /** Removes a connection from all its rooms, the home included. */
  leaveAll(id: string): void {
    this.#memberships.get(id)?.pendingJoins?.clear();
    for (const path of [...this.roomsOf(id)]) this.leave(id, path);
  }

  /** Removes connections of this node from a room. */
  evict(path: RoomPath, { who, reason }: EvictCommand): void {
    if ("connection" in who) this.leave(who.connection, path, reason);
    else for (const { id } of this.#connectionsOf(who.user)) this.leave(id, path, reason);
  }

  /**
   * Enters a new connection into its home and into the audiences of its user, its channel and all connections.
   *
   * Returns a promise if the connection has to wait for subscriptions or history; it resolves when these are done.
   *
   * @param client A client of `enfilade.v1`, which tracks positions; `undefined` for a plain client.
   * @param hooks `undefined` if the handler has no hooks for other rooms.
   */
  enter(
    member: Member,
    userId: string | undefined,
    config: MemberConfig,
    client: JoiningClient | undefined,
    hooks: MemberHooks | undefined,
  ): Promise<void> | undefined {
    const { home } = member;
    const { rooms, catchUps, audiences } = this.#deps;
    const membership: Membership = { member, userId, config, hooks, rooms: [home], pendingJoins: undefined };
    countRooms(member, 1);
    this.#memberships.set(member.id, membership);
    for (const topic of topicsOf(membership)) audiences.add(topic, member);
    const hasHistory = rooms.configOf(home).history !== undefined;
    const isCatchingUp = hasHistory && (client !== undefined || config.replay > 0);
    const catchUp = isCatchingUp ? catchUps.begin(member, config.replay, client) : undefined;
    rooms.enter(home, member, userId, catchUp?.buffer);
    if (hasHistory && catchUp === undefined) member.readHomeBy(catchUps);
    const begin = () => {
      if (catchUp !== undefined) return catchUp.run();
      if (client !== undefined) {
        catchUps.welcome(member, client, client.since === undefined ? {} : { recovered: false, reason: "off" });
      }
      return undefined;
    };
    const subscribed = this.#untilSubscribed(membership);
    return subscribed === undefined ? begin() : subscribed.then(begin);
  }

  /** Removes an ended connection from all rooms and audiences; returns the rooms it was in. */
  exit(member: Member): readonly RoomPath[] {
    const membership = this.#memberships.get(member.id);
    if (membership === undefined) return noRooms;
    this.#memberships.delete(member.id);
    countRooms(member, -membership.rooms.length);
    for (const room of membership.rooms) this.#deps.rooms.leave(room, member, membership.userId);
    for (const topic of topicsOf(membership)) this.#deps.audiences.remove(topic, member);
    return membership.rooms;
  }

  /** Joins when `authorizeJoin` has decided. The caller need not await it: a refusal is no unhandled rejection. */
  #joinLater(membership: Membership, path: RoomPath, answer: PromiseLike<unknown>): Promise<void> {
    const joining: Promise<void> = this.#decide(membership, path, answer, () => joining);
    membership.pendingJoins ??= new Map();
    membership.pendingJoins.set(path, joining);
    joining.catch(() => undefined);
    return joining;
  }

  async #decide(
    membership: Membership,
    path: RoomPath,
    answer: PromiseLike<unknown>,
    ownJoin: () => Promise<void>,
  ): Promise<void> {
    try {
      checkAdmitted(await answer, path);
      if (membership.pendingJoins?.get(path) !== ownJoin()) {
        throw new EnfiladeError("ERR_JOIN_REFUSED", `the connection left ${path} before authorizeJoin had decided`);
      }
    } finally {
      if (membership.pendingJoins?.get(path) === ownJoin()) membership.pendingJoins.delete(path);
    }
    this.#join(membership, path);
  }

  /** A copy: hooks of the application may change the set while members leave. */
  #connectionsOf(userId: string): Member[] {
    return [...(this.#deps.audiences.find(`user:${userId}`)?.members ?? [])];
  }

  #join(membership: Membership, path: RoomPath): void {
    const { member, userId, hooks, rooms } = membership;
    // While the handler decided, the connection may have ended, or joined in another call.
    if (this.#memberships.get(member.id) !== membership || rooms.includes(path)) return;
    this.#checkSpace(membership, path);
    rooms.push(path);
    countRooms(member, 1);
    const hasHistory = this.#deps.rooms.configOf(path).history !== undefined;
    const isHome = path === member.home;
    const joins = isHome || !hasHistory ? undefined : member.dialect.joins;
    const catchUp = joins && this.#deps.catchUps.join(member, path, joins);
    this.#deps.rooms.enter(path, member, userId, catchUp?.buffer);
    if (catchUp !== undefined) void this.#runWhenSubscribed(path, catchUp);
    if (isHome && hasHistory) member.readHomeBy(this.#deps.catchUps);
    if (!isHome) hooks?.onJoined(path);
  }

  /** Never rejects. */
  async #runWhenSubscribed(path: RoomPath, catchUp: CatchUp): Promise<void> {
    await this.#deps.rooms.get(path)?.subscribed;
    await catchUp.run();
  }

  #checkSpace({ member, config: { joinsMax }, rooms, pendingJoins }: Membership, path: RoomPath): void {
    const { socketRooms } = member.dialect;
    const count = socketRooms?.count ?? rooms.length;
    if (count + (pendingJoins?.size ?? 0) >= joinsMax) {
      const whose = socketRooms === undefined ? "a connection" : "the connections on a socket";
      throw new EnfiladeError(
        "ERR_JOINS_MAX",
        `${whose} can be in at most ${joinsMax} rooms (joinsMax); leave one first`,
      );
    }
    this.#deps.rooms.checkSpace(path);
  }

  /** Resolves when this node is subscribed to all topics of a connection; `undefined` if it is. */
  #untilSubscribed(membership: Membership): Promise<unknown> | undefined {
    const home = this.#deps.rooms.get(membership.member.home);
    const pending = [home?.subscribed, home?.presence?.loaded];
    for (const topic of topicsOf(membership)) pending.push(this.#deps.audiences.find(topic)?.subscribed);
    const waiting = pending.filter((subscribed) => subscribed !== undefined);
    return waiting.length === 0 ? undefined : Promise.all(waiting);
  }
}

/** @throws EnfiladeError `ERR_JOIN_REFUSED` unless the answer is `true`: a forgotten `return` must not allow a join. */
function checkAdmitted(answer: unknown, path: RoomPath): void {
  if (answer === true) return;
  const came = typeof answer === "object" && answer !== null ? "an object" : String(answer);
  throw new EnfiladeError(
    "ERR_JOIN_REFUSED",
    `authorizeJoin returned ${came} for ${path}; return true to let the connection join`,
  );
}

/** The topics of a connection, other than its rooms. */
function topicsOf({ userId, config }: Pick<Membership, "userId" | "config">): Topic[] {
  const topics: Topic[] = ["all"];
  if (config.channel !== undefined) topics.push(`channel:${config.channel}`);
  if (userId !== undefined) topics.push(`user:${userId}`);
  return topics;
}

/** Counts rooms for the socket that the connection shares with others, if it does. */
function countRooms({ dialect: { socketRooms } }: Member, change: number): void {
  if (socketRooms !== undefined) socketRooms.count += change;
}
