import type { Backplane, Topic } from "../backplane/backplane.js";
import type { Connection } from "../connection/connection.js";
import { policyOf } from "../connection/policy.js";
import { EnfiladeError } from "../errors.js";
import { type PathLimits, type RoomPath, roomName } from "../wire/path.js";
import { type Bytes, Payload } from "../wire/payload.js";
import { Channel, type Except, type SendOptions, User } from "./address.js";
import { Audience } from "./audience.js";
import { Notifier } from "./notifier.js";
import { Room } from "./room.js";

export interface RegistryParts {
  readonly limits: PathLimits & { readonly roomsMax: number };
  readonly backplane: Backplane;
  /** Takes what goes wrong where nobody waits for the answer. */
  readonly report: (error: unknown) => void;
}

/** What holds for the connections of one route. */
export interface EntryTerms {
  readonly channel: string | undefined;
  readonly joinsMax: number;
  /** Whether leaving its last room closes a connection. */
  readonly closeOnLastRoomLeft: boolean;
}

interface Membership {
  readonly connection: Connection;
  readonly userId: string | undefined;
  readonly terms: EntryTerms;
  /** A list, since it mostly has one entry and never more than `joinsMax`. */
  readonly rooms: RoomPath[];
}

interface RegistryEvents {
  /** A first member came: the room exists. */
  room: [room: Room];
  /** The last member left: the room is freed. */
  "room-empty": [room: Room];
}

const nobody: readonly string[] = [];

/** All connections of this node, grouped by path: the way to send from code outside handlers. */
export class Registry {
  readonly #parts: RegistryParts;
  /** By the id of the connection. */
  readonly #memberships = new Map<string, Membership>();
  readonly #audiences = new Map<Topic, Audience>();
  readonly #events: Notifier<RegistryEvents>;
  #roomCount = 0;
  #userCount = 0;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#events = new Notifier(parts.report);
    parts.backplane.start((topic, publication) => this.#audiences.get(topic)?.send(publication));
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

  /** The rooms of this node that have members; a copy. */
  get rooms(): Room[] {
    return [...this.#audiences.keys()].filter(isRoom).map((path) => new Room(path, this));
  }

  /** The users who are connected to this node; a copy. */
  get users(): User[] {
    const ids = [...this.#audiences.keys()].flatMap((topic) => (topic.startsWith("user:") ? topic.slice(5) : []));
    return ids.map((id) => new User(id, this));
  }

  /** How many connections, rooms and users this node has. */
  get counts(): { connections: number; rooms: number; users: number } {
    return { connections: this.#memberships.size, rooms: this.#roomCount, users: this.#userCount };
  }

  on<Name extends keyof RegistryEvents>(event: Name, listener: (...args: RegistryEvents[Name]) => unknown): this {
    this.#events.on(event, listener);
    return this;
  }

  off<Name extends keyof RegistryEvents>(event: Name, listener: (...args: RegistryEvents[Name]) => unknown): this {
    this.#events.off(event, listener);
    return this;
  }

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
    this.#checkSpace(room);
    membership.rooms.push(room);
    this.#add(room, connection);
  }

  /** Takes a connection out of a room; where it is not, nothing changes. */
  leave(connection: Connection, path: string): void {
    const room = this.#path(path);
    const membership = this.#memberships.get(connection.id);
    const index = membership?.rooms.indexOf(room) ?? -1;
    if (membership === undefined || index === -1) return;
    membership.rooms.splice(index, 1);
    this.#remove(room, connection);
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

  /** Whether a connection is in the room of `path`; what is no room path is a room it is not in. */
  isIn(connection: Connection, path: string): boolean {
    const rooms = this.#memberships.get(connection.id)?.rooms ?? [];
    try {
      return rooms.includes(this.#path(path));
    } catch (error) {
      if (error instanceof EnfiladeError) return false;
      throw error;
    }
  }

  /** @internal */
  sendToRoom(path: string, payload: Payload, options: SendOptions | undefined): void {
    this.send(this.#path(path), payload, options);
  }

  /** @internal */
  sendToUser(user: string | { readonly id: string }, payload: Payload, options: SendOptions | undefined): void {
    this.send(userTopic(user), payload, options);
  }

  /** @internal Whether a connection with this home may come in. */
  hasSpace(home: RoomPath): boolean {
    return this.#audiences.has(home) || this.#roomCount < this.#parts.limits.roomsMax;
  }

  /** @internal Enters a connection into its home, the room of its path, and all that addresses it. */
  enter(connection: Connection, userId: string | undefined, terms: EntryTerms): void {
    const home = connection.request.path;
    const membership = { connection, userId, terms, rooms: [home] };
    this.#memberships.set(connection.id, membership);
    this.#changeTopics(membership, (topic) => this.#add(topic, connection));
    this.#add(home, connection);
  }

  /** @internal Takes a connection out of everything, and tells the rooms it was in. */
  exit(connection: Connection): RoomPath[] {
    const membership = this.#memberships.get(connection.id);
    if (membership === undefined) return [];
    this.#memberships.delete(connection.id);
    for (const room of membership.rooms) this.#remove(room, connection);
    this.#changeTopics(membership, (topic) => this.#remove(topic, connection));
    return membership.rooms;
  }

  /** @internal */
  publish(topic: Topic, payload: Payload, options: SendOptions | undefined): Promise<void> {
    return this.#parts.backplane.publish(topic, {
      payload,
      except: exceptedIds(options?.except),
      policy: policyOf(options),
    });
  }

  /** @internal */
  send(topic: Topic, payload: Payload, options: SendOptions | undefined): void {
    this.publish(topic, payload, options).catch(this.#parts.report);
  }

  /** @internal */
  membersOf(topic: Topic): ReadonlySet<Connection> | undefined {
    return this.#audiences.get(topic)?.members;
  }

  /** The topics that address a connection beside its rooms. */
  #changeTopics({ userId, terms }: Membership, change: (topic: Topic) => void): void {
    change("all");
    if (terms.channel !== undefined) change(`channel:${terms.channel}`);
    if (userId !== undefined) change(`user:${userId}`);
  }

  #path(path: string): RoomPath {
    // The key of a room is canonical: a path found here needs no second check.
    if (typeof path === "string" && isRoom(path) && this.#audiences.has(path)) return path;
    return roomName(path, this.#parts.limits);
  }

  #checkSpace(room: RoomPath): void {
    if (this.hasSpace(room)) return;
    throw new EnfiladeError(
      "ERR_ROOMS_MAX",
      `this node has its ${this.#parts.limits.roomsMax} rooms; none can be added`,
    );
  }

  #add(topic: Topic, connection: Connection): void {
    const known = this.#audiences.get(topic);
    const audience = known ?? new Audience();
    audience.members.add(connection);
    if (known !== undefined) return;
    this.#audiences.set(topic, audience);
    this.#parts.backplane.open(topic);
    this.#count(topic, 1);
    if (isRoom(topic)) this.#events.tell("room", new Room(topic, this));
  }

  #remove(topic: Topic, connection: Connection): void {
    const audience = this.#audiences.get(topic);
    if (audience === undefined) return;
    audience.members.delete(connection);
    if (audience.members.size > 0) return;
    this.#audiences.delete(topic);
    this.#parts.backplane.close(topic);
    this.#count(topic, -1);
    if (isRoom(topic)) this.#events.tell("room-empty", new Room(topic, this));
  }

  #count(topic: Topic, change: 1 | -1): void {
    if (isRoom(topic)) this.#roomCount += change;
    else if (topic.startsWith("user:")) this.#userCount += change;
  }
}

/** A path as a caller writes it begins like a room's name; as a topic it then is one. */
function isRoom(topic: string): topic is RoomPath {
  return topic.startsWith("/");
}

function userTopic(user: string | { readonly id: string }): Topic {
  const id: unknown = typeof user === "string" ? user : user?.id;
  if (typeof id === "string") return `user:${id}`;
  const came = typeof user === "object" ? `an object whose id is ${typeof id}` : typeof user;
  throw new EnfiladeError("ERR_USER", `a user is an id, a string, or an object with one; got ${came}`);
}

function exceptedIds(except: Except | undefined): readonly string[] {
  if (except === undefined) return nobody;
  const list: readonly (string | { readonly id: string })[] = Array.isArray(except) ? except : [except];
  return list.map((one) => {
    const id: unknown = typeof one === "string" ? one : one?.id;
    if (typeof id === "string") return id;
    throw new EnfiladeError("ERR_OPTION", `except takes a handler, a connection, an id or a list, got ${typeof one}`);
  });
}
