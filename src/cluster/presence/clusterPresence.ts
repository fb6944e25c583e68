import type { PresenceEntry, PresenceReport, PresenceUpdate } from "../../backplane/backplane.js";
import { isRoom } from "../../backplane/topic.js";
import type { Clock, Timer } from "../../connection/clock.js";
import type { RoomPath } from "../../wire/path.js";
import type { Fields } from "../nodeMessage.js";
import { isFlag, isStatus, keysOf, type NodePresence, pairsOf, type ReportFlag } from "./nodePresence.js";
import { entriesOf, presentOf, type ReceivedEntries } from "./presenceEntries.js";
import { ChangedRooms, type PresenceMark, type PresenceMarks } from "./presenceMarks.js";
import { answersMs, PresenceQuestion } from "./presenceQuestion.js";
import { ReportedLeaves } from "./reportedLeaves.js";
import { RoomReports } from "./roomReports.js";

/** A room with presence that is open on this node. */
interface AnnouncedRoom {
  readonly own: NodePresence;
  /** Changes of this node that are not sent yet. */
  readonly changes: Map<string, PresenceEntry | undefined>;
  /** What other nodes have, by node. */
  readonly others: Map<string, NodePresence>;
  /** Whether the other nodes know that the room is open here. */
  isAnnounced: boolean;
  readonly reports: RoomReports;
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
  /** Whether this node goes on alone while the others cannot be reached. */
  readonly isAlone: () => boolean;
  /** Sends to every node that has the room open. Returns whether that was sent; never rejects. */
  readonly sendToRoom: (path: RoomPath, kind: string, fields: object) => Promise<boolean>;
  readonly sendToNode: (node: string, kind: string, fields: object) => void;
  /** Takes what other nodes have. */
  readonly onPresence: (path: RoomPath, changes: readonly PresenceUpdate[]) => void;
  /** A room that was closed needs its channel no longer. */
  readonly onClosed: (path: RoomPath) => void;
}

/** A change of what another node has. */
interface ReceivedChange {
  readonly seq: number;
  readonly entries: ReceivedEntries;
  readonly flags: ReadonlyMap<string, ReportFlag>;
  readonly isClosing: boolean;
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
  readonly #reportedLeaves = new ReportedLeaves();
  /** Fires when nodes that this one does not know yet have had the time to answer. */
  #settling: Timer | undefined;
  #isSettled = false;
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
    const room = this.#openAgain(path) ?? this.#open(path);
    room.changes.set(key, entry);
    if (entry !== undefined) room.reports.arrive(key);
    this.#unsent.add(path);
    this.#sendSoon();
    return room.question?.answered;
  }

  /** Whether a user is in the room, as this node sees it; see `Backplane.reportPresence`. */
  setPresent(path: RoomPath, key: string, isPresent: boolean, report: PresenceReport): void {
    this.#rooms.get(path)?.reports.setPresent(key, isPresent, report);
  }

  /** This node is connected: soon it knows all others. */
  begin(): void {
    this.#settling?.cancel();
    this.#settling = this.#deps.clock.setTimeout(() => {
      this.#isSettled = true;
      for (const { reports } of [...this.#rooms.values()]) reports.reviewAll();
    }, answersMs);
  }

  /** The app closes. */
  end(): void {
    this.#settling?.cancel();
    for (const { reports } of [...this.#rooms.values()]) reports.end(!reports.hasHeirs);
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
    this.#settling?.cancel();
    this.#isSettled = false;
    for (const { question, reports } of [...this.#rooms.values()]) {
      question?.end();
      reports.reviewAll();
    }
    for (const { question } of this.#queries.values()) question.end();
  }

  /** The room is closed on this node. */
  close(path: RoomPath): void {
    const room = this.#rooms.get(path);
    if (room === undefined) return;
    room.question?.end();
    room.own.isClosing = true;
    room.reports.close();
  }

  /** Asks a node for what it has in every room that is open here: it is new, or was away for a while. */
  askAll(node: string): void {
    this.#askInParts(node, [...this.#rooms.keys()]);
  }

  /** The node left, or is lost: what it had is removed. */
  forget(node: string, isLost: boolean): void {
    this.#unanswered.delete(node);
    for (const [path, room] of [...this.#rooms]) {
      this.#replace(path, room, node, undefined, isLost);
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
    if (kind === "claim" || kind === "answer") return this.#receiveClaim(name, node, kind, fields);
    if (kind === "left" || kind === "state") {
      this.#unanswered.get(node)?.delete(name);
      const reportedLeaves = keysOf(fields.reportedLeaves ?? []);
      if (reportedLeaves === undefined) return false;
      this.#rooms.get(name)?.reports.onLeftElsewhere(reportedLeaves);
    }
    if (kind === "left") return this.#onLeft(name, node);
    return this.#receiveEntries(name, node, kind, fields);
  }

  #receiveEntries(path: RoomPath, node: string, kind: unknown, fields: Fields): boolean {
    const entries = entriesOf(fields.entries);
    const seq = Number(fields.seq);
    const isClosing = fields.isClosing === true;
    if (entries === undefined || !Number.isSafeInteger(fields.seq)) return false;
    if (kind === "change") {
      const flags = pairsOf(fields.reporting ?? [], isFlag);
      return flags !== undefined && this.#onChange(path, node, { seq, entries, flags, isClosing });
    }
    const reporting = keysOf(fields.reporting ?? []);
    if (kind !== "state" || reporting === undefined) return false;
    return this.#onState(path, node, { seq, entries: presentOf(entries), reporting: new Set(reporting), isClosing });
  }

  #receiveClaim(path: RoomPath, node: string, kind: "claim" | "answer", fields: Fields): boolean {
    const round = Number(fields.round);
    const reports = this.#rooms.get(path)?.reports;
    if (kind === "answer") {
      const answers = pairsOf(fields.answers, isStatus);
      if (answers !== undefined) reports?.onAnswer(node, round, answers);
      return answers !== undefined;
    }
    const keys = pairsOf(fields.keys, (value) => typeof value === "boolean");
    if (keys === undefined) return false;
    const answers = reports?.answer(node, keys) ?? [];
    this.#deps.sendToNode(node, "answer", { node: this.#deps.id, path, round, answers });
    return true;
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
    const own = {
      seq: this.#openings * seqsPerOpening,
      entries: new Map(),
      reporting: new Set<string>(),
      isClosing: false,
    };
    const question = this.#question();
    const maps = { changes: new Map(), others: new Map<string, NodePresence>() };
    const reports = this.#reportsOf(path, own, maps, () => room);
    const room: AnnouncedRoom = { own, ...maps, reports, isAnnounced: false, question };
    this.#rooms.set(path, room);
    question?.answered.then(() => {
      room.question = undefined;
      room.reports.reviewAll();
    });
    return room;
  }

  /** A room that is open here, or was until its last reports are made. */
  #openAgain(path: RoomPath): AnnouncedRoom | undefined {
    const room = this.#rooms.get(path);
    if (room?.reports.isClosing !== true) return room;
    room.own.isClosing = false;
    room.reports.reopen();
    for (const [node, { entries }] of room.others) {
      const changes = [...entries].map(([key, entry]) => ({ node, key, entry }));
      this.#deps.onPresence(path, changes);
    }
    return room;
  }

  #reportsOf(
    path: RoomPath,
    own: NodePresence,
    { changes, others }: Pick<AnnouncedRoom, "changes" | "others">,
    room: () => AnnouncedRoom,
  ): RoomReports {
    const { id, clock, isAlone, otherNodes, sendToRoom } = this.#deps;
    return new RoomReports({
      ...{ id, clock, own, others },
      hasOwn: (key) => (changes.has(key) ? changes.get(key) !== undefined : own.entries.has(key)),
      isReady: () => isAlone() || (this.#isSettled && room().question === undefined),
      answering: otherNodes,
      sendClaim: (round, keys) => void sendToRoom(path, "claim", { node: id, round, keys }),
      onFlags: () => this.#sendSoonFor(path),
      onLeftFor: (node, key) => this.#reportedLeaves.add(node, path, key),
      onDone: () => this.#closed(path, room()),
    });
  }

  #closed(path: RoomPath, room: AnnouncedRoom): void {
    if (this.#rooms.get(path) !== room) return;
    this.#rooms.delete(path);
    this.#changed.add(path);
    void this.#deps.sendToRoom(path, "left", { node: this.#deps.id });
    this.#deps.onClosed(path);
  }

  #sendSoonFor(path: RoomPath): void {
    this.#unsent.add(path);
    this.#sendSoon();
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
    if (room === undefined || (room.changes.size === 0 && !room.reports.hasFlags)) return;
    const entries = apply(room);
    const reporting = room.reports.takeFlags();
    this.#changed.add(path);
    const { seq, isClosing } = room.own;
    const change = { node: this.#deps.id, seq, entries, reporting, isClosing };
    const sending = room.isAnnounced
      ? this.#deps.sendToRoom(path, "change", change)
      : this.#deps.sendToRoom(path, "state", this.#stateOf(room));
    sending.then((isSent) => room.reports.onSent(reporting, isSent || this.#deps.isAlone()));
    if (room.isAnnounced) return;
    room.isAnnounced = true;
    // Nodes that have not opened the room are not subscribed to its channel, but must answer as well.
    for (const node of room.question?.nodes ?? []) this.#ask(node, [path]);
  }

  #stateOf({ own }: AnnouncedRoom): object {
    const { seq, entries, reporting, isClosing } = own;
    return { node: this.#deps.id, seq, entries: [...entries], reporting: [...reporting], isClosing };
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
    const about = { node: this.#deps.id, path, reportedLeaves: this.#reportedLeaves.take(node, path) };
    if (room === undefined) this.#deps.sendToNode(node, "left", about);
    else this.#deps.sendToNode(node, "state", { ...this.#stateOf(room), ...about });
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

  #onChange(path: RoomPath, node: string, { seq, entries, flags, isClosing }: ReceivedChange): true {
    const room = this.#rooms.get(path);
    const known = room?.others.get(node);
    if (room !== undefined && (known === undefined || seq > known.seq + 1)) this.#ask(node, [path]);
    if (room === undefined || known === undefined || seq !== known.seq + 1) return true;
    Object.assign(known, { seq, isClosing });
    for (const [key, flag] of flags) {
      if (flag === "reports") known.reporting.add(key);
      else known.reporting.delete(key);
    }
    for (const [key, entry] of entries) {
      if (entry === undefined) known.entries.delete(key);
      else known.entries.set(key, entry);
    }
    const changes = [...entries].map(([key, entry]) => ({ node, key, entry }));
    this.#deps.onPresence(path, changes);
    room.reports.onFlags(node, flags);
    return true;
  }

  /** Replaces what is known of a node; `undefined`: it has not opened the room. */
  #replace(
    path: RoomPath,
    room: AnnouncedRoom,
    node: string,
    presence: NodePresence | undefined,
    isLost = false,
  ): void {
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
    room.reports.onReplaced(node, known, presence, isLost);
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
