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
  /** Returns the nodes that can be asked now. */
  readonly otherNodes: () => readonly string[];
  /** Returns true if this node reports joins and leaves alone, since the others cannot be reached. */
  readonly isAlone: () => boolean;
  /** Sends to every node that has the room open. Resolves with true if it was sent; never rejects. */
  readonly sendToRoom: (path: RoomPath, kind: string, fields: object) => Promise<boolean>;
  readonly sendToNode: (node: string, kind: string, fields: object) => void;
  /** Receives the changes of other nodes. */
  readonly onPresence: (path: RoomPath, changes: readonly PresenceUpdate[]) => void;
  /** Called when the presence channel of a closed room is no longer needed. */
  readonly onClosed: (path: RoomPath) => void;
}

/** The number of rooms in one question. */
const pathsMax = 500;
/** The sequence numbers of one opening of a room. The next opening has higher ones, so late messages are recognised. */
const seqsPerOpening = 1_000_000;

/**
 * Knows which user is in which room on which node.
 *
 * A node sends its whole presence when it opens a room, and then each change with a sequence number. If another node
 * misses a number, as the next change or a heartbeat shows, it asks for the whole presence again; so does a node that
 * finds a new one. The presence of a lost node is removed.
 */
export class ClusterPresence {
  readonly #deps: ClusterPresenceDeps;
  readonly #rooms = new Map<RoomPath, PresenceRoom>();
  readonly #queries: PresenceQueries;
  /** The rooms that other nodes were asked about and have not answered, by node. */
  readonly #unanswered = new Map<string, Set<string>>();
  /** The rooms with changes that are not sent yet. */
  readonly #unsent = new Set<RoomPath>();
  readonly #changed = new ChangedRooms();
  readonly #reportedLeaves = new ReportedLeaves();
  /** Fires when nodes that this one does not know yet have had time to answer. */
  #settleTimer: Timer | undefined;
  #isSettled = false;
  #openCount = 0;
  #isScheduled = false;

  constructor(deps: ClusterPresenceDeps) {
    this.#deps = deps;
    const { clock, otherNodes } = deps;
    this.#queries = new PresenceQueries({ clock, otherNodes, ask: (node, path) => this.#ask(node, [path]) });
  }

  /** Returns true if the room is open on this node. */
  has(path: RoomPath): boolean {
    return this.#rooms.has(path);
  }

  /**
   * Sets the entry of a user on this node; `undefined` removes it. All changes of a tick are sent together.
   *
   * Returns a promise that resolves when the presence of the other nodes is known; `undefined` if it is known already.
   */
  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined {
    const room = this.#openAgain(path) ?? this.#open(path);
    room.set(key, entry);
    this.#sendSoon(path);
    return room.question?.answered;
  }

  /** Sets whether a user is present, as this node sees it; see `Backplane.reportPresence`. */
  setPresent(path: RoomPath, key: string, isPresent: boolean, report: PresenceReport): void {
    this.#rooms.get(path)?.reports.setPresent(key, isPresent, report);
  }

  /** This node is connected. After `answersMs` it knows all other nodes. */
  begin(): void {
    this.#settleTimer?.cancel();
    this.#settleTimer = this.#deps.clock.setTimeout(() => {
      this.#isSettled = true;
      for (const { reports } of [...this.#rooms.values()]) reports.reviewAll();
    }, answersMs);
  }

  /** The app closes. */
  end(): void {
    this.#settleTimer?.cancel();
    for (const { reports } of [...this.#rooms.values()]) reports.end(!reports.hasSuccessors);
  }

  /** The other nodes that have `path` open, if it is open on this node. */
  nodesInRoom(path: RoomPath): readonly string[] {
    return [...(this.#rooms.get(path)?.others.keys() ?? [])];
  }

  /** Asks the other nodes for their presence in a room that is not open on this node. */
  readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]> {
    return this.#queries.read(path);
  }

  /** The other nodes cannot be reached. Ends all questions. */
  stopWaiting(): void {
    this.#settleTimer?.cancel();
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

  /** Asks a node for its presence in every room that is open here, since it is new or was away. */
  askAll(node: string): void {
    this.#askInChunks(node, [...this.#rooms.keys()]);
  }

  /** The node left or is lost. Removes its presence. */
  forget(node: string, isLost: boolean): void {
    this.#unanswered.delete(node);
    for (const [path, room] of [...this.#rooms]) {
      this.#replace(path, room, node, undefined, isLost);
      room.question?.close(node);
    }
    this.#queries.forget(node);
  }

  /** Receives a signal about a room, on its channel or on that of this node. Returns false if it is malformed. */
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

  /** Compares the marks in a node's heartbeat with its known presence, and asks again for missing changes. */
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
    this.#askInChunks(node, missed);
  }

  /** True if the next heartbeat has marks. */
  get hasMarks(): boolean {
    return this.#changed.hasMarks;
  }

  /** Removes and returns the marks of the next heartbeat. */
  takeMarks(): PresenceMarks {
    return this.#changed.take((path) => (isRoom(path) && this.#rooms.get(path)?.own.seq) || null);
  }

  /** Adds the marks of a heartbeat that was not sent to the next one. */
  restoreMarks(marks: PresenceMarks): void {
    this.#changed.restore(marks);
  }

  #open(path: RoomPath): PresenceRoom {
    this.#openCount += 1;
    const question = this.#question();
    const deps = this.#reportsDeps(path, () => room);
    const room: PresenceRoom = new PresenceRoom(this.#openCount * seqsPerOpening, question, deps);
    this.#rooms.set(path, room);
    question?.answered.then(() => {
      room.question = undefined;
      room.reports.reviewAll();
    });
    return room;
  }

  /** Returns a room that is open here. One that is closed, but has not made its last reports, is opened again. */
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
      id,
      clock,
      isReady: () => isAlone() || (this.#isSettled && room().question === undefined),
      answering: otherNodes,
      sendClaim: (round, keys) => void sendToRoom(path, "claim", { node: id, round, keys }),
      onFlags: () => this.#sendSoon(path),
      onLeftFor: (node, key) => this.#reportedLeaves.add(node, path, key),
      onDone: () => this.#onClosed(path, room()),
    };
  }

  #onClosed(path: RoomPath, room: PresenceRoom): void {
    if (this.#rooms.get(path) !== room) return;
    this.#rooms.delete(path);
    this.#changed.add(path);
    void this.#deps.sendToRoom(path, "left", { node: this.#deps.id });
    this.#deps.onClosed(path);
  }

  /** Makes a question to all other nodes; `undefined` if there are none. */
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
    // Nodes without this room open are not subscribed to its channel, but must answer too.
    for (const node of room.question?.nodes ?? []) this.#ask(node, [path]);
  }

  #askInChunks(node: string, paths: readonly string[]): void {
    for (let index = 0; index < paths.length; index += pathsMax) this.#ask(node, paths.slice(index, index + pathsMax));
  }

  #ask(node: string, paths: readonly string[]): void {
    const unanswered = this.#unanswered.get(node) ?? new Set();
    this.#unanswered.set(node, unanswered);
    for (const path of paths) unanswered.add(path);
    this.#deps.sendToNode(node, "ask", { node: this.#deps.id, paths });
  }

  /** Sends a node the presence of this one in a room. Returns false if `path` is not a room path. */
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

  /** Replaces the known presence of a node; `undefined` if the room is not open there. */
  #replace(path: RoomPath, room: PresenceRoom, node: string, presence: NodePresence | undefined, isLost = false): void {
    const known = room.others.get(node);
    if (presence !== undefined && known !== undefined && presence.seq < known.seq) return;
    const changes = room.replace(node, known, presence);
    if (changes.length > 0) this.#deps.onPresence(path, changes);
    room.reports.onReplaced(node, known, presence, isLost);
  }
}
