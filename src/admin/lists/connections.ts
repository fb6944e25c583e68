import type { Member as Peer } from "../../protocol/dialect.js";
import type { Registry } from "../../room/registry.js";
import { v1 } from "../../wire/frames.js";
import type { ConnectionDetails, ConnectionSummary, Member } from "../api.js";
import type { OpenTimes } from "../records/openTimes.js";
import { FirstRows, type KeyedRow } from "./firstRows.js";

/** The query of a page of connections, as `GET api/connections` has it. */
export interface ConnectionsQuery {
  readonly search?: string | undefined;
  readonly user?: string | undefined;
  readonly path?: string | undefined;
  readonly address?: string | undefined;
  readonly after?: string | undefined;
  /** The maximum number of rows. */
  readonly rowsMax: number;
}

const roomsMax = 100;

/** The connections of one node. */
export class Connections {
  readonly #node: string;
  readonly #registry: Registry;
  readonly #openTimes: OpenTimes;
  readonly #routeOf: (path: string) => string | undefined;

  constructor(node: string, registry: Registry, openTimes: OpenTimes, routeOf: (path: string) => string | undefined) {
    this.#node = node;
    this.#registry = registry;
    this.#openTimes = openTimes;
    this.#routeOf = routeOf;
  }

  /** The first rows in the order of their paths and ids. */
  list({ search, user, path, address, after, rowsMax }: ConnectionsQuery): KeyedRow<ConnectionSummary>[] {
    const first = new FirstRows<Peer>(rowsMax, after);
    const searched = search?.toLowerCase();
    const peers = user === undefined ? this.#registry.members : (this.#registry.membersOf(`user:${user}`) ?? []);
    for (const peer of peers) {
      if (path !== undefined && !isAtOrBelow(peer.home, path)) continue;
      if (address !== undefined && !peer.request.remoteAddress.startsWith(address)) continue;
      if (searched !== undefined && !this.#matches(peer, searched)) continue;
      first.set(`${peer.home}\n${peer.id}\n${this.#node}`, peer);
    }
    return first.rows.map(([key, peer]) => [key, this.#summaryOf(peer)]);
  }

  /** All of one connection; `undefined` if this node has none with this id. */
  details(id: string): ConnectionDetails | undefined {
    const peer = this.#registry.memberships.get(id);
    if (peer === undefined) return undefined;
    const rooms = this.#registry.memberships.roomsOf(id);
    const route = this.#routeOf(peer.home);
    return {
      ...this.#summaryOf(peer),
      rooms: rooms.slice(0, roomsMax),
      hasMoreRooms: rooms.length > roomsMax,
      ...(route !== undefined && { route }),
      ...peer.traffic,
    };
  }

  /** The members of a room on this node, in the order of their ids. */
  membersOf(path: string, after: string | undefined, rowsMax: number): KeyedRow<Member>[] {
    const first = new FirstRows<Peer>(rowsMax, after);
    for (const peer of this.#registry.membersOf(this.#registry.pathOf(path)) ?? []) {
      first.set(`${peer.id}\n${this.#node}`, peer);
    }
    return first.rows.map(([key, { id, request }]) => {
      return [key, { node: this.#node, id, ...this.#userOf(id), address: request.remoteAddress }];
    });
  }

  #summaryOf(peer: Peer): ConnectionSummary {
    const { id, home, request, protocol } = peer;
    const openedAt = this.#openTimes.get(id);
    return {
      node: this.#node,
      id,
      ...this.#userOf(id),
      path: home,
      address: request.remoteAddress,
      ...(openedAt !== undefined && { openedAt }),
      protocol: protocol === v1 ? v1 : "plain",
    };
  }

  #userOf(id: string): { user?: string } {
    const user = this.#registry.memberships.userIdOf(id);
    return user === undefined ? {} : { user };
  }

  /** @param searched In lower case. */
  #matches({ id, home, request }: Peer, searched: string): boolean {
    const user = this.#registry.memberships.userIdOf(id);
    return (
      home.toLowerCase().includes(searched) ||
      request.remoteAddress.toLowerCase().includes(searched) ||
      user?.toLowerCase().includes(searched) === true ||
      id.toLowerCase().includes(searched)
    );
  }
}

export function isAtOrBelow(path: string, top: string): boolean {
  return path === top || top === "/" || path.startsWith(`${top}/`);
}
