import type { Backplane, BackplaneContext, EvictCommand, HistoryConfig, HistoryQuery } from "../backplane/backplane.js";
import { addCounts, type Counts } from "../backplane/counts.js";
import { isRoom, isTree, type Topic, type UserId, userIdOf, userTopic } from "../backplane/topic.js";
import type { Clock } from "../connection/clock.js";
import { type Connection, connectionOf } from "../connection/connection.js";
import { EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import { type ListenOptions, Notifier } from "../wire/notifier.js";
import { checkNames } from "../wire/options.js";
import { type PathLimits, type RoomPath, roomName } from "../wire/path.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import { Channel, type SendOptions, User } from "./address.js";
import { Audiences } from "./audiences.js";
import { CatchUps } from "./history/catchUps.js";
import type { Publication } from "./history/publication.js";
import { RoomHistory } from "./history/roomHistory.js";
import type { Subscription } from "./history/subscription.js";
import { TreeListeners } from "./history/treeListeners.js";
import type { RecoveryLimits } from "./limits.js";
import { Memberships } from "./memberships.js";
import { type PresenceState, stateElsewhere, stateOf } from "./presence/presenceState.js";
import { type PublicationObserver, Publisher } from "./publisher.js";
import { type RegistryEvents, registryEvents } from "./registryEvents.js";
import { Room, type SubscribeOptions } from "./room.js";
import type { RoomConfig } from "./roomConfig.js";
import type { RoomState } from "./roomState.js";
import { type RoomEvents, RoomTable } from "./roomTable.js";
import { Sender } from "./sender.js";

export interface RegistryDeps extends BackplaneContext {
  readonly backplane: Backplane;
  readonly limits: BackplaneContext["limits"] & RecoveryLimits & PathLimits;
  /** What holds for the room of a path. */
  readonly configOf: (path: RoomPath) => RoomConfig;
  readonly observer: PublicationObserver;
  /** Takes errors of calls that nothing awaits. */
  readonly report: (error: unknown) => void;
}

/** All connections of this node, grouped by path: the way to send from code outside handlers. */
export class Registry extends Sender {
  readonly #deps: RegistryDeps;
  readonly #rooms: RoomTable;
  readonly #audiences: Audiences;
  /** @internal Which connection is in which rooms. */
  readonly memberships: Memberships;
  readonly #history: RoomHistory;
  readonly #events: Notifier<RegistryEvents>;
  /** @internal The way of every publication. */
  readonly publisher: Publisher;

  constructor(deps: RegistryDeps) {
    super();
    const { backplane, clock, configOf, report, limits } = deps;
    this.#deps = deps;
    this.#events = new Notifier("the registry", registryEvents, report);
    const roomsMax = limits.roomsMax;
    this.#rooms = new RoomTable({ backplane, clock, configOf, report, roomsMax, events: this.#roomEvents });
    const rooms = this.#rooms;
    this.#audiences = new Audiences(backplane, rooms);
    const trees = new TreeListeners(backplane);
    this.#history = new RoomHistory({ backplane, rooms, trees, subscriberMessagesMax: limits.subscriberMessagesMax });
    const catchUps = new CatchUps({
      ...{ clock, limits, onError: report },
      read: (path, query) => this.#history.readPage(path, query),
      live: (member) => rooms.get(member.home)?.replace(member, undefined),
    });
    this.memberships = new Memberships({ audiences: this.#audiences, rooms, catchUps });
    this.publisher = new Publisher({
      ...{ backplane, rooms, trees, audiences: this.#audiences, observer: deps.observer, onError: report },
      clientNameOf: (id) => this.memberships.get(id)?.dialect.clientName,
      counts: () => this.counts.local,
      evict: (path, command) => this.memberships.evict(path, command),
      onGap: (path, { missed }) => this.#events.tell("lagged", new Room(path, this), missed),
    });
    backplane.start(this.publisher, deps);
  }

  /**
   * The room of a path, whether anyone is there or not.
   *
   * @throws EnfiladeError `ERR_PATH` when `path` is no room path.
   */
  room(path: string): Room {
    return new Room(this.pathOf(path), this);
  }

  /** @throws EnfiladeError `ERR_USER` when the id is neither a string nor a finite number. */
  user(id: UserId): User {
    return new User(userIdOf(userTopic(id)), this);
  }

  channel(name: string): Channel {
    return new Channel(name, this);
  }

  connection(id: string): Connection | undefined {
    const member = this.memberships.get(id);
    return member && connectionOf(member);
  }

  /** The connections of this node; a copy. */
  get connections(): Connection[] {
    return [...this.memberships].map(connectionOf);
  }

  /** The rooms of this node in which somebody is, or listens; a copy. */
  get rooms(): Room[] {
    return [...this.#rooms].map(({ path }) => new Room(path, this));
  }

  /** The users who are connected to this node; a copy. */
  get users(): User[] {
    return this.#audiences.userIds.map((id) => new User(id, this));
  }

  /**
   * How many connections, rooms and users there are: on this node, and on all of them, as these told last.
   *
   * A room or a user that is on several nodes counts once for each.
   */
  get counts(): { local: Counts; cluster: Counts } {
    const local = { connections: this.memberships.size, rooms: this.#rooms.size, users: this.#audiences.userCount };
    return { local, cluster: addCounts(local, this.#deps.backplane.countsElsewhere()) };
  }

  /** Calls `listener` at each event of this name. Returns a function that removes it. */
  on<Name extends keyof RegistryEvents>(
    event: Name,
    listener: (...args: RegistryEvents[Name]) => unknown,
    options?: ListenOptions,
  ): () => void {
    return this.#events.on(event, listener, options);
  }

  /**
   * Puts a connection in one more room; in one where it is already, nothing changes, and once it has ended, neither.
   *
   * Where the handler of the connection has an `authorizeJoin` that is async, it returns a promise, which rejects with what
   * this method else throws.
   *
   * @throws EnfiladeError `ERR_PATH`, `ERR_JOINS_MAX`, `ERR_ROOMS_MAX`, or `ERR_JOIN_REFUSED` by `authorizeJoin`.
   */
  join(connection: Connection, path: string): Promise<void> | undefined {
    return this.memberships.join(connection.id, this.pathOf(path));
  }

  /** Takes a connection out of a room; where it is not, nothing changes. */
  leave(connection: Connection, path: string): void {
    this.memberships.leave(connection.id, this.pathOf(path));
  }

  /** Takes a connection out of all its rooms, its home included. */
  leaveAll(connection: Connection): void {
    this.memberships.leaveAll(connection.id);
  }

  /** The rooms that a connection is in, its home first as long as it is there. */
  roomsOf(connection: Connection): Room[] {
    return this.memberships.roomsOf(connection.id).map((path) => new Room(path, this));
  }

  /**
   * Listens to a room, as {@link Room.subscribe} does, or to a whole tree: to `/chat/**` and every room below it. Each
   * publication of a tree says its `room`.
   *
   * A tree is live only, and makes no room exist. On a single node it receives all that is published to its rooms. Over Redis or
   * NATS it receives from all nodes what is sent to a tree, and what is published to rooms that this node has open: those with
   * a member or a subscription here.
   *
   * @throws EnfiladeError `ERR_PATH`; `ERR_OPTION` for `replay` or `since` of a tree, or what `room.subscribe()` throws.
   */
  subscribe(path: string, options: SubscribeOptions = {}): Subscription {
    const topic = this.topicOf(path);
    if (!isTree(topic)) return this.room(path).subscribe(options);
    checkNames("subscribe()", options, ["signal", "replay", "since"]);
    if (options.replay === undefined && options.since === undefined) {
      return this.#history.subscribeToTree(topic, options.signal);
    }
    const why = "each of its rooms has an order of its own; read the history of one room";
    throw new EnfiladeError("ERR_OPTION", `a subscription to the tree ${path} takes no replay or since: ${why}`);
  }

  /**
   * Sends a connection the presence of a room it is in: who is there, and from then on who comes and goes.
   *
   * @throws EnfiladeError `ERR_PRESENCE` when it is not in that room, or the room's route has no `presence`; `ERR_PATH`.
   */
  watchPresence(connection: Connection, path: string): void {
    const room = this.#rooms.get(this.pathOf(path));
    const member = this.memberships.get(connection.id);
    if (room === undefined || member === undefined || !room.members.has(member)) {
      throw new EnfiladeError(
        "ERR_PRESENCE",
        `a connection watches the presence of rooms it is in; join ${path} first`,
      );
    }
    if (room.presence === undefined) {
      throw new EnfiladeError("ERR_PRESENCE", `presence is off in ${path}: give its route presence: "full"`);
    }
    room.presence.watch(member);
  }

  /** @internal The room of `path` if the connection is in it; what is no room path is a room it is not in. */
  roomOf(connectionId: string, path: string): RoomPath | undefined {
    try {
      const room = this.pathOf(path);
      return this.memberships.roomsOf(connectionId).includes(room) ? room : undefined;
    } catch (error) {
      if (error instanceof EnfiladeError) return undefined;
      throw error;
    }
  }

  /** @internal The canonical path of a room. */
  pathOf(path: string): RoomPath {
    // The key of a room is canonical: a path found here needs no second check.
    if (typeof path === "string" && isRoom(path) && this.#rooms.get(path) !== undefined) return path;
    return roomName(path, this.#deps.limits);
  }

  /** @internal */
  configOf(path: RoomPath): RoomConfig {
    return this.#rooms.configOf(path);
  }

  /** @internal Members of this node. */
  get members(): Iterable<Member> {
    return this.memberships;
  }

  /** @internal Asks those clients to connect elsewhere that can be asked, and returns them. */
  drain(withinMs: number): Member[] {
    return [...this.memberships].filter((member) => {
      const bytes = member.dialect.encodeDrain(withinMs);
      if (bytes !== undefined) member.push(bytes, undefined);
      return bytes !== undefined;
    });
  }

  /** @internal Whether a connection with this home may come in. */
  hasSpace(home: RoomPath): boolean {
    return this.#rooms.hasSpace(home);
  }

  /** @internal */
  publish(topic: Topic, payload: Payload, options: SendOptions | undefined): Promise<Position | undefined> {
    return this.publisher.publish(topic, payload, options);
  }

  /** @internal Closes everyone in `topic`, on every node. */
  closeAll(topic: Topic, code: number, reason: string): void {
    this.publisher.closeAll(topic, code, reason);
  }

  /** @internal Takes members out of a room, on every node. */
  evict(path: RoomPath, command: EvictCommand): void {
    this.publisher.evict(path, command);
  }

  /** @internal */
  membersOf(topic: Topic): ReadonlySet<Member> | undefined {
    return this.#audiences.find(topic)?.members;
  }

  /** @internal */
  historyConfig(path: RoomPath): HistoryConfig | undefined {
    return this.configOf(path).history;
  }

  /** @internal */
  history(path: RoomPath, query: HistoryQuery): Promise<readonly Publication[]> {
    return this.#history.read(path, query);
  }

  /** @internal */
  subscribeToRoom(path: RoomPath, past: HistoryQuery | undefined, signal: AbortSignal | undefined): Subscription {
    return this.#history.subscribe(path, past, signal);
  }

  /** @internal */
  async presence(path: RoomPath): Promise<PresenceState> {
    const room = this.#rooms.get(path);
    const { mode } = this.#rooms.configOf(path).presence;
    const isElsewhere = room === undefined || (room.members.size === 0 && room.presence?.state.count === 0);
    if (isElsewhere && mode !== "off") return stateElsewhere(await this.#deps.backplane.readPresence(path), mode);
    return room?.presence?.state ?? stateOf(room?.members ?? [], (id) => this.memberships.userIdOf(id));
  }

  /** @internal */
  get clock(): Clock {
    return this.#deps.clock;
  }

  /** @internal */
  roomState(path: RoomPath): RoomState | undefined {
    return this.#rooms.get(path);
  }

  /** @internal Ends every subscription of this node. */
  endSubscriptions(): void {
    this.#history.endSubscriptions();
  }

  /** @internal Frees the rooms that wait for users to return. */
  closeRooms(): void {
    this.#rooms.close();
  }

  get #roomEvents(): RoomEvents {
    const handle = ({ path }: RoomState) => new Room(path, this);
    return {
      opened: (room) => this.#events.tell("room", handle(room)),
      freed: (room, end) =>
        this.#events.together(() => {
          end();
          this.#events.tell("room-empty", new Room(room.path, this, room));
        }),
      presence: (room, change) => this.#events.tell("presence", handle(room), change),
      reported: (path, event, user) => this.#events.tell(event, new Room(path, this), user),
    };
  }
}
