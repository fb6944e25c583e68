import type { Registry } from "../../room/registry.js";
import type { RoomState } from "../../room/roomState.js";
import type { RoomPath } from "../../wire/path.js";
import type { RoomSummary } from "../api.js";
import { FirstRows, type KeyedRow } from "./firstRows.js";

/** The query of a page of rooms, as `GET api/rooms` has it. */
export interface RoomsQuery {
  /** A canonical path. */
  readonly under: string;
  readonly search?: string | undefined;
  readonly after?: string | undefined;
  /** The maximum number of rows. */
  readonly rowsMax: number;
}

type Row = { -readonly [Name in keyof RoomSummary]: RoomSummary[Name] };

/** The rooms of one node, as a list or as one level of their tree. */
export class Rooms {
  readonly #registry: Registry;
  readonly #hidden: RoomPath;

  /** @param hidden The room of the admin itself, which is not listed. */
  constructor(registry: Registry, hidden: RoomPath) {
    this.#registry = registry;
    this.#hidden = hidden;
  }

  list({ under, search, after, rowsMax }: RoomsQuery): KeyedRow<RoomSummary>[] {
    const first = new FirstRows<Row>(rowsMax, after);
    const add = search === undefined ? levelAdder(first, under) : matchAdder(first, search.toLowerCase());
    for (const room of this.#registry.roomTable) if (room.path !== this.#hidden) add(room);
    return first.rows;
  }
}

/** Adds the rooms whose path contains a text. @param searched In lower case. */
function matchAdder(first: FirstRows<Row>, searched: string): (room: RoomState) => void {
  return (room) => {
    const { path } = room;
    if (first.isNear(path) && path.toLowerCase().includes(searched)) first.set(path, withRoom(emptyRow(path), room));
  };
}

/** Adds each room to the row of its ancestor, or itself, on the level below `under`. */
function levelAdder(first: FirstRows<Row>, under: string): (room: RoomState) => void {
  const prefix = under === "/" ? "/" : `${under}/`;
  return (room) => {
    const { path } = room;
    if (!path.startsWith(prefix)) return;
    const end = path.indexOf("/", prefix.length);
    const child = end === -1 ? path : path.slice(0, end);
    if (!first.isNear(child)) return;
    const row = first.get(child) ?? emptyRow(child);
    first.set(child, end === -1 ? withRoom(row, room) : withRoomBelow(row, room));
  };
}

function emptyRow(path: string): Row {
  const none = { members: 0, roomsBelow: 0, membersBelow: 0 };
  return { path, ...none, isOpen: false, hasChildren: false, history: false };
}

function withRoom(row: Row, { members, config }: RoomState): Row {
  row.members = members.size;
  row.isOpen = true;
  row.history = config.history !== undefined;
  return row;
}

function withRoomBelow(row: Row, { members }: RoomState): Row {
  row.hasChildren = true;
  row.roomsBelow += 1;
  row.membersBelow += members.size;
  return row;
}

/** The row of a path on two nodes. */
export function mergedRooms(one: RoomSummary, other: RoomSummary): RoomSummary {
  return {
    path: one.path,
    members: one.members + other.members,
    isOpen: one.isOpen || other.isOpen,
    hasChildren: one.hasChildren || other.hasChildren,
    roomsBelow: one.roomsBelow + other.roomsBelow,
    membersBelow: one.membersBelow + other.membersBelow,
    history: one.history || other.history,
  };
}
