import type { Topic } from "../../backplane/topic.js";
import type {
  ConnectionDetails,
  ConnectionSummary,
  Departure,
  EntryBatch,
  ErrorReport,
  LiveFilter,
  Member,
  NodeOverview,
  RoomSummary,
  UserSummary,
} from "../api.js";
import type { ConnectionsQuery } from "../lists/connections.js";
import type { KeyedRow } from "../lists/firstRows.js";
import type { RoomsQuery } from "../lists/rooms.js";
import type { UsersQuery } from "../lists/users.js";

/** A message to one connection. */
export type DirectMessage =
  | { readonly kind: "json"; readonly data: unknown }
  | { readonly kind: "text"; readonly data: string }
  | { readonly kind: "event"; readonly event: string; readonly data: unknown };

interface RecordsQuery {
  readonly after?: string | undefined;
  readonly rowsMax: number;
}

/** The questions that a node answers, with their arguments and their answers, which are JSON values. */
export interface Methods {
  overview: [args: null, answer: Omit<NodeOverview, "isThis">];
  rooms: [args: RoomsQuery, answer: KeyedRow<RoomSummary>[]];
  connections: [args: ConnectionsQuery, answer: KeyedRow<ConnectionSummary>[]];
  connection: [args: { readonly id: string }, answer: ConnectionDetails | null];
  members: [args: RecordsQuery & { readonly path: string }, answer: KeyedRow<Member>[]];
  users: [args: UsersQuery, answer: KeyedRow<UserSummary>[]];
  departures: [args: RecordsQuery, answer: KeyedRow<Departure>[]];
  errors: [args: RecordsQuery, answer: KeyedRow<ErrorReport>[]];
  /** The number of connections of a topic on this node. */
  count: [args: { readonly topic: Topic }, answer: number];
  /** False if the node has no connection with this id. */
  send: [args: { readonly id: string; readonly message: DirectMessage }, answer: boolean];
  close: [args: { readonly id: string; readonly code: number; readonly reason: string }, answer: boolean];
  /** Asks the client to reconnect; closes a plain client. */
  move: [args: { readonly id: string }, answer: boolean];
}

export type Method = keyof Methods;
export type Args<Name extends Method> = Methods[Name][0];
export type Answer<Name extends Method> = Methods[Name][1];

/** A message to another node that needs no answer. */
export type Told =
  /** Starts or renews a tap. `key` names the tap among all nodes. */
  | { readonly method: "tap"; readonly key: string; readonly filter: LiveFilter }
  | { readonly method: "untap"; readonly key: string }
  /** The entries of a tap, for the node that asked for it. */
  | { readonly method: "entries"; readonly key: string; readonly batch: Omit<EntryBatch, "id"> };
