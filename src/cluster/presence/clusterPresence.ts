import type { PresenceEntry, PresenceReport, PresenceUpdate } from "../../backplane/backplane.js";
import { isRoom } from "../../backplane/topic.js";
import type { Clock, Timer } from "../../connection/clock.js";
import type { RoomPath } from "../../wire/path.js";
import type { Fields } from "../nodeMessage.js";
import { isStatus, keysOf, type NodePresence, pairsOf } from "./nodePresence.js";
import { changeOf, type ReceivedChange, stateOf } from "./presenceEntries.js";
import { ChangedRooms, type PresenceMark, type PresenceMarks } from "./presenceMarks.js";
import { PresenceQueries } from "./presenceQueries.js";
import { answersMs, PresenceQuestion } from "./presenceQuestion.js";
import { PresenceRoom } from "./presenceRoom.js";
import { ReportedLeaves } from "./reportedLeaves.js";

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
  readonly #rooms = new Map<RoomPath, PresenceRoom>();
  readonly #queries: PresenceQueries;
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
    const { clock, otherNodes } = deps;
    this.#queries = new PresenceQueries({ clock, otherNodes, ask: (node, path) => this.#ask(node, [path]) });
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
    room.set(key, entry);
    this.#sendSoon(path);
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
  readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]> {
    return this.#queries.read(path);
  }

  /** The other nodes cannot be reached: no answer is waited for. */
  stopWaiting(): void {
    this.#settling?.cancel();
    this.#isSettled = false;
    for (const { question, reports } of [...this.#rooms.values()]) {
      question?.end();
      reports.reviewAll();
    }
    this.#queries.stopWaiting();
  }

  /** The room is closed on this node. */
  close(path: RoomPath): void {
    this.#rooms.get(path)?.close();
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
    this.#queries.forget(node);
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
      const reportedLeaves = keysOf(fields.reportedLeaves === undefined ? [] : fields.reportedLeaves);
      if (reportedLeaves === undefined) return false;
      this.#rooms.get(name)?.reports.onLeftElsewhere(reportedLeaves);
    }
    if (kind === "left") return this.#onLeft(name, node);
    return this.#receiveEntries(name, node, kind, fields);
  }

  #receiveEntries(path: RoomPath, node: string, kind: unknown, fields: Fields): boolean {
    if (kind === "change") {
      const change = changeOf(fields);
      return change !== undefined && this.#onChange(path, node, change);
    }
    const state = kind === "state" ? stateOf(fields) : undefined;
    return state !== undefined && this.#onState(path, node, state);
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

  #open(path: RoomPath): PresenceRoom {
    this.#openings += 1;
    const question = this.#question();
    const deps = this.#reportsDeps(path, () => room);
    const room: PresenceRoom = new PresenceRoom(this.#openings * seqsPerOpening, question, deps);
    this.#rooms.set(path, room);
    question?.answered.then(() => {
      room.question = undefined;
      room.reports.reviewAll();
    });
    return room;
  }

  /** A room that is open here, or was until its last reports are made. */
  #openAgain(path: RoomPath): PresenceRoom | undefined {
    const room = this.#rooms.get(path);
    if (room?.own.isClosing !== true) return room;
    room.reopen();
    this.#deps.onPresence(path, room.updates);
    return room;
  }

  #reportsDeps(path: RoomPath, room: () => PresenceRoom): ConstructorParameters<typeof PresenceRoom>[2] {
    const { id, clock, isAlone, otherNodes, sendToRoom } = this.#deps;
    return {
      ...{ id, clock },
      isReady: () => isAlone() || (this.#isSettled && room().question === undefined),
      answering: otherNodes,
      sendClaim: (round, keys) => void sendToRoom(path, "claim", { node: id, round, keys }),
      onFlags: () => this.#sendSoon(path),
      onLeftFor: (node, key) => this.#reportedLeaves.add(node, path, key),
      onDone: () => this.#closed(path, room()),
    };
  }

  #closed(path: RoomPath, room: PresenceRoom): void {
    if (this.#rooms.get(path) !== room) return;
    this.#rooms.delete(path);
    this.#changed.add(path);
    void this.#deps.sendToRoom(path, "left", { node: this.#deps.id });
    this.#deps.onClosed(path);
  }

  /** `undefined` when no node can be asked. */
  #question(): PresenceQuestion | undefined {
    const nodes = this.#deps.otherNodes();
    return nodes.length === 0 ? undefined : new PresenceQuestion(nodes, this.#deps.clock);
  }

  #sendSoon(path: RoomPath): void {
    this.#unsent.add(path);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const paths = [...this.#unsent];
      this.#unsent.clear();
      for (const changed of paths) this.#send(changed);
    });
  }

  #send(path: RoomPath): void {
    const room = this.#rooms.get(path);
    if (room?.hasChanges !== true) return;
    const change = room.takeChange();
    this.#changed.add(path);
    const { id, isAlone, sendToRoom } = this.#deps;
    const sending = room.isAnnounced
      ? sendToRoom(path, "change", { node: id, ...change })
      : sendToRoom(path, "state", { node: id, ...room.state });
    sending.then((isSent) => room.reports.onSent(change.reporting, isSent || isAlone()));
    if (room.isAnnounced) return;
    room.isAnnounced = true;
    // Nodes that have not opened the room are not subscribed to its channel, but must answer as well.
    for (const node of room.question?.nodes ?? []) this.#ask(node, [path]);
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
    else this.#deps.sendToNode(node, "state", { ...room.state, ...about });
    return true;
  }

  #onLeft(path: RoomPath, node: string): true {
    const room = this.#rooms.get(path);
    if (room !== undefined) this.#replace(path, room, node, undefined);
    room?.question?.close(node);
    this.#queries.onLeft(path, node);
    return true;
  }

  #onState(path: RoomPath, node: string, presence: NodePresence): true {
    this.#queries.onState(path, node, presence.entries);
    const room = this.#rooms.get(path);
    if (room !== undefined) this.#replace(path, room, node, presence);
    room?.question?.close(node);
    return true;
  }

  #onChange(path: RoomPath, node: string, change: ReceivedChange): true {
    const { seq, entries, flags } = change;
    const room = this.#rooms.get(path);
    const known = room?.others.get(node);
    if (room !== undefined && (known === undefined || seq > known.seq + 1)) this.#ask(node, [path]);
    if (room === undefined || known === undefined || seq !== known.seq + 1) return true;
    room.apply(known, change);
    const changes = [...entries].map(([key, entry]) => ({ node, key, entry }));
    this.#deps.onPresence(path, changes);
    room.reports.onFlags(node, flags);
    return true;
  }

  /** Replaces what is known of a node; `undefined`: it has not opened the room. */
  #replace(path: RoomPath, room: PresenceRoom, node: string, presence: NodePresence | undefined, isLost = false): void {
    const known = room.others.get(node);
    if (presence !== undefined && known !== undefined && presence.seq < known.seq) return;
    const changes = room.replace(node, known, presence);
    if (changes.length > 0) this.#deps.onPresence(path, changes);
    room.reports.onReplaced(node, known, presence, isLost);
  }
}
