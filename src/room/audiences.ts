import type { Backplane } from "../backplane/backplane.js";
import { baseOf, isRoom, isTree, isUser, patternOf, type Topic, userIdOf } from "../backplane/topic.js";
import type { Member } from "../protocol/dialect.js";
import { Audience } from "./audience.js";
import type { RoomTable } from "./roomTable.js";

/** Who is addressed by which topic on this node: rooms, and the users, channels and everyone that no path names. */
export class Audiences {
  readonly #backplane: Backplane;
  readonly #rooms: RoomTable;
  readonly #groups = new Map<Topic, Audience>();
  #userCount = 0;

  constructor(backplane: Backplane, rooms: RoomTable) {
    this.#backplane = backplane;
    this.#rooms = rooms;
  }

  /** How many users are connected to this node. */
  get userCount(): number {
    return this.#userCount;
  }

  /** The ids of the users who are connected to this node. */
  get userIds(): string[] {
    return [...this.#groups.keys()].flatMap((topic) => (isUser(topic) ? userIdOf(topic) : []));
  }

  /** Who is addressed by a topic; `undefined` when this node has no member of it. */
  find(topic: Topic): Audience | undefined {
    if (isRoom(topic)) return this.#rooms.get(topic);
    if (!isTree(topic)) return this.#groups.get(topic);
    return Audience.union(this.#rooms.below(baseOf(topic)), patternOf(topic));
  }

  /** Adds a member to a topic that is no room; opens it on the backplane for the first one. */
  add(topic: Topic, member: Member): void {
    const known = this.#groups.get(topic);
    const audience = known ?? new Audience();
    audience.members.add(member);
    if (known !== undefined) return;
    this.#groups.set(topic, audience);
    audience.whenSubscribed(this.#backplane.open(topic));
    if (isUser(topic)) this.#userCount += 1;
  }

  remove(topic: Topic, member: Member): void {
    const audience = this.#groups.get(topic);
    if (audience === undefined) return;
    audience.members.delete(member);
    if (audience.inUse) return;
    this.#groups.delete(topic);
    this.#backplane.close(topic);
    if (isUser(topic)) this.#userCount -= 1;
  }
}
