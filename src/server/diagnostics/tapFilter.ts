import { baseOf, isTree, type Topic, userTopic } from "../../backplane/topic.js";
import type { Connection } from "../../connection/connection.js";
import { EnfiladeError } from "../../errors.js";
import { checkName, checkNames } from "../../wire/options.js";
import type { PublicationTarget } from "./messages.js";

/**
 * `in`: messages from clients. `out`: messages to clients. `publish`: publications of this node. `lifecycle`:
 * connections opened, closed and refused, and errors.
 */
export type TapDirection = "in" | "out" | "publish" | "lifecycle";

const directions: readonly TapDirection[] = ["in", "out", "publish", "lifecycle"];

/** Selects the entries of a tap. An entry must match all properties that are set. */
export interface TapFilter {
  /**
   * A room such as `/chat/a`, or a tree such as `/chat/**` (that room and all rooms below it). Matches messages of
   * connections whose home is there, and publications to it.
   */
  readonly room?: string | undefined;
  /** A user, or the id of one: matches all connections of that user, and publications to that user. */
  readonly user?: string | { readonly id: string } | undefined;
  /** One connection, or its id. */
  readonly connection?: string | { readonly id: string } | undefined;
  /**
   * A connection to ignore, or its id. Set it if the entries are sent to a connection, to avoid an endless
   * loop.
   */
  readonly except?: string | { readonly id: string } | undefined;
  /** One direction or several. Default: all. */
  readonly direction?: TapDirection | readonly TapDirection[] | undefined;
  /** Matches text messages, JSON included, that contain this string. Binary messages and `lifecycle` do not match. */
  readonly text?: string | undefined;
}

const filterNames = ["room", "user", "connection", "except", "direction", "text"];

/** A checked filter. */
export class TapMatcher {
  readonly directions: ReadonlySet<TapDirection>;
  readonly #room: Topic | undefined;
  readonly #user: string | undefined;
  readonly #connection: string | undefined;
  readonly #except: string | undefined;
  readonly #text: string | undefined;

  /**
   * @param topicOf Converts the room or tree of a filter to its topic.
   * @throws EnfiladeError `ERR_OPTION`, `ERR_PATH`, `ERR_USER` when the filter is invalid.
   */
  constructor(filter: TapFilter, topicOf: (path: string) => Topic) {
    checkNames("the filter of a tap", filter, filterNames);
    const { room, user, connection, except, direction = directions, text } = filter;
    this.directions = new Set(typeof direction === "string" ? [direction] : direction);
    for (const one of this.directions) checkName("a tap has no direction", one, directions);
    if (text !== undefined && typeof text !== "string") {
      throw new EnfiladeError("ERR_OPTION", `the text of a tap is a string, got ${typeof text}`);
    }
    this.#room = room === undefined ? undefined : topicOf(room);
    this.#user = user === undefined ? undefined : userTopic(user).slice("user:".length);
    this.#connection = idOf(connection);
    this.#except = idOf(except);
    this.#text = text;
  }

  /** @param address The room or the tree that the message was published to. */
  matchesConnection(connection: Connection, address?: string): boolean {
    const { id, user, request } = connection;
    if (!this.#selects(id)) return false;
    if (this.#user !== undefined && userIdOf(user) !== this.#user) return false;
    return this.#covers(request.path) || (address !== undefined && this.#covers(address));
  }

  /** Whether messages of a connection may match, wherever they were sent to. Its user may change. */
  mayMatch({ id, request }: Pick<Connection, "id" | "request">): boolean {
    return this.#selects(id) && this.#covers(request.path);
  }

  /** Whether the filter has a room, and includes this room or all rooms of this tree. */
  includes(address: string): boolean {
    return this.#room !== undefined && this.#covers(address);
  }

  matchesTarget(to: PublicationTarget): boolean {
    if (this.#connection !== undefined) return false;
    if (this.#user !== undefined && !(to.kind === "user" && to.id === this.#user)) return false;
    if (to.kind === "room") return this.#covers(to.path);
    if (to.kind === "rooms") return this.#overlaps(to.pattern);
    return this.#room === undefined;
  }

  /** Matches an entry without a connection. @param path The path of the request, if it has a valid one. */
  matchesPath(path: string | undefined): boolean {
    if (this.#connection !== undefined || this.#user !== undefined) return false;
    return path === undefined ? this.#room === undefined : this.#covers(path);
  }

  matchesText(data: string | Uint8Array | undefined): boolean {
    return this.#text === undefined || (typeof data === "string" && data.includes(this.#text));
  }

  /** True if the filter selects by text. */
  get hasText(): boolean {
    return this.#text !== undefined;
  }

  #selects(id: string): boolean {
    return id !== this.#except && (this.#connection === undefined || id === this.#connection);
  }

  /** Returns true if the filter includes a room, or all rooms of a tree. */
  #covers(address: string): boolean {
    return this.#room === undefined || includesPath(this.#room, baseOfAddress(address) || "/");
  }

  /** Returns true if the filter includes a room, or at least one room of a tree. */
  #overlaps(address: string): boolean {
    if (this.#covers(address)) return true;
    const topic = this.#room;
    if (topic === undefined || !address.endsWith(treeSuffix)) return false;
    return isAtOrBelow(isTree(topic) ? baseOf(topic) : topic, baseOfAddress(address));
  }
}

const treeSuffix = "/**";

/** The topmost room of an address; an empty string for the tree of all rooms. */
function baseOfAddress(address: string): string {
  return address.endsWith(treeSuffix) ? address.slice(0, -treeSuffix.length) : address;
}

function includesPath(topic: Topic, path: string): boolean {
  if (!isTree(topic)) return topic === path;
  const base = baseOf(topic);
  return isAtOrBelow(path, base === "/" ? "" : base);
}

/** @param base A path without a trailing slash; empty for the tree of all rooms. */
function isAtOrBelow(path: string, base: string): boolean {
  return path === base || path.startsWith(`${base}/`);
}

function idOf(connection: unknown): string | undefined {
  if (connection === undefined || typeof connection === "string") return connection;
  const id: unknown = Object(connection).id;
  if (typeof id === "string") return id;
  throw new EnfiladeError("ERR_OPTION", `a tap takes a connection, a handler or an id, got ${typeof connection}`);
}

function userIdOf(user: unknown): string | undefined {
  return typeof user === "object" && user !== null && "id" in user ? String(user.id) : undefined;
}
