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
import { GracePeriods } from "./gracePeriods.js";
import {
  connectionsOf,
  keyOf,
  newUserEntry,
  type PresenceChange,
  type PresenceState,
  type PresentUser,
  presentUser,
  shownUser,
  type UserEntry,
} from "./presenceState.js";

/** The room of a presence. */
export interface PresenceRoom {
  readonly path: RoomPath;
  readonly config: { readonly presence: PresenceConfig };
  readonly members: ReadonlySet<Member>;
}

/** The operations that presence needs, the same for all rooms: a node may have a hundred thousand of them. */
export interface PresenceDeps<Room extends PresenceRoom> {
  readonly clock: Clock;
  /** Called with each change, after the watchers were notified. */
  readonly onChange: (room: Room, change: PresenceChange) => void;
  /** Makes exactly one node of the cluster report that a user joined or left; see `Backplane.reportPresence`. */
  readonly reportPresence: (path: RoomPath, key: string, isPresent: boolean, report: PresenceReport) => void;
  /** Called if this node is the one that reports it. */
  readonly onReport: (path: RoomPath, event: "join" | "leave", user: PresentUser) => void;
  /** Sends the entry of a user on this node to the other nodes; see `Backplane.announce`. */
  readonly announce: (path: RoomPath, key: string, entry: PresenceEntry | undefined) => Promise<unknown> | undefined;
  /** Whether users who leave have a grace period to return; false while the app closes. */
  readonly hasGrace: () => boolean;
  /** Called when no user may return any more: the last one is on another node, or the grace period is over. */
  readonly onGraceEnd: (room: Room) => void;
  /** Receives errors of calls that nothing awaits. */
  readonly report: (error: unknown) => void;
}

/** Users who joined or left since the last version. */
interface PendingChange {
  readonly joined: Map<string, UserEntry>;
  readonly left: Map<string, UserEntry>;
}

const noIds: readonly string[] = [];

/** The presence of one room. Changes of one tick are sent together; a leave is sent after its grace period. */
export class Presence<Room extends PresenceRoom> {
  readonly #room: Room;
  readonly #deps: PresenceDeps<Room>;
  readonly #entries = new Map<string, UserEntry>();
  #watchers: Audience | undefined;
  #pending: PendingChange | undefined;
  #version = 0;
  /** All users, encoded; `undefined` after a change. */
  #snapshot: Payload | undefined;
  #isScheduled = false;
  #grace: GracePeriods<string> | undefined;
  /** Keeps the room open for a grace period after a user left this node, since the user may also leave another node. */
  #keepOpenTimer: Timer | undefined;
  #loaded: Promise<void> | undefined;

  constructor(room: Room, deps: PresenceDeps<Room>) {
    this.#room = room;
    this.#deps = deps;
  }

  get state(): PresenceState {
    const users = this.#isFull ? [...this.#entries.values()].map(presentUser) : [];
    return { count: this.#entries.size, version: this.#version, users };
  }

  /** As {@link state}, with the part of each user that others see. */
  get shownState(): PresenceState {
    const users = this.#isFull ? [...this.#entries.values()].map(shownUser) : [];
    return { count: this.#entries.size, version: this.#version, users };
  }

  /** Whether the room stays open because users who left may return. */
  get isInGrace(): boolean {
    return (this.#grace?.size ?? 0) > 0 || this.#keepOpenTimer !== undefined;
  }

  /** Resolves when the users on other nodes are known; `undefined` if they are. */
  get loaded(): Promise<void> | undefined {
    return this.#loaded;
  }

  enter(member: Member, userId: string | undefined): void {
    const key = keyOf(member, userId);
    const { user } = member;
    const known = this.#entries.get(key);
    const entry = known ?? newUserEntry(key, userId ?? member.id);
    if (entry.local === 0 || entry.user !== user) Object.assign(entry, { user, shown: this.#show(user) });
    entry.local += 1;
    this.#announce(key, entry);
    this.#setPresent(key, entry);
  }

  exit(member: Member, userId: string | undefined): void {
    this.#watchers?.members.delete(member);
    const key = keyOf(member, userId);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.local -= 1;
    this.#announce(key, entry);
    this.#leaveIfUnused(key, entry);
    if (entry.local === 0 && connectionsOf(entry) > 0) this.#keepOpen();
  }

  /** Applies updates from other nodes. */
  update(updates: readonly PresenceUpdate[]): void {
    const wasInGrace = this.isInGrace;
    for (const { node, key, entry } of updates) {
      if (entry === undefined) this.#removeRemote(node, key);
      else this.#setRemote(node, key, entry);
    }
    // The last user who could return has joined on another node.
    if (wasInGrace && !this.isInGrace) this.#deps.onGraceEnd(this.#room);
  }

  /** Sends all users to a member, and then each change. */
  watch(member: Member): void {
    // Publishes pending changes first, so that the snapshot is that of a version.
    this.#publishChanges();
    // A listener may have removed the member from the room.
    if (!this.#room.members.has(member)) return;
    member.send(this.#snapshotPayload());
    this.#watchers ??= new Audience();
    this.#watchers.members.add(member);
  }

  /** The version, if the member gets each change; else `undefined`. */
  watchedVersion(member: Member): number | undefined {
    return this.#watchers?.members.has(member) === true ? this.#version : undefined;
  }

  /**
   * Called when the room is freed on this node. Users who may still return, such as when the app closes, leave now.
   *
   * @param isOpenElsewhere Whether other nodes have the room open: these then report leaves, after the grace period.
   */
  end(isOpenElsewhere: boolean): void {
    this.#keepOpenTimer?.cancel();
    this.#keepOpenTimer = undefined;
    for (const key of this.#entries.keys()) {
      this.#grace?.cancel(key);
      if (!isOpenElsewhere) this.#remove(key);
    }
    this.#publishChanges();
  }

  get #config(): PresenceConfig {
    return this.#room.config.presence;
  }

  get #isFull(): boolean {
    return this.#config.mode === "full";
  }

  /** Calls `presence.show`. If it throws, or JSON cannot encode its result, others see only the id. */
  #show(user: unknown): unknown {
    const { mode, show } = this.#config;
    if (mode !== "full" || show === undefined) return undefined;
    try {
      const shown = show(user);
      if (shown instanceof Promise) return this.#rejectPromise(shown);
      // A copy, so that later changes of the object have no effect.
      return shown === undefined ? undefined : JSON.parse(encodeJSON(shown));
    } catch (error) {
      this.#deps.report(error);
      return undefined;
    }
  }

  #rejectPromise(shown: Promise<unknown>): undefined {
    const { report } = this.#deps;
    const { path } = this.#room;
    const error = new EnfiladeError(
      "ERR_OPTION",
      `presence.show of ${path} returned a promise; return the value itself`,
    );
    shown.then(() => report(error), report);
  }

  #announce(key: string, { id, shown, local }: UserEntry): void {
    const { path } = this.#room;
    const loaded = this.#deps.announce(path, key, local === 0 ? undefined : { id, shown, connections: local });
    if (loaded === undefined || this.#loaded !== undefined) return;
    this.#loaded = loaded.then(() => {
      this.#loaded = undefined;
    });
  }

  #setRemote(node: string, key: string, remote: PresenceEntry): void {
    const entry = this.#entries.get(key) ?? newUserEntry(key, remote.id);
    entry.others ??= new Map();
    entry.others.set(node, remote);
    if (entry.local === 0) Object.assign(entry, { user: remote.shown, shown: remote.shown });
    this.#setPresent(key, entry);
  }

  #removeRemote(node: string, key: string): void {
    const entry = this.#entries.get(key);
    if (entry?.others?.delete(node) !== true) return;
    this.#leaveIfUnused(key, entry);
  }

  /** Marks a user as present, or as returned. */
  #setPresent(key: string, entry: UserEntry): void {
    this.#snapshot = undefined;
    this.#grace?.cancel(key);
    if (this.#entries.has(key)) return;
    this.#entries.set(key, entry);
    // A user who left and returned in the same tick is no change.
    const { joined, left } = this.#change();
    if (!left.delete(key)) joined.set(key, entry);
    this.#schedulePublish();
  }

  #leaveIfUnused(key: string, entry: UserEntry): void {
    this.#snapshot = undefined;
    if (connectionsOf(entry) > 0) return;
    const { leaveGraceMs } = this.#config;
    // An anonymous connection never returns.
    if (leaveGraceMs === 0 || !isUserKey(key) || !this.#deps.hasGrace()) this.#remove(key);
    else this.#startGrace(key, leaveGraceMs);
  }

  #startGrace(key: string, ms: number): void {
    this.#grace ??= new GracePeriods(this.#deps.clock, (keys) => this.#onGraceOver(keys));
    this.#grace.start(key, ms);
  }

  #onGraceOver(keys: readonly string[]): void {
    for (const key of keys) this.#remove(key);
    if (!this.isInGrace) this.#deps.onGraceEnd(this.#room);
  }

  #keepOpen(): void {
    this.#keepOpenTimer?.cancel();
    this.#keepOpenTimer = undefined;
    const { clock, hasGrace, onGraceEnd } = this.#deps;
    const { leaveGraceMs } = this.#config;
    if (leaveGraceMs === 0 || !hasGrace()) return;
    this.#keepOpenTimer = clock.setTimeout(() => {
      this.#keepOpenTimer = undefined;
      if (!this.isInGrace) onGraceEnd(this.#room);
    }, leaveGraceMs);
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    const { joined, left } = this.#change();
    if (!joined.delete(key)) left.set(key, entry);
    this.#schedulePublish();
  }

  /** The change that is published next. */
  #change(): PendingChange {
    this.#pending ??= { joined: new Map(), left: new Map() };
    return this.#pending;
  }

  #schedulePublish(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Until the other nodes have answered, it is not known whether a user is new to the room.
    if (this.#loaded === undefined) setImmediate(() => this.#publishScheduled());
    else this.#loaded.then(() => this.#publishScheduled());
  }

  #publishScheduled(): void {
    this.#isScheduled = false;
    try {
      this.#publishChanges();
    } catch (error) {
      this.#deps.report(error);
    }
  }

  /** Makes a new version of the pending changes, and sends it to watchers, listeners and the cluster. */
  #publishChanges(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined || (pending.joined.size === 0 && pending.left.size === 0)) return;
    const [joined, left] = [[...pending.joined.values()], [...pending.left.values()]];
    this.#version += 1;
    this.#snapshot = undefined;
    const change = { version: this.#version, count: this.#entries.size };
    // Before the listeners, which may cause the next change.
    this.#sendToWatchers(joined, left);
    this.#deps.onChange(this.#room, { ...change, joined: joined.map(presentUser), left: left.map(presentUser) });
    for (const entry of joined) this.#report(entry, true);
    for (const entry of left) this.#report(entry, false);
  }

  #report(entry: UserEntry, isPresent: boolean): void {
    const { path } = this.#room;
    const report: PresenceReport = (event) => this.#deps.onReport(path, event, presentUser(entry));
    this.#deps.reportPresence(path, entry.key, isPresent, report);
  }

  #sendToWatchers(joined: readonly UserEntry[], left: readonly UserEntry[]): void {
    if (this.#watchers?.isInUse !== true) return;
    const ids = this.#isFull ? { left: left.map(({ id }) => id) } : {};
    const payload = this.#payloadOf({ ...this.#usersField(joined, "joined"), ...ids });
    this.#watchers.deliver(new Delivery({ payload, except: noIds }));
  }

  /** Users as clients see them: id, connections, and the result of `presence.show`. */
  #usersField(entries: readonly UserEntry[], name: "users" | "joined"): object {
    if (!this.#isFull) return {};
    return { [name]: entries.map(shownUser) };
  }

  /** All users; encoded once until the next change. */
  #snapshotPayload(): Payload {
    this.#snapshot ??= this.#payloadOf(this.#usersField([...this.#entries.values()], "users"));
    return this.#snapshot;
  }

  #payloadOf(content: object): Payload {
    const count = this.#entries.size;
    const frame = { type: "presence", room: this.#room.path, version: this.#version, count, ...content };
    return Payload.notice(frame);
  }
}
