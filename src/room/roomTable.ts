import type { Backplane } from "../backplane/backplane.js";
import type { Clock } from "../connection/clock.js";
import { EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import type { RoomPath } from "../wire/path.js";
import { PathTree } from "../wire/pathTree.js";
import type { DeliveryListener, DeliverySink } from "./audience.js";
import { Presence } from "./presence/presence.js";
import type { PresenceChange, PresentUser } from "./presence/presenceState.js";
import type { RoomConfig } from "./roomConfig.js";
import { RoomState } from "./roomState.js";

/** What happens to rooms. */
export interface RoomEvents {
  opened(room: RoomState): void;
  /** Calls `end`, which may still tell who left, before it tells that the room is freed. */
  freed(room: RoomState, end: () => void): void;
  presence(room: RoomState, change: PresenceChange): void;
  /** A user joined or left, on whatever node, and this node is the one that reports it. */
  reported(path: RoomPath, event: "join" | "leave", user: PresentUser): void;
}

export interface RoomTableDeps {
  readonly backplane: Backplane;
  readonly clock: Clock;
  readonly roomsMax: number;
  /** What holds for the room of a path. */
  readonly configOf: (path: RoomPath) => RoomConfig;
  readonly events: RoomEvents;
  readonly report: (error: unknown) => void;
}

/** The rooms that exist on this node: each from its first member or listener to its last, and the grace of its last user. */
export class RoomTable implements Iterable<RoomState> {
  readonly #deps: RoomTableDeps;
  readonly #rooms = new Map<RoomPath, RoomState>();
  readonly #tree = new PathTree<RoomState>();
  #isClosing = false;

  constructor(deps: RoomTableDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#rooms.size;
  }

  [Symbol.iterator](): Iterator<RoomState> {
    return this.#rooms.values();
  }

  get(path: RoomPath): RoomState | undefined {
    return this.#rooms.get(path);
  }

  /** The room of `path` and those below it. */
  below(path: RoomPath): RoomState[] {
    return this.#tree.below(path);
  }

  /** What holds for the room of `path`, whether it exists or not. */
  configOf(path: RoomPath): RoomConfig {
    return this.#rooms.get(path)?.config ?? this.#deps.configOf(path);
  }

  /** Whether the room of `path` exists or may still be added. */
  hasSpace(path: RoomPath): boolean {
    return this.#rooms.size < this.#deps.roomsMax || this.#rooms.has(path);
  }

  /** @throws EnfiladeError `ERR_ROOMS_MAX`. */
  checkSpace(path: RoomPath): void {
    if (this.hasSpace(path)) return;
    throw new EnfiladeError("ERR_ROOMS_MAX", `this node has its ${this.#deps.roomsMax} rooms; none can be added`);
  }

  /** @param buffer Takes what is published as long as the member is not ready for it. */
  enter(path: RoomPath, member: Member, userId: string | undefined, buffer?: DeliverySink): void {
    this.#open(path, (opening) => {
      opening.members.add(member);
      if (buffer !== undefined) opening.replace(member, buffer);
      opening.presence?.enter(member, userId);
    });
  }

  leave(path: RoomPath, member: Member, userId: string | undefined): void {
    const room = this.#rooms.get(path);
    if (room === undefined) return;
    room.members.delete(member);
    room.replace(member, undefined);
    room.presence?.exit(member, userId);
    this.#freeUnused(room);
  }

  /** @throws EnfiladeError `ERR_ROOMS_MAX`. */
  listen(path: RoomPath, listener: DeliveryListener): void {
    this.checkSpace(path);
    this.#open(path, (room) => room.listen(listener));
  }

  unlisten(path: RoomPath, listener: DeliveryListener): void {
    const room = this.#rooms.get(path);
    if (room === undefined) return;
    room.unlisten(listener);
    this.#freeUnused(room);
  }

  /** The app closes: rooms that only wait for users to return are freed, and no room waits from now on. */
  close(): void {
    this.#isClosing = true;
    for (const room of [...this.#rooms.values()]) this.#freeUnused(room);
  }

  /** The room of a path, opened if need be, with whom it is opened for in it before anybody is told. */
  #open(path: RoomPath, enter: (room: RoomState) => void): void {
    const known = this.#rooms.get(path);
    const room = known ?? this.#make(path);
    if (known === undefined) {
      // There before anybody enters, which may call code of the application.
      this.#rooms.set(path, room);
      this.#tree.set(path, room);
      room.whenSubscribed(this.#deps.backplane.open(path, room.config.history));
    }
    enter(room);
    if (known === undefined) this.#deps.events.opened(room);
  }

  #make(path: RoomPath): RoomState {
    const { clock, events, report } = this.#deps;
    const config = this.#deps.configOf(path);
    if (config.presence.mode === "off") return new RoomState(path, config, undefined);
    const presence: Presence = new Presence({
      ...{ path, clock, report, terms: config.presence },
      isMember: (member) => room.members.has(member),
      reportPresence: (key, isPresent, report) => this.#deps.backplane.reportPresence(path, key, isPresent, report),
      reported: (event, user) => events.reported(path, event, user),
      attend: (key, entry) => this.#deps.backplane.announce(path, key, entry),
      changed: (change) => events.presence(room, change),
      hasGrace: () => !this.#isClosing,
      waitingEnded: () => this.#freeUnused(room),
    });
    const room = new RoomState(path, config, presence);
    return room;
  }

  #freeUnused(room: RoomState): void {
    const isWaiting = room.presence?.isWaiting === true && !this.#isClosing;
    if (room.inUse || isWaiting || this.#rooms.get(room.path) !== room) return;
    this.#rooms.delete(room.path);
    this.#tree.delete(room.path);
    const goesOn = this.#deps.backplane.nodesInRoom(room.path).others.length > 0;
    this.#deps.events.freed(room, () => {
      room.presence?.end(goesOn);
      this.#deps.backplane.close(room.path);
    });
  }
}
