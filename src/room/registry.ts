import type {
  Backplane,
  BackplaneContext,
  CloseCommand,
  HistoryConfig,
  HistoryPage,
  HistoryQuery,
  Receiver,
} from "../backplane/backplane.js";
import { addCounts, type Counts } from "../backplane/counts.js";
import { baseOf, isRoom, isTree, patternOf, type Topic, userTopic } from "../backplane/topic.js";
import type { Clock } from "../connection/clock.js";
import type { Connection } from "../connection/connection.js";
import { policyOf } from "../connection/policy.js";
import { asError, EnfiladeError } from "../errors.js";
import { checkedReason } from "../wire/closeCodes.js";
import { type RoomPath, roomName } from "../wire/path.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import { Channel, type Except, type SendOptions, User } from "./address.js";
import { Audience } from "./audience.js";
import { clientKey } from "./envelope.js";
import { CatchUps, type JoiningClient } from "./history/catchUps.js";
import { type Publication, publicationOf } from "./history/publication.js";
import { Subscription } from "./history/subscription.js";
import { Notifier } from "./notifier.js";
import { type PresenceChange, type PresenceState, type PresentUser, stateElsewhere, stateOf } from "./presenceState.js";
import { Room } from "./room.js";
import type { RoomConfig } from "./roomConfig.js";
import type { RoomState } from "./roomState.js";
import { RoomTable } from "./roomTable.js";

export interface RegistryDeps extends BackplaneContext {
  readonly backplane: Backplane;
  /** What holds for the room of a path. */
  readonly termsOf: (path: RoomPath) => RoomConfig;
  /** Takes what goes wrong where nobody waits for the answer. */
  readonly report: (error: unknown) => void;
}

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
  readonly connection: Connection;
  readonly userId: string | undefined;
  readonly terms: MemberConfig;
  /** A list, since it mostly has one entry and never more than `joinsMax`. */
  readonly rooms: RoomPath[];
}

interface RegistryEvents {
  /** A first member came, or a first subscription: the room exists. */
  room: [room: Room];
  /** The last member left, and nobody returned within the grace: the room is freed. */
  "room-empty": [room: Room];
  /** A user joined a room whose route has `presence`, on whatever node: emitted on exactly one node of the cluster. */
  join: [room: Room, user: PresentUser];
  /** The user has left, and has not returned within the grace: emitted on exactly one node of the cluster. */
  leave: [room: Room, user: PresentUser];
  /** The presence of a room changed as this node sees it, on whatever node; emitted on each that has the room open, once a tick. */
  presence: [room: Room, change: PresenceChange];
  /**
   * Publications to a room were lost between nodes, and are not kept any more. Clients of `enfilade.v1` are told by
   * themselves; a plain one is for the application to tell, or to close.
   */
  lagged: [room: Room, missed: number | undefined];
}

const nobody: readonly string[] = [];

/** All connections of this node, grouped by path: the way to send from code outside handlers. */
export class Registry {
  readonly #deps: RegistryDeps;
  /** By the id of the connection. */
  readonly #memberships = new Map<string, Membership>();
  readonly #rooms: RoomTable;
  /** Everyone, channels and users. */
  readonly #groups = new Map<Topic, Audience>();
  readonly #events: Notifier<RegistryEvents>;
  #userCount = 0;
  #isSilent = false;
  /** What the last refusal of the backplane came of. */
  #outage: unknown;
  readonly #arrivals: CatchUps;

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
    this.#events = new Notifier(deps.report);
    const { backplane, clock, termsOf, report, limits } = deps;
    const handle = ({ path }: RoomState) => new Room(path, this);
    this.#rooms = new RoomTable({
      ...{ backplane, clock, termsOf, report, roomsMax: limits.roomsMax },
      events: {
        opened: (open) => this.#events.tell("room", handle(open)),
        freed: (open, end) =>
          this.#events.together(() => {
            end();
            this.#events.tell("room-empty", new Room(open.path, this, open));
          }),
        presence: (open, change) => this.#events.tell("presence", handle(open), change),
        reported: (path, event, user) => this.#events.tell(event, new Room(path, this), user),
      },
    });
    this.#arrivals = new CatchUps({
      ...{ clock, limits },
      read: (path, query) => this.#read(path, query),
      live: (connection) => this.#rooms.get(connection.request.path)?.replace(connection, undefined),
    });
    backplane.start(this.#receiver, deps);
  }

  /**
   * The room of a path, whether anyone is there or not.
   *
   * @throws EnfiladeError `ERR_PATH` when `path` is no room path.
   */
  room(path: string): Room {
    return new Room(this.#path(path), this);
  }

  user(id: string): User {
    return new User(id, this);
  }

  channel(name: string): Channel {
    return new Channel(name, this);
  }

  connection(id: string): Connection | undefined {
    return this.#memberships.get(id)?.connection;
  }

  /** The connections of this node; a copy. */
  get connections(): Connection[] {
    return [...this.#memberships.values()].map(({ connection }) => connection);
  }

  /** The rooms of this node in which somebody is, or listens; a copy. */
  get rooms(): Room[] {
    return [...this.#rooms].map(({ path }) => new Room(path, this));
  }

  /** The users who are connected to this node; a copy. */
  get users(): User[] {
    const ids = [...this.#groups.keys()].flatMap((topic) => (topic.startsWith("user:") ? topic.slice(5) : []));
    return ids.map((id) => new User(id, this));
  }

  /**
   * How many connections, rooms and users there are: on this node, and on all of them, as these told last.
   *
   * A room or a user that is on several nodes counts once for each.
   */
  get counts(): { local: Counts; cluster: Counts } {
    const local = { connections: this.#memberships.size, rooms: this.#rooms.size, users: this.#userCount };
    return { local, cluster: addCounts(local, this.#deps.backplane.countsElsewhere()) };
  }

  on<Name extends keyof RegistryEvents>(event: Name, listener: (...args: RegistryEvents[Name]) => unknown): this {
    this.#events.on(event, listener);
    return this;
  }

  off<Name extends keyof RegistryEvents>(event: Name, listener: (...args: RegistryEvents[Name]) => unknown): this {
    this.#events.off(event, listener);
    return this;
  }

  /**
   * Sends to everyone in the room of `path`; to an empty room it is a delivery to nobody.
   *
   * `/org/7/**` addresses the room `/org/7` and all below it, each connection once; in the history of a room such a
   * message is not kept.
   *
   * @throws EnfiladeError `ERR_PATH` when `path` is no room path, `ERR_VALUE` when JSON has no form for `value`.
   */
  sendJSONToRoom(path: string, value: unknown, options?: SendOptions): void {
    this.sendToRoom(path, Payload.json(value), options);
  }

  sendTextToRoom(path: string, text: string, options?: SendOptions): void {
    this.sendToRoom(path, Payload.text(text), options);
  }

  sendBinaryToRoom(path: string, bytes: Bytes, options?: SendOptions): void {
    this.sendToRoom(path, Payload.binary(bytes), options);
  }

  sendJSONToAll(value: unknown, options?: SendOptions): void {
    this.send("all", Payload.json(value), options);
  }

  sendTextToAll(text: string, options?: SendOptions): void {
    this.send("all", Payload.text(text), options);
  }

  sendBinaryToAll(bytes: Bytes, options?: SendOptions): void {
    this.send("all", Payload.binary(bytes), options);
  }

  sendJSONToUser(user: string | { readonly id: string }, value: unknown, options?: SendOptions): void {
    this.sendToUser(user, Payload.json(value), options);
  }

  sendTextToUser(user: string | { readonly id: string }, text: string, options?: SendOptions): void {
    this.sendToUser(user, Payload.text(text), options);
  }

  sendBinaryToUser(user: string | { readonly id: string }, bytes: Bytes, options?: SendOptions): void {
    this.sendToUser(user, Payload.binary(bytes), options);
  }

  /**
   * Puts a connection in one more room; in one where it is already, nothing changes, and once it has ended, neither.
   *
   * @throws EnfiladeError `ERR_PATH`, `ERR_JOINS_MAX` or `ERR_ROOMS_MAX`.
   */
  join(connection: Connection, path: string): void {
    const room = this.#path(path);
    const membership = this.#memberships.get(connection.id);
    if (membership === undefined || membership.rooms.includes(room)) return;
    const { joinsMax } = membership.terms;
    if (membership.rooms.length >= joinsMax) {
      throw new EnfiladeError("ERR_JOINS_MAX", `a connection is in at most ${joinsMax} rooms; leave one first`);
    }
    this.#rooms.checkSpace(room);
    membership.rooms.push(room);
    this.#rooms.enter(room, connection, membership.userId);
  }

  /** Takes a connection out of a room; where it is not, nothing changes. */
  leave(connection: Connection, path: string): void {
    const room = this.#path(path);
    const membership = this.#memberships.get(connection.id);
    const index = membership?.rooms.indexOf(room) ?? -1;
    if (membership === undefined || index === -1) return;
    membership.rooms.splice(index, 1);
    this.#rooms.leave(room, connection, membership.userId);
    if (membership.terms.closeOnLastRoomLeft && membership.rooms.length === 0) connection.close();
  }

  /** Takes a connection out of all its rooms, its home included. */
  leaveAll(connection: Connection): void {
    for (const { path } of this.roomsOf(connection)) this.leave(connection, path);
  }

  /** The rooms that a connection is in, its home first as long as it is there. */
  roomsOf(connection: Connection): Room[] {
    return [...(this.#memberships.get(connection.id)?.rooms ?? [])].map((path) => new Room(path, this));
  }

  /** @internal The room of `path` if the connection is in it; what is no room path is a room it is not in. */
  roomOf(connection: Connection, path: string): RoomPath | undefined {
    try {
      const room = this.#path(path);
      return this.#memberships.get(connection.id)?.rooms.includes(room) === true ? room : undefined;
    } catch (error) {
      if (error instanceof EnfiladeError) return undefined;
      throw error;
    }
  }

  /** @internal The canonical form of what {@link sendJSONToRoom} takes. */
  addressOf(path: string): string {
    const topic = this.#topic(path);
    return isTree(topic) ? patternOf(topic) : topic;
  }

  /** @internal */
  sendToRoom(path: string, payload: Payload, options: SendOptions | undefined): void {
    this.send(this.#topic(path), payload, options);
  }

  /** @internal */
  sendToUser(user: string | { readonly id: string }, payload: Payload, options: SendOptions | undefined): void {
    this.send(userTopic(user), payload, options);
  }

  /**
   * Sends a connection the presence of a room it is in: who is there, and from then on who comes and goes.
   *
   * @throws EnfiladeError `ERR_PRESENCE` when it is not in that room, or the room's route has no `presence`; `ERR_PATH`.
   */
  watchPresence(connection: Connection, path: string): void {
    const room = this.#rooms.get(this.#path(path));
    if (room?.members.has(connection) !== true) {
      throw new EnfiladeError(
        "ERR_PRESENCE",
        `a connection watches the presence of rooms it is in; join ${path} first`,
      );
    }
    if (room.presence === undefined) {
      throw new EnfiladeError("ERR_PRESENCE", `presence is off in ${path}: give its route presence: "full"`);
    }
    room.presence.watch(connection);
  }

  /** @internal Whether a connection with this home may come in. */
  hasSpace(home: RoomPath): boolean {
    return this.#rooms.hasSpace(home);
  }

  /**
   * @internal Enters a connection into its home, the room of its path, and all that addresses it.
   *
   * Where it gets past publications first, it returns a promise that resolves when it has them.
   *
   * @param newcomer How a client that knows of positions begins; `undefined` for any other.
   */
  enter(
    connection: Connection,
    userId: string | undefined,
    terms: MemberConfig,
    newcomer?: JoiningClient,
  ): Promise<void> | undefined {
    const home = connection.request.path;
    const membership = { connection, userId, terms, rooms: [home] };
    this.#memberships.set(connection.id, membership);
    this.#changeTopics(membership, (topic) => this.#add(topic, connection));
    const remembers = this.historyTerms(home) !== undefined;
    const arrives = remembers && (newcomer !== undefined || terms.replay > 0);
    const arrival = arrives ? this.#arrivals.begin(connection, terms.replay, newcomer) : undefined;
    this.#rooms.enter(home, connection, userId, arrival?.buffer);
    const begin = () => {
      if (arrival !== undefined) return arrival.run();
      newcomer?.welcome(newcomer.since === undefined ? {} : { recovered: false, reason: "off" });
      return undefined;
    };
    const heard = this.#whenHeard(membership);
    return heard === undefined ? begin() : heard.then(begin);
  }

  /** @internal Takes a connection out of everything, and tells the rooms it was in. */
  exit(connection: Connection): RoomPath[] {
    const membership = this.#memberships.get(connection.id);
    if (membership === undefined) return [];
    this.#memberships.delete(connection.id);
    for (const room of membership.rooms) this.#rooms.leave(room, connection, membership.userId);
    this.#changeTopics(membership, (topic) => this.#remove(topic, connection));
    return membership.rooms;
  }

  /** @internal */
  publish(topic: Topic, payload: Payload, options: SendOptions | undefined): Promise<Position | undefined> {
    return this.#deps.backplane.publish(topic, {
      payload,
      except: this.#excepted(options?.except),
      policy: policyOf(options),
      history: isRoom(topic) ? this.historyTerms(topic) : undefined,
    });
  }

  /** @internal */
  send(topic: Topic, payload: Payload, options: SendOptions | undefined): void {
    this.publish(topic, payload, options).catch(this.#unsent);
  }

  /** @internal Closes everyone in `topic`, on every node. */
  closeAll(topic: Topic, code: number, reason: string): void {
    const closing = { code, reason: checkedReason(code, reason) };
    this.#deps.backplane.closeAll(topic, closing).catch((error) => {
      // Those who can be reached are closed all the same; that others are not is worth a line each time.
      this.#dismissHere(topic, closing);
      this.#deps.report(
        new EnfiladeError("ERR_BACKPLANE", `connections of other nodes may not be closed: ${asError(error).message}`, {
          cause: error,
        }),
      );
    });
  }

  /** @internal */
  membersOf(topic: Topic): ReadonlySet<Connection> | undefined {
    return this.#audience(topic)?.members;
  }

  /** @internal */
  historyTerms(path: RoomPath): HistoryConfig | undefined {
    return this.#rooms.termsOf(path).history;
  }

  /** @internal */
  async history(path: RoomPath, query: HistoryQuery): Promise<readonly Publication[]> {
    const { deliveries } = await this.#read(path, query);
    return deliveries.map((delivery) => publicationOf(delivery));
  }

  /** @internal */
  subscribe(path: RoomPath, archive: HistoryQuery | undefined, signal: AbortSignal | undefined): Subscription {
    const end = () => subscription.end();
    const subscription: Subscription = new Subscription({
      archive,
      read: (query) => this.#read(path, query),
      messagesMax: this.#deps.limits.subscriberMessagesMax,
      ended: () => {
        signal?.removeEventListener("abort", end);
        this.#rooms.unlisten(path, subscription);
      },
    });
    this.#rooms.listen(path, subscription);
    if (this.#isSilent || signal?.aborted === true) end();
    else signal?.addEventListener("abort", end);
    subscription.start(this.#rooms.get(path)?.heard);
    return subscription;
  }

  /** @internal */
  async presence(path: RoomPath): Promise<PresenceState> {
    const room = this.#rooms.get(path);
    const { mode } = this.#rooms.termsOf(path).presence;
    const isElsewhere = room === undefined || (room.members.size === 0 && room.presence?.state.count === 0);
    if (isElsewhere && mode !== "off") return stateElsewhere(await this.#deps.backplane.readPresence(path), mode);
    return room?.presence?.state ?? stateOf(room?.members ?? [], (id) => this.#memberships.get(id)?.userId);
  }

  /** @internal */
  get clock(): Clock {
    return this.#deps.clock;
  }

  /** @internal */
  openRoom(path: RoomPath): RoomState | undefined {
    return this.#rooms.get(path);
  }

  /** @internal Ends whatever code of this node is subscribed to. */
  endSubscriptions(): void {
    this.#isSilent = true;
    for (const room of [...this.#rooms]) room.endSubscriptions();
  }

  /** @internal Frees the rooms that wait for users to return. */
  closeRooms(): void {
    this.#rooms.close();
  }

  /** What comes from the backplane. */
  get #receiver(): Receiver {
    const guarded = (work: () => void) => {
      try {
        work();
      } catch (error) {
        // One message must not cost the others theirs.
        this.#deps.report(error);
      }
    };
    return {
      onDelivery: (topic, delivery) => guarded(() => this.#audience(topic)?.send(delivery)),
      onCloseAll: (topic, closing) => guarded(() => this.#dismissHere(topic, closing)),
      onGap: (path, loss) =>
        guarded(() => {
          this.#rooms.get(path)?.lag(loss);
          this.#events.tell("lagged", new Room(path, this), loss.missed);
        }),
      onPresence: (path, changes) => guarded(() => this.#rooms.get(path)?.presence?.hear(changes)),
      onError: (error) => this.#deps.report(error),
      counts: () => this.counts.local,
    };
  }

  #dismissHere(topic: Topic, { code, reason }: CloseCommand): void {
    const audience = this.#audience(topic);
    for (const member of [...(audience?.members ?? [])]) member.close(code, reason);
    audience?.endSubscriptions();
  }

  /** Reports what nobody waits for; of one trouble with the backplane only the first that it costs. */
  readonly #unsent = (thrown: unknown): void => {
    const error = asError(thrown);
    const isTrouble = error instanceof EnfiladeError && error.code === "ERR_BACKPLANE";
    if (isTrouble && error.cause === this.#outage) return;
    if (isTrouble) this.#outage = error.cause;
    this.#deps.report(error);
  };

  /** `undefined` when this node hears already all that a connection is addressed by. */
  #whenHeard({ connection, userId, terms }: Membership): Promise<unknown> | undefined {
    const home = this.#rooms.get(connection.request.path);
    const pending = [home?.heard, home?.presence?.heard];
    this.#changeTopics({ userId, terms }, (topic) => pending.push(this.#groups.get(topic)?.heard));
    const waiting = pending.filter((heard) => heard !== undefined);
    return waiting.length === 0 ? undefined : Promise.all(waiting);
  }

  #read(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
    const history = this.historyTerms(path);
    if (history !== undefined) return this.#deps.backplane.readHistory(path, query, history);
    return Promise.reject(new EnfiladeError("ERR_HISTORY", `no history is kept of ${path}`));
  }

  /** Ids of those who are left out, and names of their clients: who resumes is not to get what was not for him. */
  #excepted(except: Except | undefined): readonly string[] {
    if (except === undefined) return nobody;
    const ids = exceptedIds(except);
    const clients = ids.flatMap((id) => this.#memberships.get(id)?.connection.client ?? []);
    return clients.length === 0 ? ids : [...ids, ...clients.map(clientKey)];
  }

  /** Who is addressed by a topic on this node. */
  #audience(topic: Topic): Audience | undefined {
    if (isRoom(topic)) return this.#rooms.get(topic);
    return isTree(topic) ? Audience.union(this.#rooms.below(baseOf(topic)), patternOf(topic)) : this.#groups.get(topic);
  }

  /** The topics that address a connection beside its rooms. */
  #changeTopics({ userId, terms }: Pick<Membership, "userId" | "terms">, change: (topic: Topic) => void): void {
    change("all");
    if (terms.channel !== undefined) change(`channel:${terms.channel}`);
    if (userId !== undefined) change(`user:${userId}`);
  }

  #path(path: string): RoomPath {
    // The key of a room is canonical: a path found here needs no second check.
    if (typeof path === "string" && isRoom(path) && this.#rooms.get(path) !== undefined) return path;
    return roomName(path, this.#deps.limits);
  }

  /** What a path addresses as its caller writes it: a room, or with `/**` behind it that room and all below. */
  #topic(path: string): Topic {
    if (typeof path !== "string" || !path.endsWith("/**") || path.endsWith("//**")) return this.#path(path);
    return `below:${this.#path(path.slice(0, -3) || "/")}`;
  }

  #add(topic: Topic, connection: Connection): void {
    const known = this.#groups.get(topic);
    const audience = known ?? new Audience();
    audience.members.add(connection);
    if (known !== undefined) return;
    this.#groups.set(topic, audience);
    audience.hear(this.#deps.backplane.open(topic));
    if (topic.startsWith("user:")) this.#userCount += 1;
  }

  #remove(topic: Topic, connection: Connection): void {
    const audience = this.#groups.get(topic);
    if (audience === undefined) return;
    audience.members.delete(connection);
    if (audience.inUse) return;
    this.#groups.delete(topic);
    this.#deps.backplane.close(topic);
    if (topic.startsWith("user:")) this.#userCount -= 1;
  }
}

function exceptedIds(except: Except): readonly string[] {
  const list: readonly (string | { readonly id: string })[] = Array.isArray(except) ? except : [except];
  return list.map((one) => {
    const id: unknown = typeof one === "string" ? one : one?.id;
    if (typeof id === "string") return id;
    throw new EnfiladeError("ERR_OPTION", `except takes a handler, a connection, an id or a list, got ${typeof one}`);
  });
}
