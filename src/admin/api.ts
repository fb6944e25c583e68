/**
 * The data between the pages of the admin and its server, as types. Every time is in milliseconds since 1970 and every
 * rate is per second, unless the name has another unit. Every string may come from a client: show it as text.
 */

/** The body of every refused call. */
export interface ApiError {
  readonly error: { readonly code: string; readonly message: string };
}

/** `GET api/session` */
export interface SessionInfo {
  /** The operator, as `authorize` named it. */
  readonly operator: string;
  /** The value of the header `x-enfilade-csrf` of each `POST`. */
  readonly csrf: string;
  /** The node that answers. */
  readonly node: string;
  /** The path of the admin, such as `/admin`, without a trailing slash; empty for the root. */
  readonly path: string;
  /** The version of Enfilade. */
  readonly version: string;
}

/** The header with {@link SessionInfo.csrf}. */
export type CsrfHeader = "x-enfilade-csrf";

/** A page of a list. */
export interface ListPage {
  /** The value of `after` for the next page; absent on the last one. */
  readonly next?: string;
  /** The nodes that did not answer in time: the list has nothing of theirs. */
  readonly missing: readonly string[];
}

/** One connection by name. */
export interface ConnectionName {
  readonly node: string;
  readonly id: string;
}

/** `GET api/overview`, and the data of the live event `overview`. */
export interface Overview {
  readonly at: number;
  readonly nodes: readonly NodeOverview[];
  readonly missing: readonly string[];
}

export interface NodeOverview {
  readonly node: string;
  /** True for the node that answers. */
  readonly isThis: boolean;
  readonly ready: boolean;
  readonly backplane: { readonly engine: string; readonly state: string };
  readonly connections: number;
  readonly rooms: number;
  readonly users: number;
  readonly uptimeSeconds: number;
  /** The mean delay of the event loop over the last second. */
  readonly loopDelayMs: number;
  readonly memory: NodeMemory;
  readonly totals: NodeTotals;
  readonly rates: NodeRates;
}

export interface NodeMemory {
  /** What the process uses in all. */
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** What the app holds for its clients. */
  readonly clientBytes: number;
}

/** Totals since the app was created. */
export interface NodeTotals {
  readonly opened: number;
  readonly closed: number;
  readonly refused: number;
  readonly received: number;
  readonly delivered: number;
  readonly dropped: number;
  /** Clients closed because they read too slowly. */
  readonly slow: number;
}

/** Over the last second. */
export interface NodeRates {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** `GET api/rooms?under=/a&search=&after=&limit=50`: the level of the tree below `under`, or with `search` a flat list. */
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

/** `GET api/connections?search=&user=&path=&address=&node=&after=&limit=50` */
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
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes that wait for the client. */
  readonly bufferedBytes: number;
  /** True while the client reads too slowly. */
  readonly isLagging: boolean;
  readonly roundTripMs?: number;
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

/** `GET api/departures?after=&limit=50`: the newest first, of all nodes; each node keeps the last 1,000. */
export interface DeparturesPage extends ListPage {
  readonly departures: readonly Departure[];
}

export interface Departure {
  readonly kind: "close" | "refusal";
  readonly at: number;
  readonly node: string;
  /** The connection that has ended; absent for a refusal. */
  readonly id?: string;
  readonly path: string;
  readonly user?: string;
  readonly address: string;
  /** The close code, or the HTTP status of a refusal. */
  readonly code: number;
  readonly reason: string;
  /** Which side ended it. */
  readonly side: "client" | "server" | "network";
}

/** `GET api/errors?after=&limit=50`: the newest first, of all nodes; each node keeps the last 200. */
export interface ErrorsPage extends ListPage {
  readonly errors: readonly ErrorReport[];
}

export interface ErrorReport {
  readonly at: number;
  readonly node: string;
  readonly route?: string;
  /** The id of the connection. */
  readonly connection?: string;
  readonly path?: string;
  readonly user?: string;
  readonly message: string;
  readonly stack: string;
}

/** Where to send. */
export type SendTarget =
  | { readonly connection: ConnectionName }
  | { readonly room: string }
  /** The topmost room of the tree, such as `/chat`. */
  | { readonly tree: string }
  | { readonly user: string }
  /** The name of a route. */
  | { readonly channel: string }
  | "all";

/** `POST api/send` */
export type SendCall =
  /** Sends `{ "type": "system", "from": operator, "data": … }`, unless the option `systemMessage` makes another form. */
  | { readonly to: SendTarget; readonly kind: "json"; readonly data: unknown }
  | { readonly to: SendTarget; readonly kind: "text"; readonly data: string }
  /** Sends the event with the same object as its data. */
  | { readonly to: SendTarget; readonly kind: "event"; readonly event: string; readonly data?: unknown };

export interface SendResult {
  readonly sent: true;
  readonly to: SendTarget;
}

/** `POST api/count`: how many connections a {@link SendCall} to this target would reach now. No state is changed. */
export interface CountCall {
  readonly to: SendTarget;
}

export interface CountResult {
  readonly connections: number;
  readonly missing: readonly string[];
}

/** One connection, all connections of a user, or all connections in a room. */
export type CloseTarget =
  | { readonly connection: ConnectionName }
  | { readonly user: string }
  | { readonly room: string };

/** `POST api/close` */
export type CloseCall = CloseTarget & {
  /** 1000, or 3000 to 4999. Default: 1000. */
  readonly code?: number;
  /** At most 123 bytes of UTF-8. */
  readonly reason?: string;
  /**
   * Only for one connection: asks a client of `enfilade.v1` to reconnect; closes a plain client with 1012. `code` and
   * `reason` must be absent.
   */
  readonly cooperative?: boolean;
};

/** `POST api/evict`: removes the members from the room; they stay connected. */
export type EvictCall = (
  | { readonly room: string; readonly connection: ConnectionName }
  | { readonly room: string; readonly user: string }
) & { readonly reason?: string };

/** `POST api/revoke`: closes with 4501, so that clients of `enfilade.v1` do not come back. */
export type RevokeCall = CloseTarget;

/** The result of `close`, `evict` and `revoke`. */
export interface ActionResult {
  readonly done: true;
}

/** `GET api/channels`: the names of the routes, as targets for `channel`. */
export interface ChannelsInfo {
  readonly channels: readonly { readonly name: string; readonly pattern: string }[];
}

/** The events that a page sends over `{path}/live`. */
export interface LiveCalls {
  /** Starts a tap; the id is chosen by the page, and one page has at most 4 taps. Answered with `{}`. */
  tap: { readonly id: string; readonly filter: LiveFilter };
  /** Ends a tap. Answered with `{}`. */
  untap: { readonly id: string };
}

export type LiveDirection = "in" | "out" | "publish" | "lifecycle";

export interface LiveFilter {
  /** A room such as `/chat/a`, or a tree such as `/chat/**`. */
  readonly room?: string;
  readonly user?: string;
  /** The id of one connection. */
  readonly connection?: string;
  readonly direction?: LiveDirection | readonly LiveDirection[];
  readonly text?: string;
}

/** The events that the server sends over `{path}/live`. */
export interface LiveEvents {
  /** Every second. */
  overview: Overview;
  /** At most 4 times a second for each node. */
  entries: EntryBatch;
}

export interface EntryBatch {
  /** The id of the tap. */
  readonly id: string;
  readonly node: string;
  /** How many entries were dropped before these. */
  readonly missed: number;
  /** At most 500, and at most 256 KiB as JSON. */
  readonly entries: readonly LiveEntry[];
}

export interface LiveEntry {
  readonly at: number;
  readonly direction: LiveDirection;
  /** For `lifecycle`. */
  readonly type?: "open" | "close" | "refuse" | "error";
  /** The id of the connection. */
  readonly connection?: string;
  readonly user?: string;
  /** The path of the connection, or of the refused request. */
  readonly path?: string;
  /** For `out`: the room or the tree that it was published to. For `publish`: what it was published to, as text. */
  readonly to?: string;
  readonly kind?: "json" | "text" | "binary" | "notice";
  /** The content, cut to 4,096 characters; binary content in base64. The message of an error. */
  readonly text?: string;
  /** The size of the content before it was cut. */
  readonly bytes?: number;
  /** For `publish`: the offset in the history of the room. */
  readonly offset?: number;
  /** The close code, or the HTTP status of a refusal. */
  readonly code?: number;
  readonly reason?: string;
}
