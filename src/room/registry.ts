import type { Backplane, BackplaneContext, EvictCommand, HistoryConfig, HistoryQuery } from "../backplane/backplane.js";
import { addCounts, type Counts } from "../backplane/counts.js";
import {
  isRoom,
  isTree,
  type RevokedClients,
  type Topic,
  type UserId,
  userIdOf,
  userTopic,
} from "../backplane/topic.js";
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
import { CatchUps, type ResumptionObserver } from "./history/catchUps.js";
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

/** The app's parts that the registry needs. */
export interface RegistryDeps extends BackplaneContext {
  readonly backplane: Backplane;
  readonly limits: BackplaneContext["limits"] & RecoveryLimits & PathLimits;
  /** The configuration of the room of a path. */
  readonly configOf: (path: RoomPath) => RoomConfig;
  readonly observer: PublicationObserver & ResumptionObserver;
  /** Called on every node when the access of clients is revoked. */
  readonly onRevoked: (clients: RevokedClients) => void;
  /** Receives errors of calls that nothing awaits. */
  readonly report: (error: unknown) => void;
}

/** The connections, rooms and users of the app: `app.registry`. Use it to send from code outside handlers. */
export class Registry extends Sender {
  readonly #deps: RegistryDeps;
  /** @internal The open rooms of this node. */
  readonly roomTable: RoomTable;
  readonly #audiences: Audiences;
  /** @internal The rooms of each connection. */
  readonly memberships: Memberships;
  readonly #history: RoomHistory;
  readonly #events: Notifier<RegistryEvents>;
  /** @internal Every publication passes here. */
  readonly publisher: Publisher;

  constructor(deps: RegistryDeps) {
    super();
    const { backplane, clock, configOf, report, limits } = deps;
    this.#deps = deps;
    this.#events = new Notifier("the registry", registryEvents, report);
    const roomsMax = limits.roomsMax;
    this.roomTable = new RoomTable({ backplane, clock, configOf, report, roomsMax, events: this.#roomEvents });
    const rooms = this.roomTable;
    this.#audiences = new Audiences(backplane, rooms);
    const trees = new TreeListeners(backplane);
    this.#history = new RoomHistory({ backplane, rooms, trees, limits });
    const catchUps = new CatchUps({
      clock,
      limits,
      observer: deps.observer,
      onError: report,
      read: (path, query) => this.#history.readPage(path, query),
      roomOf: (member, path) => rooms.roomOf(member, path),
    });
    this.memberships = new Memberships({ audiences: this.#audiences, rooms, catchUps });
    this.publisher = new Publisher({
      backplane,
      rooms,
      trees,
      audiences: this.#audiences,
      observer: deps.observer,
      onError: report,
      memberOf: (id) => this.memberships.get(id),
      onRevoked: deps.onRevoked,
      counts: () => this.counts.local,
      evict: (path, command) => this.memberships.evict(path, command),
      onGap: (path, { missed }) => this.#events.emit("lagged", new Room(path, this), missed),
    });
    backplane.start(this.publisher, deps);
  }

  /**
   * A handle to the room of a path, with or without members.
   *
   * @throws EnfiladeError `ERR_PATH` when `path` is not a room path.
   */
  room(path: string): Room {
    return new Room(this.pathOf(path), this);
  }

  /**
   * All connections of one user, on all nodes, to send to them or close them. `7` and `"7"` are the same id.
   *
   * @throws EnfiladeError `ERR_USER` when the id is neither a string nor a finite number.
   */
  user(id: UserId): User {
    return new User(userIdOf(userTopic(id)), this);
  }

  /**
   * All connections that came through the route with this name, to send to them or close them. `app.channel(name)` also
   * checks the name.
   */
  channel(name: string): Channel {
    return new Channel(name, this);
  }

  /** The connection with this id; `undefined` if this node has none. */
  connection(id: string): Connection | undefined {
    const member = this.memberships.get(id);
    return member && connectionOf(member);
  }

  /** The connections of this node, as a new array. */
  get connections(): Connection[] {
    return [...this.memberships].map(connectionOf);
  }

  /** The open rooms of this node, as a new array; see {@link RegistryEvents}. */
  get rooms(): Room[] {
    return [...this.roomTable].map(({ path }) => new Room(path, this));
  }

  /** The users with a connection to this node, as a new array. */
  get users(): User[] {
    return this.#audiences.userIds.map((id) => new User(id, this));
  }

  /**
   * The number of connections, rooms and users: `local` on this node, `cluster` on all nodes, as last reported.
   *
   * In `cluster`, a room or a user on several nodes counts once for each node.
   */
  get counts(): { local: Counts; cluster: Counts } {
    const local = { connections: this.memberships.size, rooms: this.roomTable.size, users: this.#audiences.userCount };
    return { local, cluster: addCounts(local, this.#deps.backplane.countsElsewhere()) };
  }

  /**
   * Calls `listener` with each event of this name; see {@link RegistryEvents}. Returns a function that removes the
   * listener.
   *
   * @throws EnfiladeError `ERR_OPTION` for an unknown event or option.
   */
  on<Name extends keyof RegistryEvents>(
    event: Name,
    listener: (...args: RegistryEvents[Name]) => unknown,
    options?: ListenOptions,
  ): () => void {
    return this.#events.on(event, listener, options);
  }

  /**
   * Adds a connection to another room. Does nothing if it is in the room already, or has ended.
   *
   * Returns a promise if the handler's `authorizeJoin` is async; the promise rejects with the errors below.
   *
   * @throws EnfiladeError `ERR_PATH`; `ERR_JOINS_MAX` when the connection is in too many rooms, `ERR_ROOMS_MAX` when
   *   the room cannot be opened, `ERR_JOIN_REFUSED` when `authorizeJoin` refuses.
   */
  join(connection: Connection, path: string): Promise<void> | undefined {
    return this.memberships.join(connection.id, this.pathOf(path));
  }

  /** Removes a connection from a room; does nothing if it is not in the room. */
  leave(connection: Connection, path: string): void {
    this.memberships.leave(connection.id, this.pathOf(path));
  }

  /** Removes a connection from all its rooms, the home included. */
  leaveAll(connection: Connection): void {
    this.memberships.leaveAll(connection.id);
  }

  /** The rooms of a connection; its home is the first, unless the connection has left it. */
  roomsOf(connection: Connection): Room[] {
    return this.memberships.roomsOf(connection.id).map((path) => new Room(path, this));
  }

  /**
   * Subscribes server code to a room, as {@link Room.subscribe}, or to a tree: `/chat/**` is `/chat` and every room
   * below it. Each publication of a tree has its `room`.
   *
   * A tree has no history, and a subscription to it opens no rooms. On a single node it receives all publications to
   * rooms of the tree. Over Redis or NATS it receives messages sent to a tree, and publications to rooms that this node
   * has open.
   *
   * @throws EnfiladeError `ERR_PATH`; `ERR_OPTION` for `replay` or `since` with a tree; errors of `room.subscribe`.
   */
  subscribe(path: string, options: SubscribeOptions = {}): Subscription {
    const topic = this.topicOf(path);
    if (!isTree(topic)) return this.room(path).subscribe(options);
    checkNames("subscribe()", options, ["signal", "replay", "since"]);
    if (options.replay === undefined && options.since === undefined) {
      return this.#history.subscribeToTree(topic, options.signal);
    }
    const problem = `the tree ${path} has no history, so it takes no replay or since`;
    throw new EnfiladeError("ERR_OPTION", `${problem}; subscribe to one room instead`);
  }

  /**
   * Sends a connection the presence of a room it is in, and then each change, as messages of the type `presence`.
   *
   * @throws EnfiladeError `ERR_PRESENCE` when it is not in the room, or the room's route has no `presence`; `ERR_PATH`.
   */
  watchPresence(connection: Connection, path: string): void {
    const room = this.roomTable.get(this.pathOf(path));
    const member = this.memberships.get(connection.id);
    if (room === undefined || member === undefined || !room.members.has(member)) {
      throw new EnfiladeError(
        "ERR_PRESENCE",
        `a connection can only watch the presence of a room it is in; join ${path} first`,
      );
    }
    if (room.presence === undefined) {
      throw new EnfiladeError("ERR_PRESENCE", `presence is off in ${path}; give its route presence: "full" or "count"`);
    }
    room.presence.watch(member);
  }

  /** @internal The room of `path`; `undefined` if the connection is not in it, or if `path` is not a room path. */
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
    // The paths of open rooms are canonical, so they need no check.
    if (typeof path === "string" && isRoom(path) && this.roomTable.get(path) !== undefined) return path;
    return roomName(path, this.#deps.limits);
  }

  /** @internal */
  configOf(path: RoomPath): RoomConfig {
    return this.roomTable.configOf(path);
  }

  /** @internal Members of this node. */
  get members(): Iterable<Member> {
    return this.memberships;
  }

  /** @internal Whether the room of `home` is open or can be opened. */
  hasSpace(home: RoomPath): boolean {
    return this.roomTable.hasSpace(home);
  }

  /** @internal */
  publish(topic: Topic, payload: Payload, options: SendOptions | undefined): Promise<Position | undefined> {
    return this.publisher.publish(topic, payload, options);
  }

  /** @internal Closes all connections of `topic`, on every node. */
  closeAll(topic: Topic, code: number, reason: string): void {
    this.publisher.closeAll(topic, code, reason);
  }

  /** @internal Removes members from a room, on every node. */
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
    const room = this.roomTable.get(path);
    const { mode } = this.roomTable.configOf(path).presence;
    const isEmptyHere = room === undefined || (room.members.size === 0 && room.presence?.state.count === 0);
    if (isEmptyHere && mode !== "off") return stateElsewhere(await this.#deps.backplane.readPresence(path), mode);
    return room?.presence?.state ?? stateOf(room?.members ?? [], (id) => this.memberships.userIdOf(id));
  }

  /** @internal */
  get clock(): Clock {
    return this.#deps.clock;
  }

  /** @internal */
  roomState(path: RoomPath): RoomState | undefined {
    return this.roomTable.get(path);
  }

  /** @internal Ends every subscription of this node. */
  endSubscriptions(): void {
    this.#history.endSubscriptions();
  }

  /** @internal Frees the rooms that are open only because users may return. */
  closeRooms(): void {
    this.roomTable.close();
  }

  get #roomEvents(): RoomEvents {
    const handle = ({ path }: RoomState) => new Room(path, this);
    return {
      onOpen: (room) => this.#events.emit("room", handle(room)),
      onFree: (room, end) =>
        this.#events.emitTogether(() => {
          end();
          this.#events.emit("room-empty", new Room(room.path, this, room));
        }),
      onPresence: (room, change) => this.#events.emit("presence", handle(room), change),
      onReport: (path, event, user) => this.#events.emit(event, new Room(path, this), user),
    };
  }
}
