import type { Backplane } from "../backplane/backplane.js";
import { baseOf, isRoom, isTree, isUser, patternOf, type Topic, userIdOf } from "../backplane/topic.js";
import type { Member } from "../protocol/dialect.js";
import { Audience } from "./audience.js";
import type { RoomTable } from "./roomTable.js";

/** The audiences of this node by topic: rooms and trees, users, channels, and all connections. */
export class Audiences {
  readonly #backplane: Backplane;
  readonly #rooms: RoomTable;
  readonly #groups = new Map<Topic, Audience>();
  #userCount = 0;

  constructor(backplane: Backplane, rooms: RoomTable) {
    this.#backplane = backplane;
    this.#rooms = rooms;
  }

  /** The number of users with a connection to this node. */
  get userCount(): number {
    return this.#userCount;
  }

  /** The ids of the users with a connection to this node. */
  get userIds(): string[] {
    return [...this.#groups.keys()].flatMap((topic) => (isUser(topic) ? userIdOf(topic) : []));
  }

  /** The audience of a topic; `undefined` if it has no member on this node. */
  find(topic: Topic): Audience | undefined {
    if (isRoom(topic)) return this.#rooms.get(topic);
    if (!isTree(topic)) return this.#groups.get(topic);
    return Audience.union(this.#rooms.below(baseOf(topic)), patternOf(topic));
  }

  /** Adds a member to a topic other than a room. For the first member, opens the topic on the backplane. */
  add(topic: Topic, member: Member): void {
    const known = this.#groups.get(topic);
    const audience = known ?? new Audience();
    audience.members.add(member);
    if (known !== undefined) return;
    this.#groups.set(topic, audience);
    audience.whenSubscribed(this.#backplane.open(topic));
    if (isUser(topic)) this.#userCount += 1;
  }

  /** Removes a member. After the last one, closes the topic on the backplane. */
  remove(topic: Topic, member: Member): void {
    const audience = this.#groups.get(topic);
    if (audience === undefined) return;
    audience.members.delete(member);
    if (audience.isInUse) return;
    this.#groups.delete(topic);
    this.#backplane.close(topic);
    if (isUser(topic)) this.#userCount -= 1;
  }
}
