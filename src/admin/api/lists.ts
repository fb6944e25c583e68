import type { ConnectionName, ListPage } from "./session.js";

/**
 * `GET api/rooms?under=/a&search=&after=&limit=50`: the level of the tree below `under`, or with `search` a
 * flat list of the rooms whose path contains it.
 */
export interface RoomsPage extends ListPage {
  readonly rooms: readonly RoomSummary[];
}

export interface RoomSummary {
  readonly path: string;
  /** The members of this room itself, on all nodes. */
  readonly members: number;
  /** False for a path that has only rooms below it. */
  readonly isOpen: boolean;
  /** True if there are rooms below this path; always false in a flat list. */
  readonly hasChildren: boolean;
  /** The number of rooms below this path; 0 in a flat list. A room on two nodes counts twice. */
  readonly roomsBelow: number;
  /** The members of all rooms below this path; 0 in a flat list. */
  readonly membersBelow: number;
  /** True if the room keeps a history. */
  readonly history: boolean;
}

/** `GET api/room?path=` */
export interface RoomDetails {
  readonly path: string;
  /** The pattern of the route; absent if no route leads here. */
  readonly route?: string;
  /** The members on all nodes. */
  readonly memberCount: number;
  /** The first 100; for more see {@link MembersPage}. */
  readonly members: MembersPage;
  readonly presence: RoomPresence;
  /** The last publications, at most 50, the newest last; empty without a history. */
  readonly history: readonly HistoryEntry[];
  readonly hasHistory: boolean;
}

/** `GET api/members?path=&after=&limit=100` */
export interface MembersPage extends ListPage {
  readonly members: readonly Member[];
}

export interface Member extends ConnectionName {
  readonly user?: string;
  readonly address: string;
}

export interface RoomPresence {
  /** The presence that the route of the room has. */
  readonly mode: "full" | "count" | "off";
  readonly count: number;
  /** The ids of the users; at most 100. Only with `full`. */
  readonly users: readonly string[];
}

export interface HistoryEntry {
  readonly position?: { readonly epoch: string; readonly offset: number };
  readonly bytes: number;
  readonly kind: "json" | "text" | "binary";
  /** The content, cut to 4,096 characters; binary content in base64. */
  readonly text: string;
}

/**
 * `GET api/connections?search=&user=&path=&address=&node=&after=&limit=50`, in the order of their paths. `search` is a
 * part of the path, the user, the address or the id; `user` is a whole id; `path` is a path and all paths below it;
 * `address` is the beginning of one.
 */
export interface ConnectionsPage extends ListPage {
  readonly connections: readonly ConnectionSummary[];
}

export interface ConnectionSummary extends ConnectionName {
  readonly user?: string;
  /** The path that the client connected to: its home. */
  readonly path: string;
  readonly address: string;
  /** Absent if the connection is older than the admin. */
  readonly openedAt?: number;
  readonly protocol: "plain" | "enfilade.v1";
}

/** `GET api/connection?node=&id=` */
export interface ConnectionDetails extends ConnectionSummary {
  readonly rooms: readonly string[];
  /** True if there are more rooms than the first 100. */
  readonly hasMoreRooms: boolean;
  /** The pattern of the route. */
  readonly route?: string;
  readonly messagesIn: number;
  readonly messagesOut: number;
  /** Bytes received from the network. */
  readonly bytesIn: number;
  /** Bytes written to the network. */
  readonly bytesOut: number;
  /** Bytes that wait for the client. */
  readonly bufferedBytes: number;
  /** True while the client reads too slowly. */
  readonly isLagging: boolean;
}

/** `GET api/users?search=&after=&limit=50` */
export interface UsersPage extends ListPage {
  readonly users: readonly UserSummary[];
}

export interface UserSummary {
  readonly id: string;
  /** On all nodes. */
  readonly connections: number;
  readonly nodes: readonly string[];
}
