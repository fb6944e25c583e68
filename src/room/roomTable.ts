import type { Backplane } from "../backplane/backplane.js";
import type { Clock } from "../connection/clock.js";
import { EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import type { RoomPath } from "../wire/path.js";
import { PathTree } from "../wire/pathTree.js";
import type { DeliveryListener, DeliverySink } from "./audience.js";
import type { PresenceDeps } from "./presence/presence.js";
import type { PresenceChange, PresentUser } from "./presence/presenceState.js";
import type { RoomConfig } from "./roomConfig.js";
import { RoomState } from "./roomState.js";

/** Receives the events of rooms. */
export interface RoomEvents {
  onOpen(room: RoomState): void;
  /** A room is freed. Must call `end`, which may report users who left, before it reports that the room is freed. */
  onFree(room: RoomState, end: () => void): void;
  onPresence(room: RoomState, change: PresenceChange): void;
  /** A user joined or left on any node, and this node is the one that reports it. */
  onReport(path: RoomPath, event: "join" | "leave", user: PresentUser): void;
}

/** The operations and limits of a room table. */
export interface RoomTableDeps {
  readonly backplane: Backplane;
  readonly clock: Clock;
  readonly roomsMax: number;
  /** The configuration of the room of a path. */
  readonly configOf: (path: RoomPath) => RoomConfig;
  readonly events: RoomEvents;
  readonly report: (error: unknown) => void;
}

/** The open rooms of this node: from the first member or listener until the last one left and no user may return. */
export class RoomTable implements Iterable<RoomState> {
  readonly #deps: RoomTableDeps;
  readonly #rooms = new Map<RoomPath, RoomState>();
  readonly #tree = new PathTree<RoomState>();
  readonly #presenceDeps: PresenceDeps<RoomState>;
  #isClosing = false;

  constructor(deps: RoomTableDeps) {
    this.#deps = deps;
    const { backplane, clock, events, report } = deps;
    this.#presenceDeps = {
      clock,
      report,
      reportPresence: (...args) => backplane.reportPresence(...args),
      onReport: (...args) => events.onReport(...args),
      announce: (...args) => backplane.announce(...args),
      onChange: (...args) => events.onPresence(...args),
      hasGrace: () => !this.#isClosing,
      onGraceEnd: (room) => this.#freeUnused(room),
    };
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

  /** The configuration of the room of `path`, open or not. */
  configOf(path: RoomPath): RoomConfig {
    return this.#rooms.get(path)?.config ?? this.#deps.configOf(path);
  }

  /** Whether the room of `path` is open or can be opened. */
  hasSpace(path: RoomPath): boolean {
    return this.#rooms.size < this.#deps.roomsMax || this.#rooms.has(path);
  }

  /** @throws EnfiladeError `ERR_ROOMS_MAX` when the room cannot be opened. */
  checkSpace(path: RoomPath): void {
    if (this.hasSpace(path)) return;
    const problem = `cannot open ${path}: this node has its maximum of ${this.#deps.roomsMax} rooms`;
    throw new EnfiladeError("ERR_ROOMS_MAX", `${problem}; raise limits.roomsMax of the app`);
  }

  /**
   * Adds a member to a room; opens the room for the first one.
   *
   * @param buffer Receives deliveries until the member has caught up; `undefined`: the member receives them at once.
   */
  enter(path: RoomPath, member: Member, userId: string | undefined, buffer?: DeliverySink): void {
    this.#open(path, (room) => {
      room.members.add(member);
      if (buffer !== undefined) room.redirect(member, buffer);
      room.presence?.enter(member, userId);
    });
  }

  /** Removes a member from a room; frees the room after the last one. */
  leave(path: RoomPath, member: Member, userId: string | undefined): void {
    const room = this.#rooms.get(path);
    if (room === undefined) return;
    room.members.delete(member);
    room.redirect(member, undefined);
    room.presence?.exit(member, userId);
    this.#freeUnused(room);
  }

  /** A room of a member; `undefined` if the member is not in it. */
  roomOf(member: Member, path: RoomPath): RoomState | undefined {
    const room = this.#rooms.get(path);
    return room?.members.has(member) ? room : undefined;
  }

  /**
   * Adds a listener to a room, and opens the room if needed.
   *
   * @throws EnfiladeError `ERR_ROOMS_MAX` when the room cannot be opened.
   */
  listen(path: RoomPath, listener: DeliveryListener): void {
    this.checkSpace(path);
    this.#open(path, (room) => room.listen(listener));
  }

  /** Removes a listener; frees the room after the last one. */
  unlisten(path: RoomPath, listener: DeliveryListener): void {
    const room = this.#rooms.get(path);
    if (room === undefined) return;
    room.unlisten(listener);
    this.#freeUnused(room);
  }

  /** Called when the app closes: frees rooms without members. From now on no room waits for users who may return. */
  close(): void {
    this.#isClosing = true;
    for (const room of [...this.#rooms.values()]) this.#freeUnused(room);
  }

  /** Opens the room of a path if needed, and calls `enter` before the event `onOpen`. */
  #open(path: RoomPath, enter: (room: RoomState) => void): void {
    const known = this.#rooms.get(path);
    const room = known ?? new RoomState(path, this.#deps.configOf(path), this.#presenceDeps);
    if (known === undefined) {
      // Before `enter`, which may call code of the application.
      this.#rooms.set(path, room);
      this.#tree.set(path, room);
      room.whenSubscribed(this.#deps.backplane.open(path, room.config.history));
    }
    enter(room);
    if (known === undefined) this.#deps.events.onOpen(room);
  }

  #freeUnused(room: RoomState): void {
    const isInGrace = room.presence?.isInGrace === true && !this.#isClosing;
    if (room.isInUse || isInGrace || this.#rooms.get(room.path) !== room) return;
    this.#rooms.delete(room.path);
    this.#tree.delete(room.path);
    const isOpenElsewhere = this.#deps.backplane.nodesInRoom(room.path).others.length > 0;
    this.#deps.events.onFree(room, () => {
      room.presence?.end(isOpenElsewhere);
      this.#deps.backplane.close(room.path);
    });
  }
}
