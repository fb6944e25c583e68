import type { PresenceEntry, PresenceReport, PresenceUpdate } from "../../backplane/backplane.js";
import { Delivery } from "../../backplane/delivery.js";
import { isUserKey } from "../../backplane/presenceKey.js";
import type { Clock, Timer } from "../../connection/clock.js";
import { EnfiladeError } from "../../errors.js";
import type { Member } from "../../protocol/dialect.js";
import type { RoomPath } from "../../wire/path.js";
import { encodeJSON, Payload } from "../../wire/payload.js";
import { Audience } from "../audience.js";
import type { PresenceConfig } from "../roomConfig.js";
import {
  connectionsOf,
  type Entry,
  keyOf,
  newEntry,
  type PresenceChange,
  type PresenceState,
  type PresentUser,
  presentUser,
} from "./presenceState.js";

export interface PresenceDeps {
  readonly path: RoomPath;
  readonly terms: PresenceConfig;
  readonly clock: Clock;
  readonly isMember: (member: Member) => boolean;
  readonly changed: (change: PresenceChange) => void;
  /** Exactly one node of the cluster reports that a user joined or left; see `Backplane.reportPresence`. */
  readonly reportPresence: (key: string, isPresent: boolean, report: PresenceReport) => void;
  /** This node is the one that reports it. */
  readonly reported: (event: "join" | "leave", user: PresentUser) => void;
  /** Tells the other nodes what this one has of a user; see `Backplane.attend`. */
  readonly attend: (key: string, entry: PresenceEntry | undefined) => Promise<unknown> | undefined;
  /** Whether users who leave are waited for; not while the app closes. */
  readonly hasGrace: () => boolean;
  /** No user is waited for any more: the last one is on another node, or the grace is over. */
  readonly waitingEnded: () => void;
  /** Receives errors of calls that nothing awaits. */
  readonly report: (error: unknown) => void;
}

const noOne: readonly string[] = [];

/** Who is in one room: changes of a tick are sent together, and a leave only when its grace is over. */
export class Presence {
  readonly #deps: PresenceDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #watchers = new Audience();
  /** Not told yet. */
  readonly #joined = new Map<string, Entry>();
  readonly #left = new Map<string, Entry>();
  #version = 0;
  /** As it was last encoded, until something changes. */
  #roster: Payload | undefined;
  #scheduled = false;
  /** Users who left and may return. */
  #waiting = 0;
  /** Fires a grace after a user left this node who is on another one, and may leave that at the same moment. */
  #lingering: Timer | undefined;
  #heard: Promise<void> | undefined;

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
  }

  get state(): PresenceState {
    const isFull = this.#deps.terms.mode === "full";
    const users = isFull ? [...this.#entries.values()].map(presentUser) : [];
    return { count: this.#entries.size, version: this.#version, users };
  }

  /** Whether users are waited for who have left: the room is kept for them. */
  get isWaiting(): boolean {
    return this.#waiting > 0 || this.#lingering !== undefined;
  }

  /** Resolves when it is known who is here on other nodes; `undefined` when it is. */
  get heard(): Promise<void> | undefined {
    return this.#heard;
  }

  enter(member: Member, userId: string | undefined): void {
    const key = keyOf(member, userId);
    const { user } = member;
    const known = this.#entries.get(key);
    const entry = known ?? newEntry(key, userId ?? member.id);
    if (entry.local === 0 || entry.user !== user) Object.assign(entry, { user, shown: this.#show(user) });
    entry.local += 1;
    this.#attend(key, entry);
    this.#stay(key, entry);
  }

  exit(member: Member, userId: string | undefined): void {
    this.#watchers.members.delete(member);
    const key = keyOf(member, userId);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.local -= 1;
    this.#attend(key, entry);
    this.#leaveUnused(key, entry);
    if (entry.local === 0 && connectionsOf(entry) > 0) this.#linger();
  }

  /** Takes what other nodes have. */
  hear(changes: readonly PresenceUpdate[]): void {
    const wasWaiting = this.isWaiting;
    for (const { node, key, entry } of changes) {
      if (entry === undefined) this.#forget(node, key);
      else this.#learn(node, key, entry);
    }
    // The last user who was waited for here has come to another node.
    if (wasWaiting && !this.isWaiting) this.#deps.waitingEnded();
  }

  /** Sends the roster to a member, and from then on what changes. */
  watch(member: Member): void {
    // What has not been told yet is in no version: others are told first, so that the roster is of one.
    this.#tell();
    // A listener may have taken it out of the room.
    if (!this.#deps.isMember(member)) return;
    member.send(this.#rosterFrame());
    this.#watchers.members.add(member);
  }

  /**
   * The room is closed on this node. Users who are still waited for leave now, such as when the app closes.
   *
   * @param goesOn Whether other nodes have it: they tell of those who leave, when their grace is over.
   */
  end(goesOn: boolean): void {
    this.#lingering?.cancel();
    this.#lingering = undefined;
    for (const [key, entry] of this.#entries) {
      this.#stopWaiting(entry);
      if (!goesOn) this.#remove(key);
    }
    this.#tell();
  }

  /** The application's code, which may throw, or return what JSON has no form for: then nothing is shown. */
  #show(user: unknown): unknown {
    const { mode, show } = this.#deps.terms;
    if (mode !== "full" || show === undefined) return undefined;
    try {
      const shown = show(user);
      if (shown instanceof Promise) return this.#refuseLater(shown);
      // A copy, which nothing can change into what JSON has no form for.
      return shown === undefined ? undefined : JSON.parse(encodeJSON(shown));
    } catch (error) {
      this.#deps.report(error);
      return undefined;
    }
  }

  #refuseLater(shown: Promise<unknown>): undefined {
    const { report, path } = this.#deps;
    const error = new EnfiladeError(
      "ERR_OPTION",
      `presence.show of ${path} is async; it must return what is shown, and no promise`,
    );
    shown.then(() => report(error), report);
  }

  #attend(key: string, { id, shown, local }: Entry): void {
    const heard = this.#deps.attend(key, local === 0 ? undefined : { id, shown, connections: local });
    if (heard === undefined || this.#heard !== undefined) return;
    this.#heard = heard.then(() => {
      this.#heard = undefined;
    });
  }

  #learn(node: string, key: string, theirs: PresenceEntry): void {
    const entry = this.#entries.get(key) ?? newEntry(key, theirs.id);
    entry.others ??= new Map();
    entry.others.set(node, theirs);
    if (entry.local === 0) Object.assign(entry, { user: theirs.shown, shown: theirs.shown });
    this.#stay(key, entry);
  }

  #forget(node: string, key: string): void {
    const entry = this.#entries.get(key);
    if (entry?.others?.delete(node) !== true) return;
    this.#leaveUnused(key, entry);
  }

  /** A user is there, or there again. */
  #stay(key: string, entry: Entry): void {
    this.#roster = undefined;
    this.#stopWaiting(entry);
    if (this.#entries.has(key)) return;
    this.#entries.set(key, entry);
    // Back within the tick: no client needs to know.
    if (!this.#left.delete(key)) this.#joined.set(key, entry);
    this.#tellSoon();
  }

  #leaveUnused(key: string, entry: Entry): void {
    this.#roster = undefined;
    if (connectionsOf(entry) > 0) return;
    const { leaveGraceMs } = this.#deps.terms;
    // An anonymous connection never returns.
    if (leaveGraceMs === 0 || !isUserKey(key) || !this.#deps.hasGrace()) this.#remove(key);
    else this.#wait(key, entry, leaveGraceMs);
  }

  #wait(key: string, entry: Entry, ms: number): void {
    this.#stopWaiting(entry);
    this.#waiting += 1;
    entry.leaving = this.#deps.clock.setTimeout(() => {
      this.#stopWaiting(entry);
      this.#remove(key);
      if (!this.isWaiting) this.#deps.waitingEnded();
    }, ms);
  }

  #linger(): void {
    this.#lingering?.cancel();
    this.#lingering = undefined;
    const { clock, terms, hasGrace, waitingEnded } = this.#deps;
    if (terms.leaveGraceMs === 0 || !hasGrace()) return;
    this.#lingering = clock.setTimeout(() => {
      this.#lingering = undefined;
      if (!this.isWaiting) waitingEnded();
    }, terms.leaveGraceMs);
  }

  #stopWaiting(entry: Entry): void {
    if (entry.leaving === undefined) return;
    this.#waiting -= 1;
    entry.leaving.cancel();
    entry.leaving = undefined;
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (!this.#joined.delete(key)) this.#left.set(key, entry);
    this.#tellSoon();
  }

  #tellSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Who is new here may be no news, which the other nodes know.
    if (this.#heard === undefined) setImmediate(() => this.#tellNow());
    else this.#heard.then(() => this.#tellNow());
  }

  #tellNow(): void {
    this.#scheduled = false;
    try {
      this.#tell();
    } catch (error) {
      this.#deps.report(error);
    }
  }

  #tell(): void {
    if (this.#joined.size === 0 && this.#left.size === 0) return;
    const [joined, left] = [[...this.#joined.values()], [...this.#left.values()]];
    this.#joined.clear();
    this.#left.clear();
    this.#version += 1;
    this.#roster = undefined;
    const change = { version: this.#version, count: this.#entries.size };
    // Before anybody whose listener may cause the next change.
    this.#sendToWatchers(joined, left);
    this.#deps.changed({ ...change, joined: joined.map(presentUser), left: left.map(presentUser) });
    for (const entry of joined) this.#report(entry, true);
    for (const entry of left) this.#report(entry, false);
  }

  #report(entry: Entry, isPresent: boolean): void {
    const report: PresenceReport = (event) => this.#deps.reported(event, presentUser(entry));
    this.#deps.reportPresence(entry.key, isPresent, report);
  }

  #sendToWatchers(joined: readonly Entry[], left: readonly Entry[]): void {
    if (!this.#watchers.inUse) return;
    const ids = this.#deps.terms.mode === "full" ? { left: left.map(({ id }) => id) } : {};
    const payload = this.#frame({ ...this.#shown(joined, "joined"), ...ids });
    this.#watchers.deliver(new Delivery({ payload, except: noOne }));
  }

  /** What clients are told of users: ids, connections, and what the route shows of each. */
  #shown(entries: readonly Entry[], name: "users" | "joined"): object {
    if (this.#deps.terms.mode !== "full") return {};
    const shownUser = (entry: Entry) => ({ id: entry.id, user: entry.shown, connections: connectionsOf(entry) });
    return { [name]: entries.map(shownUser) };
  }

  /** Encoded once, however many ask for it. */
  #rosterFrame(): Payload {
    this.#roster ??= this.#frame(this.#shown([...this.#entries.values()], "users"));
    return this.#roster;
  }

  #frame(content: object): Payload {
    const about = { room: this.#deps.path, version: this.#version, count: this.#entries.size };
    return Payload.notice({ type: "presence", ...about, ...content });
  }
}
