import type { EvictCommand } from "../backplane/backplane.js";
import type { Topic } from "../backplane/topic.js";
import { isThenable } from "../connection/inbox.js";
import { EnfiladeError } from "../errors.js";
import type { JoiningClient, Member } from "../protocol/dialect.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { RoomPath } from "../wire/path.js";
import type { Audiences } from "./audiences.js";
import type { CatchUps } from "./history/catchUps.js";
import type { RoomTable } from "./roomTable.js";

/** What holds for the connections of one route. */
export interface MemberConfig {
  readonly channel: string | undefined;
  readonly joinsMax: number;
  /** Whether leaving its last room closes a connection. */
  readonly closeOnLastRoomLeft: boolean;
  /** How many of the last publications of its home a connection gets first. */
  readonly replay: number;
}

/** What the handler of a connection says of rooms beside its home. */
export interface MemberHooks {
  /** Whether it may join: only `true` admits it, or a promise of `true`. Without it, it may. */
  readonly authorizeJoin: ((path: RoomPath) => unknown) | undefined;
  onJoined(path: RoomPath): void;
  onLeft(path: RoomPath, reason: string): void;
}

interface Membership {
  readonly member: Member;
  readonly userId: string | undefined;
  readonly config: MemberConfig;
  readonly hooks: MemberHooks | undefined;
  /** A list, since it mostly has one entry and never more than `joinsMax`. */
  readonly rooms: RoomPath[];
  /** Joins that are not decided yet. */
  joining: Map<RoomPath, Promise<void>> | undefined;
}

export interface MembershipsDeps {
  readonly audiences: Audiences;
  readonly rooms: RoomTable;
  readonly catchUps: CatchUps;
}

const noRooms: readonly RoomPath[] = [];

/** Which connection of this node is in which rooms. */
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

  /** The rooms that a connection is in, its home first as long as it is there. */
  roomsOf(id: string): readonly RoomPath[] {
    return this.#memberships.get(id)?.rooms ?? noRooms;
  }

  /**
   * Puts a connection in one more room; in one where it is already, nothing changes, and once it has ended, neither.
   *
   * Returns a promise only where its handler decides by one; that rejects with what this method else throws.
   *
   * @throws EnfiladeError `ERR_JOINS_MAX`, `ERR_ROOMS_MAX` or `ERR_JOIN_REFUSED`, or what `authorizeJoin` throws.
   */
  join(id: string, path: RoomPath): Promise<void> | undefined {
    const membership = this.#memberships.get(id);
    if (membership === undefined || membership.rooms.includes(path)) return undefined;
    const known = membership.joining?.get(path);
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

  /** Takes a connection out of a room; where it is not, nothing changes. */
  leave(id: string, path: RoomPath, reason = ""): void {
    const membership = this.#memberships.get(id);
    membership?.joining?.delete(path);
    const index = membership?.rooms.indexOf(path) ?? -1;
    if (membership === undefined || index === -1) return;
    const { member, userId, config, hooks, rooms } = membership;
    rooms.splice(index, 1);
    this.#deps.rooms.leave(path, member, userId);
    if (path !== member.home) hooks?.onLeft(path, reason);
    if (config.closeOnLastRoomLeft && rooms.length === 0) member.close(CloseCode.normal, reason);
  }

  /** Takes a connection out of all its rooms, its home included. */
  leaveAll(id: string): void {
    this.#memberships.get(id)?.joining?.clear();
    for (const path of [...this.roomsOf(id)]) this.leave(id, path);
  }

  /** Takes connections of this node out of a room. */
  evict(path: RoomPath, { who, reason }: EvictCommand): void {
    if ("connection" in who) this.leave(who.connection, path, reason);
    else for (const { id } of this.#connectionsOf(who.user)) this.leave(id, path, reason);
  }

  /**
   * Enters a connection into its home, the room of its path, and all that addresses it.
   *
   * Where it gets past publications first, it returns a promise that resolves when it has them.
   *
   * @param client A client that knows of positions; `undefined` for any other.
   * @param hooks `undefined` where the handler says nothing of rooms beside its home.
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
    const membership: Membership = { member, userId, config, hooks, rooms: [home], joining: undefined };
    this.#memberships.set(member.id, membership);
    for (const topic of topicsOf(membership)) audiences.add(topic, member);
    const keeps = rooms.configOf(home).history !== undefined;
    const catchesUp = keeps && (client !== undefined || config.replay > 0);
    const catchUp = catchesUp ? catchUps.begin(member, config.replay, client) : undefined;
    rooms.enter(home, member, userId, catchUp?.buffer);
    const begin = () => {
      if (catchUp !== undefined) return catchUp.run();
      client?.welcome(client.since === undefined ? {} : { recovered: false, reason: "off" });
      return undefined;
    };
    const subscribed = this.#untilSubscribed(membership);
    return subscribed === undefined ? begin() : subscribed.then(begin);
  }

  /** Takes a connection out of everything; returns the rooms it was in. */
  exit(member: Member): readonly RoomPath[] {
    const membership = this.#memberships.get(member.id);
    if (membership === undefined) return noRooms;
    this.#memberships.delete(member.id);
    for (const room of membership.rooms) this.#deps.rooms.leave(room, member, membership.userId);
    for (const topic of topicsOf(membership)) this.#deps.audiences.remove(topic, member);
    return membership.rooms;
  }

  /** A refusal that nothing awaits is harmless, and must not count as an unhandled rejection. */
  #joinLater(membership: Membership, path: RoomPath, answer: PromiseLike<unknown>): Promise<void> {
    const joining: Promise<void> = this.#decide(membership, path, answer, () => joining);
    membership.joining ??= new Map();
    membership.joining.set(path, joining);
    joining.catch(() => undefined);
    return joining;
  }

  async #decide(
    membership: Membership,
    path: RoomPath,
    answer: PromiseLike<unknown>,
    own: () => Promise<void>,
  ): Promise<void> {
    try {
      checkAdmitted(await answer, path);
      if (membership.joining?.get(path) !== own()) {
        throw new EnfiladeError("ERR_JOIN_REFUSED", `it was taken out of ${path} before authorizeJoin had decided`);
      }
    } finally {
      if (membership.joining?.get(path) === own()) membership.joining.delete(path);
    }
    this.#join(membership, path);
  }

  /** A copy, since leaving may call code of the application. */
  #connectionsOf(userId: string): Member[] {
    return [...(this.#deps.audiences.find(`user:${userId}`)?.members ?? [])];
  }

  #join(membership: Membership, path: RoomPath): void {
    const { member, userId, hooks, rooms } = membership;
    // It may have ended, or joined, while its handler decided.
    if (this.#memberships.get(member.id) !== membership || rooms.includes(path)) return;
    this.#checkSpace(membership, path);
    rooms.push(path);
    this.#deps.rooms.enter(path, member, userId);
    if (path !== member.home) hooks?.onJoined(path);
  }

  #checkSpace({ config: { joinsMax }, rooms, joining }: Membership, path: RoomPath): void {
    if (rooms.length + (joining?.size ?? 0) >= joinsMax) {
      throw new EnfiladeError("ERR_JOINS_MAX", `a connection is in at most ${joinsMax} rooms; leave one first`);
    }
    this.#deps.rooms.checkSpace(path);
  }

  /** `undefined` when this node receives already all that a connection is addressed by. */
  #untilSubscribed(membership: Membership): Promise<unknown> | undefined {
    const home = this.#deps.rooms.get(membership.member.home);
    const pending = [home?.subscribed, home?.presence?.heard];
    for (const topic of topicsOf(membership)) pending.push(this.#deps.audiences.find(topic)?.subscribed);
    const waiting = pending.filter((subscribed) => subscribed !== undefined);
    return waiting.length === 0 ? undefined : Promise.all(waiting);
  }
}

/** @throws EnfiladeError `ERR_JOIN_REFUSED`: a forgotten `return`, or a user where `true` was meant, must not admit. */
function checkAdmitted(answer: unknown, path: RoomPath): void {
  if (answer === true) return;
  const came = typeof answer === "object" && answer !== null ? "an object" : String(answer);
  throw new EnfiladeError("ERR_JOIN_REFUSED", `authorizeJoin returned ${came} for ${path}; only true admits`);
}

/** The topics that address a connection beside its rooms. */
function topicsOf({ userId, config }: Pick<Membership, "userId" | "config">): Topic[] {
  const topics: Topic[] = ["all"];
  if (config.channel !== undefined) topics.push(`channel:${config.channel}`);
  if (userId !== undefined) topics.push(`user:${userId}`);
  return topics;
}
