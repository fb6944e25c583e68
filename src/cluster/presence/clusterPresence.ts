import type { PresenceEntry, PresenceUpdate } from "../../backplane/backplane.js";
import { isRoom } from "../../backplane/topic.js";
import type { Clock } from "../../connection/clock.js";
import type { RoomPath } from "../../wire/path.js";
import type { Fields } from "../nodeMessage.js";
import { entriesOf, presentOf, type ReceivedEntries } from "./presenceEntries.js";
import { ChangedRooms, type PresenceMark, type PresenceMarks } from "./presenceMarks.js";
import { PresenceQuestion } from "./presenceQuestion.js";

/** What one node has in one room, with the sequence number of its last change. */
interface NodePresence {
  seq: number;
  readonly entries: Map<string, PresenceEntry>;
}

/** A room with presence that is open on this node. */
interface AnnouncedRoom {
  readonly own: NodePresence;
  /** Changes of this node that are not sent yet. */
  readonly changes: Map<string, PresenceEntry | undefined>;
  /** What other nodes have, by node. */
  readonly others: Map<string, NodePresence>;
  /** Whether the other nodes know that the room is open here. */
  isAnnounced: boolean;
  /** Until it is known what the other nodes have. */
  question: PresenceQuestion | undefined;
}

/** A question about a room that is not open on this node. */
interface PresenceQuery {
  readonly question: PresenceQuestion;
  readonly found: PresenceUpdate[];
}

export interface ClusterPresenceDeps {
  /** The id of this node. */
  readonly id: string;
  readonly clock: Clock;
  /** The nodes that can be asked now. */
  readonly otherNodes: () => readonly string[];
  /** Sends to every node that has the room open. */
  readonly sendToRoom: (path: RoomPath, kind: string, fields: object) => void;
  readonly sendToNode: (node: string, kind: string, fields: object) => void;
  /** Takes what other nodes have. */
  readonly onPresence: (path: RoomPath, changes: readonly PresenceUpdate[]) => void;
}

/** Rooms that one question may be about. */
const pathsMax = 500;
/** Sequence numbers of one opening of a room; those of the next are higher, however late older messages arrive. */
const seqsPerOpening = 1_000_000;

/**
 * Which user is in which room on which node.
 *
 * A node sends all it has when it opens a room, and then each change, numbered. A node that misses a number, by the next
 * change or by a heartbeat, asks for everything again; so does a node that finds another one. What a lost node had is
 * removed.
 */
export class ClusterPresence {
  readonly #deps: ClusterPresenceDeps;
  readonly #rooms = new Map<RoomPath, AnnouncedRoom>();
  readonly #queries = new Map<RoomPath, PresenceQuery>();
  /** The rooms that other nodes were asked about and have not answered for, by node. */
  readonly #unanswered = new Map<string, Set<string>>();
  /** The rooms with changes that are not sent yet. */
  readonly #unsent = new Set<RoomPath>();
  readonly #changed = new ChangedRooms();
  #openings = 0;
  #isScheduled = false;

  constructor(deps: ClusterPresenceDeps) {
    this.#deps = deps;
  }

  /** Whether the room is open on this node. */
  has(path: RoomPath): boolean {
    return this.#rooms.has(path);
  }

  /**
   * Sets what this node has of a user; `undefined`: nothing. Sent with all other changes of the tick.
   *
   * Returns a promise that resolves when it is known what the other nodes have; `undefined` when it is known.
   */
  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined {
    const room = this.#rooms.get(path) ?? this.#open(path);
    room.changes.set(key, entry);
    this.#unsent.add(path);
    this.#sendSoon();
    return room.question?.answered;
  }

  /** The other nodes that have a room open that is open here. */
  nodesInRoom(path: RoomPath): readonly string[] {
    return [...(this.#rooms.get(path)?.others.keys() ?? [])];
  }

  /** What the other nodes have of a room that is not open here. */
  async readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]> {
    const query = this.#queries.get(path) ?? this.#query(path);
    await query.question.answered;
    if (this.#queries.get(path) === query) this.#queries.delete(path);
    return query.found;
  }

  /** The other nodes cannot be reached: no answer is waited for. */
  stopWaiting(): void {
    for (const { question } of this.#rooms.values()) question?.end();
    for (const { question } of this.#queries.values()) question.end();
  }

  /** The room is closed on this node. */
  close(path: RoomPath): void {
    this.#rooms.get(path)?.question?.end();
    if (!this.#rooms.delete(path)) return;
    this.#changed.add(path);
    this.#deps.sendToRoom(path, "left", { node: this.#deps.id });
  }

  /** Asks a node for what it has in every room that is open here: it is new, or was away for a while. */
  askAll(node: string): void {
    this.#askInParts(node, [...this.#rooms.keys()]);
  }

  /** The node is lost: what it had is removed. */
  forget(node: string): void {
    this.#unanswered.delete(node);
    for (const [path, room] of this.#rooms) {
      this.#replace(path, room, node, undefined);
      room.question?.close(node);
    }
    for (const { question } of this.#queries.values()) question.close(node);
  }

  /** Takes a signal about a room, from the room's channel or this node's. Returns whether it was understood. */
  receive(name: unknown, kind: unknown, fields: Fields): boolean {
    const { node, paths } = fields;
    if (typeof node !== "string") return false;
    if (node === this.#deps.id) return true;
    if (kind === "ask") return Array.isArray(paths) && paths.every((path) => this.#answer(path, node));
    if (typeof name !== "string" || !isRoom(name)) return false;
    if (kind === "left" || kind === "state") this.#unanswered.get(node)?.delete(name);
    if (kind === "left") return this.#onLeft(name, node);
    const entries = entriesOf(fields.entries);
    const seq = Number(fields.seq);
    if (entries === undefined || !Number.isSafeInteger(fields.seq)) return false;
    if (kind === "change") return this.#onChange(name, node, seq, entries);
    return kind === "state" && this.#onState(name, node, { seq, entries: presentOf(entries) });
  }

  /** Compares the marks of a node's heartbeat with what is known here, and asks again for what is missing. */
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
    this.#askInParts(node, missed);
  }

  /** Whether the next heartbeat has marks. */
  get isMarked(): boolean {
    return this.#changed.isMarked;
  }

  /** Takes the marks of the next heartbeat. */
  marks(): PresenceMarks {
    return this.#changed.take((path) => (isRoom(path) && this.#rooms.get(path)?.own.seq) || null);
  }

  /** The heartbeat was not sent: the next one has its marks. */
  unmark(marks: PresenceMarks): void {
    this.#changed.restore(marks);
  }

  #open(path: RoomPath): AnnouncedRoom {
    this.#openings += 1;
    const own = { seq: this.#openings * seqsPerOpening, entries: new Map() };
    const question = this.#question();
    const room: AnnouncedRoom = { own, changes: new Map(), others: new Map(), isAnnounced: false, question };
    this.#rooms.set(path, room);
    question?.answered.then(() => {
      room.question = undefined;
    });
    return room;
  }

  /** `undefined` when no node can be asked. */
  #question(): PresenceQuestion | undefined {
    const nodes = this.#deps.otherNodes();
    return nodes.length === 0 ? undefined : new PresenceQuestion(nodes, this.#deps.clock);
  }

  #query(path: RoomPath): PresenceQuery {
    const question = new PresenceQuestion(this.#deps.otherNodes(), this.#deps.clock);
    const query = { question, found: [] };
    this.#queries.set(path, query);
    for (const node of question.nodes) this.#ask(node, [path]);
    return query;
  }

  #sendSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const paths = [...this.#unsent];
      this.#unsent.clear();
      for (const path of paths) this.#send(path);
    });
  }

  #send(path: RoomPath): void {
    const room = this.#rooms.get(path);
    if (room === undefined || room.changes.size === 0) return;
    const entries = apply(room);
    this.#changed.add(path);
    if (room.isAnnounced) {
      this.#deps.sendToRoom(path, "change", { node: this.#deps.id, seq: room.own.seq, entries });
      return;
    }
    room.isAnnounced = true;
    this.#deps.sendToRoom(path, "state", this.#stateOf(room));
    // Nodes that have not opened the room are not subscribed to its channel, but must answer as well.
    for (const node of room.question?.nodes ?? []) this.#ask(node, [path]);
  }

  #stateOf({ own }: AnnouncedRoom): object {
    return { node: this.#deps.id, seq: own.seq, entries: [...own.entries] };
  }

  #askInParts(node: string, paths: readonly string[]): void {
    for (let index = 0; index < paths.length; index += pathsMax) this.#ask(node, paths.slice(index, index + pathsMax));
  }

  #ask(node: string, paths: readonly string[]): void {
    const unanswered = this.#unanswered.get(node) ?? new Set();
    this.#unanswered.set(node, unanswered);
    for (const path of paths) unanswered.add(path);
    this.#deps.sendToNode(node, "ask", { node: this.#deps.id, paths });
  }

  /** Sends a node what this one has in a room. Returns whether `path` is a room path. */
  #answer(path: unknown, node: string): boolean {
    if (typeof path !== "string" || !isRoom(path)) return false;
    const room = this.#rooms.get(path);
    if (room === undefined) this.#deps.sendToNode(node, "left", { node: this.#deps.id, path });
    else this.#deps.sendToNode(node, "state", { ...this.#stateOf(room), path });
    return true;
  }

  #onLeft(path: RoomPath, node: string): true {
    const room = this.#rooms.get(path);
    if (room !== undefined) this.#replace(path, room, node, undefined);
    room?.question?.close(node);
    this.#queries.get(path)?.question.close(node);
    return true;
  }

  #onState(path: RoomPath, node: string, presence: NodePresence): true {
    const query = this.#queries.get(path);
    if (query?.question.isOpenFor(node) === true) {
      for (const [key, entry] of presence.entries) query.found.push({ node, key, entry });
      query.question.close(node);
    }
    const room = this.#rooms.get(path);
    if (room !== undefined) this.#replace(path, room, node, presence);
    room?.question?.close(node);
    return true;
  }

  #onChange(path: RoomPath, node: string, seq: number, entries: ReceivedEntries): true {
    const known = this.#rooms.get(path)?.others.get(node);
    if (this.#rooms.has(path) && (known === undefined || seq > known.seq + 1)) this.#ask(node, [path]);
    if (known === undefined || seq !== known.seq + 1) return true;
    known.seq = seq;
    for (const [key, entry] of entries) {
      if (entry === undefined) known.entries.delete(key);
      else known.entries.set(key, entry);
    }
    const changes = [...entries].map(([key, entry]) => ({ node, key, entry }));
    this.#deps.onPresence(path, changes);
    return true;
  }

  /** Replaces what is known of a node; `undefined`: it has not opened the room. */
  #replace(path: RoomPath, room: AnnouncedRoom, node: string, presence: NodePresence | undefined): void {
    const known = room.others.get(node);
    if (presence !== undefined && known !== undefined && presence.seq < known.seq) return;
    if (presence === undefined) room.others.delete(node);
    else room.others.set(node, presence);
    const removed = [...(known?.entries.keys() ?? [])].filter((key) => presence?.entries.has(key) !== true);
    const changes = [
      ...removed.map((key) => ({ node, key, entry: undefined })),
      ...[...(presence?.entries ?? [])].map(([key, entry]) => ({ node, key, entry })),
    ];
    if (changes.length > 0) this.#deps.onPresence(path, changes);
  }
}

/** Applies the changes of this node, and returns them as they are sent. */
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
