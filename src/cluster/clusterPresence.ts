import type { PresenceEntry, PresenceUpdate } from "../backplane/backplane.js";
import { isRoom } from "../backplane/topic.js";
import { type Clock, deferred, within } from "../connection/clock.js";
import type { RoomPath } from "../wire/path.js";
import type { Fields } from "./nodeMessage.js";
import { entriesOf, presentOf, type ReceivedEntries } from "./presenceEntries.js";

/** What one node has in one room, and how many times it has told of a change. */
interface NodePresence {
  seq: number;
  readonly entries: Map<string, PresenceEntry>;
}

/** Nodes that were asked for what they have, until all have answered. */
interface Question {
  readonly asked: Set<string>;
  readonly answered: Promise<unknown>;
  readonly end: () => void;
}

/** A room with presence in which somebody is on this node. */
interface AnnouncedRoom {
  readonly own: NodePresence;
  /** Not told yet. */
  readonly changes: Map<string, PresenceEntry | undefined>;
  /** What other nodes have, by node. */
  readonly others: Map<string, NodePresence>;
  /** Whether the others were told that somebody is here. */
  introduced: boolean;
  question: Question | undefined;
}

/** What somebody wants to know who is not in the room. */
interface PresenceQuery extends Question {
  readonly found: PresenceUpdate[];
}

/** Where a room stands on a node, in its signs of life; `null` where nobody is left. */
export type PresenceMark = readonly [path: string, seq: number | null];

export interface ClusterPresenceDeps {
  /** Names this life of this node. */
  readonly id: string;
  readonly clock: Clock;
  /** The nodes that can be asked now. */
  readonly otherNodes: () => readonly string[];
  /** Sends to every node that has somebody in the room. */
  readonly tellRoom: (path: RoomPath, kind: string, fields: object) => void;
  readonly tellNode: (node: string, kind: string, fields: object) => void;
  /** Takes what other nodes have. */
  readonly present: (path: RoomPath, changes: readonly PresenceUpdate[]) => void;
}

/** Marks that one sign of life may bear, and rooms that one question may be about. */
const pathsMax = 500;
/** Marks that may wait for a sign of life; past it the others ask for everything anew. */
const marksMax = 10_000;
/** Milliseconds that a room waits for what other nodes have, some of which may be gone. */
const answersMs = 500;
/** Of an earlier time of a room, numbers are lower, however late its last words come. */
const seqsOfLife = 1_000_000;

/**
 * Who is in which room on which node.
 *
 * Each node tells what it has: all of it when it opens a room, and then each change, numbered. Whoever finds that a number
 * is missing, by the next change or by a sign of life, asks for all of it anew, and so does whoever meets a node. What a
 * node told goes with the node.
 */
export class ClusterPresence {
  readonly #deps: ClusterPresenceDeps;
  readonly #rooms = new Map<RoomPath, AnnouncedRoom>();
  readonly #looks = new Map<RoomPath, PresenceQuery>();
  /** What other nodes were asked for, by node, and have not answered yet. */
  readonly #unanswered = new Map<string, Set<string>>();
  readonly #changed = new Set<RoomPath>();
  readonly #marked = new Set<string>();
  #marksLost = false;
  #lives = 0;
  #scheduled = false;

  constructor(deps: ClusterPresenceDeps) {
    this.#deps = deps;
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
  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined {
    const room = this.#rooms.get(path) ?? this.#open(path);
    room.changes.set(key, entry);
    this.#changed.add(path);
    this.#tellSoon();
    return room.question?.answered;
  }

  /** The other nodes that have somebody in a room that is open here. */
  nodesInRoom(path: RoomPath): readonly string[] {
    return [...(this.#rooms.get(path)?.others.keys() ?? [])];
  }

  /** What the other nodes have of a room in which nobody is on this one. */
  async readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]> {
    const known = this.#looks.get(path);
    const look: PresenceQuery = known ?? { ...this.#question(), found: [] };
    if (known === undefined) {
      this.#looks.set(path, look);
      for (const node of look.asked) this.#ask(node, [path]);
    }
    await look.answered;
    if (this.#looks.get(path) === look) this.#looks.delete(path);
    return look.found;
  }

  /** What the others have cannot be known now. */
  release(): void {
    for (const { question } of this.#rooms.values()) question?.end();
    for (const look of this.#looks.values()) look.end();
  }

  /** Nobody is in the room any more on this node. */
  close(path: RoomPath): void {
    this.#rooms.get(path)?.question?.end();
    if (!this.#rooms.delete(path)) return;
    this.#mark(path);
    this.#deps.tellRoom(path, "left", { node: this.#deps.id });
  }

  /** Asks a node for what it has in every room that is open here: it was not heard for a while, or never. */
  askAll(node: string): void {
    const paths = [...this.#rooms.keys()];
    for (let index = 0; index < paths.length; index += pathsMax) this.#ask(node, paths.slice(index, index + pathsMax));
  }

  /** All that a node told goes with it. */
  forget(node: string): void {
    this.#unanswered.delete(node);
    for (const [path, room] of this.#rooms) {
      this.#replace(path, room, node, undefined);
      answer(room.question, node);
    }
    for (const look of this.#looks.values()) answer(look, node);
  }

  /** Takes what is said on the channel of a room, or to this node alone; whether it was understood. */
  receive(name: unknown, kind: unknown, fields: Fields): boolean {
    const { node, paths } = fields;
    if (typeof node !== "string") return false;
    if (node === this.#deps.id) return true;
    if (kind === "ask") return Array.isArray(paths) && paths.every((path) => this.#answer(path, node));
    if (typeof name !== "string" || !isRoom(name)) return false;
    if (kind === "left" || kind === "state") this.#unanswered.get(node)?.delete(name);
    if (kind === "left") return this.#left(name, node);
    const entries = entriesOf(fields.entries);
    const seq = Number(fields.seq);
    if (entries === undefined || !Number.isSafeInteger(fields.seq)) return false;
    if (kind === "diff") return this.#change(name, node, seq, entries);
    return kind === "state" && this.#state(name, node, { seq, entries: presentOf(entries) });
  }

  /** Compares what a node says that it has told with what came; and asks again for what it has not answered. */
  compare(node: string, marks: readonly PresenceMark[]): void {
    if (node === this.#deps.id) return;
    const missed = [...(this.#unanswered.get(node) ?? [])].filter((path) => isRoom(path) && this.#rooms.has(path));
    this.#unanswered.delete(node);
    for (const [path, seq] of marks) {
      const room = isRoom(path) ? this.#rooms.get(path) : undefined;
      if (room === undefined || !isRoom(path)) continue;
      if (seq === null) this.#replace(path, room, node, undefined);
      else if ((room.others.get(node)?.seq ?? -1) < seq) missed.push(path);
    }
    for (let index = 0; index < missed.length; index += pathsMax)
      this.#ask(node, missed.slice(index, index + pathsMax));
  }

  /** Whether a sign of life has more to say. */
  get isMarked(): boolean {
    return this.#marked.size > 0 || this.#marksLost;
  }

  /** Where rooms stand that changed, for a sign of life; and whether more changed than is known. */
  marks(): { readonly rosters: readonly PresenceMark[]; readonly renew: boolean } {
    const paths = [...this.#marked].slice(0, pathsMax);
    for (const path of paths) this.#marked.delete(path);
    const rosters = paths.map((path): PresenceMark => [path, (isRoom(path) && this.#rooms.get(path)?.own.seq) || null]);
    const renew = this.#marksLost;
    this.#marksLost = false;
    return { rosters, renew };
  }

  /** A sign of life was not sent: its marks are for the next. */
  unmark({ rosters, renew }: ReturnType<ClusterPresence["marks"]>): void {
    for (const [path] of rosters) this.#mark(path);
    this.#marksLost ||= renew;
  }

  #mark(path: string): void {
    this.#marked.add(path);
    if (this.#marked.size <= marksMax) return;
    this.#marked.clear();
    this.#marksLost = true;
  }

  #open(path: RoomPath): AnnouncedRoom {
    this.#lives += 1;
    const own = { seq: this.#lives * seqsOfLife, entries: new Map() };
    const room: AnnouncedRoom = { own, changes: new Map(), others: new Map(), introduced: false, question: undefined };
    this.#rooms.set(path, room);
    const question = this.#question();
    if (question.asked.size === 0) return room;
    room.question = question;
    question.answered.then(() => {
      room.question = undefined;
    });
    return room;
  }

  #question(): Question {
    const asked = new Set(this.#deps.otherNodes());
    const { promise, resolve: end } = deferred<void>();
    if (asked.size === 0) end();
    return { asked, answered: within(this.#deps.clock, answersMs, promise), end };
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
    const entries = apply(room);
    this.#mark(path);
    if (room.introduced) {
      this.#deps.tellRoom(path, "diff", { node: this.#deps.id, seq: room.own.seq, entries });
      return;
    }
    room.introduced = true;
    this.#deps.tellRoom(path, "state", this.#stateOf(room));
    // Nodes that have nobody there do not hear what is said in the room, but they can say so.
    for (const node of room.question?.asked ?? []) this.#ask(node, [path]);
  }

  #stateOf({ own }: AnnouncedRoom): object {
    return { node: this.#deps.id, seq: own.seq, entries: [...own.entries] };
  }

  #ask(node: string, paths: readonly string[]): void {
    const unanswered = this.#unanswered.get(node) ?? new Set();
    this.#unanswered.set(node, unanswered);
    for (const path of paths) unanswered.add(path);
    this.#deps.tellNode(node, "ask", { node: this.#deps.id, paths });
  }

  /** Tells a node what this one has in a room; whether that is a name of one. */
  #answer(path: unknown, node: string): boolean {
    if (typeof path !== "string" || !isRoom(path)) return false;
    const room = this.#rooms.get(path);
    if (room === undefined) this.#deps.tellNode(node, "left", { node: this.#deps.id, path });
    else this.#deps.tellNode(node, "state", { ...this.#stateOf(room), path });
    return true;
  }

  #left(path: RoomPath, node: string): true {
    const room = this.#rooms.get(path);
    if (room !== undefined) this.#replace(path, room, node, undefined);
    answer(room?.question, node);
    answer(this.#looks.get(path), node);
    return true;
  }

  #state(path: RoomPath, node: string, roster: NodePresence): true {
    const look = this.#looks.get(path);
    if (look?.asked.has(node) === true) {
      for (const [key, entry] of roster.entries) look.found.push({ node, key, entry });
      answer(look, node);
    }
    const room = this.#rooms.get(path);
    if (room !== undefined) this.#replace(path, room, node, roster);
    answer(room?.question, node);
    return true;
  }

  #change(path: RoomPath, node: string, seq: number, entries: ReceivedEntries): true {
    const known = this.#rooms.get(path)?.others.get(node);
    if (this.#rooms.has(path) && (known === undefined || seq > known.seq + 1)) this.#ask(node, [path]);
    if (known === undefined || seq !== known.seq + 1) return true;
    known.seq = seq;
    for (const [key, entry] of entries) {
      if (entry === undefined) known.entries.delete(key);
      else known.entries.set(key, entry);
    }
    const changes = [...entries].map(([key, entry]) => ({ node, key, entry }));
    this.#deps.present(path, changes);
    return true;
  }

  /** Puts all that a node has in the place of what was known of it. */
  #replace(path: RoomPath, room: AnnouncedRoom, node: string, roster: NodePresence | undefined): void {
    const known = room.others.get(node);
    if (roster !== undefined && known !== undefined && roster.seq < known.seq) return;
    if (roster === undefined) room.others.delete(node);
    else room.others.set(node, roster);
    const gone = [...(known?.entries.keys() ?? [])].filter((key) => roster?.entries.has(key) !== true);
    const changes = [
      ...gone.map((key) => ({ node, key, entry: undefined })),
      ...[...(roster?.entries ?? [])].map(([key, entry]) => ({ node, key, entry })),
    ];
    if (changes.length > 0) this.#deps.present(path, changes);
  }
}

/** Makes what changed a part of what this node has, and lists it. */
function apply({ own, changes }: AnnouncedRoom): readonly (readonly [key: string, entry: PresenceEntry | null])[] {
  const list = [...changes].map(([key, entry]): [string, PresenceEntry | null] => [key, entry ?? null]);
  changes.clear();
  own.seq += 1;
  for (const [key, entry] of list) {
    if (entry === null) own.entries.delete(key);
    else own.entries.set(key, entry);
  }
  return list;
}

function answer(question: Question | undefined, node: string): void {
  if (question?.asked.delete(node) === true && question.asked.size === 0) question.end();
}
