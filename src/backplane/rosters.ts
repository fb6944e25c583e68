import { type Clock, deferred } from "../connection/clock.js";
import type { RoomPath } from "../wire/path.js";
import type { RosterChange, RosterEntry } from "./backplane.js";
import type { Fields } from "./parcel.js";

type Entries = Map<string, RosterEntry>;

/** What one node has in one room, and how many times it has told of a change. */
interface Roster {
  seq: number;
  readonly entries: Entries;
}

/** A room with presence in which somebody is on this node. */
interface Open {
  readonly own: Roster;
  /** Not told yet. */
  readonly changes: Map<string, RosterEntry | undefined>;
  /** What other nodes have, by node. */
  readonly others: Map<string, Roster>;
  /** Whether the others were told of this node, and asked for what they have. */
  introduced: boolean;
  /** Nodes that have not answered yet. */
  readonly asked: Set<string>;
  /** Until all of them have. */
  complete: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
}

/** Where a room stands on a node, in its signs of life. */
export type RosterMark = readonly [path: string, seq: number | null];

export interface RostersParts {
  /** Names this life of this node. */
  readonly id: string;
  readonly clock: Clock;
  /** The nodes that can be asked now. */
  readonly neighbours: () => readonly string[];
  /** Sends to every node that has somebody in the room. */
  readonly tellRoom: (path: RoomPath, kind: string, fields: object) => void;
  readonly tellNode: (node: string, kind: string, fields: object) => void;
  /** Takes what other nodes have. */
  readonly present: (path: RoomPath, changes: readonly RosterChange[]) => void;
}

/** What somebody asked for who is not in the room. */
interface Look {
  readonly asked: Set<string>;
  readonly found: RosterChange[];
  readonly resolve: () => void;
  readonly promise: Promise<void>;
}

/** Marks that one sign of life may bear; rooms beyond it are marked with the next. */
const marksMax = 1_000;
/** Milliseconds that a room waits for what other nodes have, some of which may be gone. */
const answersMs = 500;

/**
 * Who is in which room on which node.
 *
 * Each node tells what it has: all of it when it opens a room, and then each change, numbered. Whoever finds that a number
 * is missing, by the next change or by a sign of life, asks for all of it anew. What a node told goes with the node.
 */
export class Rosters {
  readonly #parts: RostersParts;
  readonly #rooms = new Map<RoomPath, Open>();
  readonly #looks = new Map<RoomPath, Look>();
  readonly #changed = new Set<RoomPath>();
  readonly #marks = new Map<RoomPath, number | null>();
  #seq = 0;
  #scheduled = false;

  constructor(parts: RostersParts) {
    this.#parts = parts;
  }

  /** Whether somebody is in the room on this node. */
  has(path: RoomPath): boolean {
    return this.#rooms.has(path);
  }

  /**
   * What this node has of a user from now on; `undefined`: nothing. Told with all else of the tick.
   *
   * Returns a promise that resolves when it is known what the others have; `undefined` when it is.
   */
  attend(path: RoomPath, key: string, entry: RosterEntry | undefined): Promise<void> | undefined {
    const room = this.#rooms.get(path) ?? this.#open(path);
    room.changes.set(key, entry);
    this.#changed.add(path);
    this.#tellSoon();
    return room.complete?.promise;
  }

  /** What the other nodes have of a room in which nobody is on this one. */
  async look(path: RoomPath): Promise<readonly RosterChange[]> {
    const look = this.#looks.get(path) ?? this.#beginLook(path);
    await look.promise;
    this.#looks.delete(path);
    return look.found;
  }

  /** What the others have cannot be known now. */
  release(): void {
    for (const room of this.#rooms.values()) settle(room);
    for (const { resolve } of this.#looks.values()) resolve();
  }

  /** Nobody is in the room any more on this node. */
  close(path: RoomPath): void {
    const room = this.#rooms.get(path);
    if (room === undefined) return;
    settle(room);
    this.#rooms.delete(path);
    this.#marks.set(path, null);
    this.#parts.tellRoom(path, "left", { node: this.#parts.id });
  }

  /** After what may have been missed: tells all that this node has, and asks what the others have. */
  renew(): void {
    for (const [path, room] of this.#rooms) {
      this.#apply(room);
      room.introduced = true;
      this.#introduce(path, room);
    }
  }

  /** Takes what is said on the channel of a room, or to this node alone; whether it was understood. */
  hear(path: RoomPath, kind: unknown, fields: Fields): boolean {
    const { node, seq } = fields;
    if (typeof node !== "string") return false;
    if (node === this.#parts.id) return true;
    const room = this.#rooms.get(path);
    if (kind === "ask") return this.#answer(path, room, node);
    this.#tellLook(path, node, kind, fields);
    if (room === undefined) return true;
    if (kind === "left") {
      this.#replace(path, room, node, undefined);
      return answered(room, node);
    }
    const entries = entriesOf(fields.entries);
    if (entries === undefined || !Number.isSafeInteger(seq)) return false;
    if (kind === "diff") return this.#change(path, room, { node, seq: Number(seq), entries });
    if (kind !== "state") return false;
    if (fields.ask === true) this.#answer(path, room, node);
    this.#replace(path, room, node, { seq: Number(seq), entries: present(entries) });
    return answered(room, node);
  }

  /** Compares what a node says that it has told with what came. */
  compare(node: string, marks: readonly RosterMark[]): void {
    for (const [path, seq] of marks) {
      // A path that is no room of this node is not found.
      const room = this.#rooms.get(path as RoomPath);
      if (room === undefined || node === this.#parts.id) continue;
      if (seq === null) this.#replace(path as RoomPath, room, node, undefined);
      else if ((room.others.get(node)?.seq ?? -1) < seq) this.#ask(path, node);
    }
  }

  /** All that a node told goes with it. */
  forget(node: string): void {
    for (const [path, room] of this.#rooms) {
      this.#replace(path, room, node, undefined);
      answered(room, node);
    }
  }

  /** Where the rooms stand that changed since they were last marked. */
  marks(): RosterMark[] {
    const marked = [...this.#marks].slice(0, marksMax);
    for (const [path] of marked) this.#marks.delete(path);
    return marked;
  }

  #open(path: RoomPath): Open {
    this.#seq += 1;
    // Higher than in an earlier time of the room, whose last words may come late.
    const own = { seq: this.#seq * 1_000_000, entries: new Map() };
    const asked = new Set(this.#parts.neighbours());
    const complete = asked.size === 0 ? undefined : deferred<void>();
    const room: Open = { own, changes: new Map(), others: new Map(), introduced: false, asked, complete };
    this.#rooms.set(path, room);
    if (complete !== undefined) this.#parts.clock.setTimeout(() => settle(room), answersMs);
    return room;
  }

  #beginLook(path: RoomPath): Look {
    const neighbours = this.#parts.neighbours();
    const look: Look = { asked: new Set(neighbours), found: [], ...deferred<void>() };
    this.#looks.set(path, look);
    if (neighbours.length === 0) look.resolve();
    else this.#parts.clock.setTimeout(look.resolve, answersMs);
    for (const node of neighbours) this.#ask(path, node);
    return look;
  }

  #tellLook(path: RoomPath, node: string, kind: unknown, fields: Fields): void {
    const look = this.#looks.get(path);
    if (look === undefined || !look.asked.delete(node)) return;
    const entries = kind === "state" ? entriesOf(fields.entries) : undefined;
    for (const [key, entry] of entries ?? []) look.found.push({ node, key, entry });
    if (look.asked.size === 0) look.resolve();
  }

  #tellSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const changed = [...this.#changed];
      this.#changed.clear();
      for (const path of changed) this.#tell(path);
    });
  }

  #tell(path: RoomPath): void {
    const room = this.#rooms.get(path);
    if (room === undefined || room.changes.size === 0) return;
    const entries = this.#apply(room);
    this.#marks.set(path, room.own.seq);
    if (room.introduced) this.#parts.tellRoom(path, "diff", { node: this.#parts.id, seq: room.own.seq, entries });
    else this.#introduce(path, room);
  }

  /** Makes what changed a part of what this node has. */
  #apply({ own, changes }: Open): [key: string, entry: RosterEntry | null][] {
    const list = [...changes].map(([key, entry]): [string, RosterEntry | null] => [key, entry ?? null]);
    changes.clear();
    if (list.length > 0) own.seq += 1;
    for (const [key, entry] of list) {
      if (entry === null) own.entries.delete(key);
      else own.entries.set(key, entry);
    }
    return list;
  }

  #introduce(path: RoomPath, room: Open): void {
    this.#parts.tellRoom(path, "state", { ...this.#stateOf(room), ask: room.introduced });
    if (room.introduced) return;
    room.introduced = true;
    // Nodes that have nobody there do not hear what is said in the room, but they can say so.
    for (const node of this.#parts.neighbours()) this.#ask(path, node);
  }

  #stateOf({ own }: Open): object {
    return { node: this.#parts.id, seq: own.seq, entries: [...own.entries] };
  }

  #answer(path: RoomPath, room: Open | undefined, node: string): true {
    if (room === undefined) this.#parts.tellNode(node, "left", { node: this.#parts.id, path });
    else this.#parts.tellNode(node, "state", { ...this.#stateOf(room), path });
    return true;
  }

  #ask(path: string, node: string): void {
    this.#parts.tellNode(node, "ask", { node: this.#parts.id, path });
  }

  #change(path: RoomPath, room: Open, diff: { node: string; seq: number; entries: Heard }): true {
    const { node, seq, entries } = diff;
    const known = room.others.get(node);
    if (known === undefined || seq > known.seq + 1) {
      this.#ask(path, node);
    } else if (seq === known.seq + 1) {
      known.seq = seq;
      for (const [key, entry] of entries) {
        if (entry === undefined) known.entries.delete(key);
        else known.entries.set(key, entry);
      }
      this.#parts.present(
        path,
        [...entries].map(([key, entry]) => ({ node, key, entry })),
      );
    }
    return true;
  }

  /** Puts all that a node has in the place of what was known of it. */
  #replace(path: RoomPath, room: Open, node: string, roster: Roster | undefined): void {
    const known = room.others.get(node);
    if (known === undefined && roster === undefined) return;
    if (roster !== undefined && known !== undefined && roster.seq < known.seq) return;
    if (roster === undefined) room.others.delete(node);
    else room.others.set(node, roster);
    const gone = [...(known?.entries.keys() ?? [])].filter((key) => roster?.entries.has(key) !== true);
    const changes = [
      ...gone.map((key) => ({ node, key, entry: undefined })),
      ...[...(roster?.entries ?? [])].map(([key, entry]) => ({ node, key, entry })),
    ];
    if (changes.length > 0) this.#parts.present(path, changes);
  }
}

function answered(room: Open, node: string): true {
  room.asked.delete(node);
  if (room.asked.size === 0) settle(room);
  return true;
}

/** Nobody waits for more. */
function settle(room: Open): void {
  room.complete?.resolve();
  room.complete = undefined;
}

type Heard = Map<string, RosterEntry | undefined>;

function present(entries: Heard): Entries {
  const found: Entries = new Map();
  for (const [key, entry] of entries) if (entry !== undefined) found.set(key, entry);
  return found;
}

/** `undefined` for what are no entries. */
function entriesOf(value: unknown): Heard | undefined {
  if (!Array.isArray(value)) return undefined;
  const heard: Heard = new Map();
  for (const pair of value) {
    const [key, entry]: unknown[] = Array.isArray(pair) ? pair : [];
    if (typeof key !== "string" || !(entry === null || isEntry(entry))) return undefined;
    heard.set(key, entry ?? undefined);
  }
  return heard;
}

function isEntry(value: unknown): value is RosterEntry {
  if (typeof value !== "object" || value === null || !("id" in value) || !("connections" in value)) return false;
  const { id, connections } = value;
  return typeof id === "string" && Number.isSafeInteger(connections) && Number(connections) > 0;
}
