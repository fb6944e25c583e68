import type { Topic } from "../backplane/topic.js";
import { EnfiladeError } from "../errors.js";
import type { JoiningClient, Member } from "../protocol/dialect.js";
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

interface Membership {
  readonly member: Member;
  readonly userId: string | undefined;
  readonly config: MemberConfig;
  /** A list, since it mostly has one entry and never more than `joinsMax`. */
  readonly rooms: RoomPath[];
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
   * @throws EnfiladeError `ERR_JOINS_MAX` or `ERR_ROOMS_MAX`.
   */
  join(id: string, path: RoomPath): void {
    const membership = this.#memberships.get(id);
    if (membership === undefined || membership.rooms.includes(path)) return;
    const { joinsMax } = membership.config;
    if (membership.rooms.length >= joinsMax) {
      throw new EnfiladeError("ERR_JOINS_MAX", `a connection is in at most ${joinsMax} rooms; leave one first`);
    }
    this.#deps.rooms.checkSpace(path);
    membership.rooms.push(path);
    this.#deps.rooms.enter(path, membership.member, membership.userId);
  }

  /** Takes a connection out of a room; where it is not, nothing changes. */
  leave(id: string, path: RoomPath): void {
    const membership = this.#memberships.get(id);
    const index = membership?.rooms.indexOf(path) ?? -1;
    if (membership === undefined || index === -1) return;
    const { member, userId, config, rooms } = membership;
    rooms.splice(index, 1);
    this.#deps.rooms.leave(path, member, userId);
    if (config.closeOnLastRoomLeft && rooms.length === 0) member.close(1000, "");
  }

  /**
   * Enters a connection into its home, the room of its path, and all that addresses it.
   *
   * Where it gets past publications first, it returns a promise that resolves when it has them.
   *
   * @param client A client that knows of positions; `undefined` for any other.
   */
  enter(
    member: Member,
    userId: string | undefined,
    config: MemberConfig,
    client: JoiningClient | undefined,
  ): Promise<void> | undefined {
    const { home } = member;
    const { rooms, catchUps, audiences } = this.#deps;
    const membership = { member, userId, config, rooms: [home] };
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

  /** `undefined` when this node receives already all that a connection is addressed by. */
  #untilSubscribed(membership: Membership): Promise<unknown> | undefined {
    const home = this.#deps.rooms.get(membership.member.home);
    const pending = [home?.subscribed, home?.presence?.heard];
    for (const topic of topicsOf(membership)) pending.push(this.#deps.audiences.find(topic)?.subscribed);
    const waiting = pending.filter((subscribed) => subscribed !== undefined);
    return waiting.length === 0 ? undefined : Promise.all(waiting);
  }
}

/** The topics that address a connection beside its rooms. */
function topicsOf({ userId, config }: Pick<Membership, "userId" | "config">): Topic[] {
  const topics: Topic[] = ["all"];
  if (config.channel !== undefined) topics.push(`channel:${config.channel}`);
  if (userId !== undefined) topics.push(`user:${userId}`);
  return topics;
}
