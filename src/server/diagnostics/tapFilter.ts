import { baseOf, isTree, type Topic, userTopic } from "../../backplane/topic.js";
import type { Connection } from "../../connection/connection.js";
import { EnfiladeError } from "../../errors.js";
import { checkName, checkNames } from "../../wire/options.js";
import type { PublicationTarget } from "./messages.js";

const directions = ["in", "out", "publish", "lifecycle"] as const;

/** `in` and `out`: messages of clients and to them. `publish`: what this node publishes. `lifecycle`: opened, closed, refused, errors. */
export type TapDirection = (typeof directions)[number];

/** What a tap lets through: what fits all that is given here. */
export interface TapFilter {
  /**
   * A room, or with `/**` behind it that room and all below it: messages of connections whose home it is, and all that is
   * published to it.
   */
  readonly room?: string | undefined;
  /** The connections of one user, and what is published to that user. */
  readonly user?: string | { readonly id: string } | undefined;
  /** One connection, or its id. */
  readonly connection?: string | { readonly id: string } | undefined;
  /** A connection that is left out, such as the one that is sent what the tap finds: it would find that too, for ever. */
  readonly except?: string | { readonly id: string } | undefined;
  /** Default: all. */
  readonly direction?: TapDirection | readonly TapDirection[] | undefined;
  /** Only texts that contain this, JSON included; what is binary is not read. */
  readonly text?: string | undefined;
}

const names = ["room", "user", "connection", "except", "direction", "text"];

/** A filter, read once. */
export class TapMatcher {
  readonly directions: ReadonlySet<TapDirection>;
  readonly #room: Topic | undefined;
  readonly #user: string | undefined;
  readonly #connection: string | undefined;
  readonly #except: string | undefined;
  readonly #text: string | undefined;

  /**
   * @param topicOf Reads a room as callers write it.
   * @throws EnfiladeError `ERR_OPTION`, `ERR_PATH`, `ERR_USER`.
   */
  constructor(filter: TapFilter, topicOf: (path: string) => Topic) {
    checkNames("the filter of a tap", filter, names);
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

  /** @param address The room or the tree that a message was published to. */
  fitsConnection(connection: Connection, address?: string): boolean {
    const { id, user, request } = connection;
    if (id === this.#except || (this.#connection !== undefined && id !== this.#connection)) return false;
    if (this.#user !== undefined && userIdOf(user) !== this.#user) return false;
    return this.#covers(request.path) || (address !== undefined && this.#covers(address));
  }

  fitsTarget(to: PublicationTarget): boolean {
    if (this.#connection !== undefined) return false;
    if (this.#user !== undefined && !(to.kind === "user" && to.id === this.#user)) return false;
    if (to.kind === "room") return this.#covers(to.path);
    if (to.kind === "rooms") return this.#meets(to.pattern);
    return this.#room === undefined;
  }

  /** For what comes of no connection. */
  fitsPath(path: string | undefined): boolean {
    if (this.#connection !== undefined || this.#user !== undefined) return false;
    return path === undefined ? this.#room === undefined : this.#covers(path);
  }

  fitsText(data: string | Uint8Array | undefined): boolean {
    return this.#text === undefined || (typeof data === "string" && data.includes(this.#text));
  }

  get readsText(): boolean {
    return this.#text !== undefined;
  }

  /** Whether a room, or every room of a tree, is among those that are asked for. */
  #covers(address: string): boolean {
    return this.#room === undefined || isAt(this.#room, baseOfAddress(address) || "/");
  }

  /** Whether a room, or any room of a tree, is. */
  #meets(address: string): boolean {
    if (this.#covers(address)) return true;
    const asked = this.#room;
    if (asked === undefined || !address.endsWith(below)) return false;
    return isBelow(isTree(asked) ? baseOf(asked) : asked, baseOfAddress(address));
  }
}

const below = "/**";

/** The topmost room of an address, of all rooms an empty text. */
function baseOfAddress(address: string): string {
  return address.endsWith(below) ? address.slice(0, -below.length) : address;
}

function isAt(topic: Topic, path: string): boolean {
  if (!isTree(topic)) return topic === path;
  const base = baseOf(topic);
  return isBelow(path, base === "/" ? "" : base);
}

/** @param base Without the slash at its end, so that of all rooms is empty. */
function isBelow(path: string, base: string): boolean {
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
