import type { Clock, Timer } from "../clock.js";
import type { PeerLimits } from "../limits.js";
import type { IncomingMemory } from "../memory/incoming.js";
import { TurnTime } from "./turnTime.js";

/** The connection that is watched. */
export interface WatchOwner {
  /** Bytes received so far, of all frames. */
  readonly receivedBytes: number;
  /** The memory of a message of which a part was received, and the rest is missing; `undefined` if there is none. */
  readonly unfinishedBytes: number | undefined;
  ping(): void;
  /** Called when a ping was not answered for an interval. */
  onLost(): void;
  /** Called when a message is incomplete for `messageMs`, or for a shorter time when memory is full. */
  onMessageOverdue(): void;
}

export type WatchLimits = Pick<PeerLimits, "heartbeatMs" | "messageMs">;

/** The maximum number of rounds in an interval: a lost peer is detected at most 1/16 of an interval late. */
const roundsPerInterval = 16;
/** The number of rounds in `messageMs`. The begin and the end of that time are noted at most one round late. */
const roundsPerMessage = 8;
/** The time of a message that has not begun. */
const never = -1;

/** When one peer was last heard, and since when a message of it is incomplete. */
export class Watch {
  readonly #owner: WatchOwner;
  readonly #time: TurnTime;
  /** The time of the last traffic, or one interval before the ping that is not answered yet. */
  #silentSince: number;
  #checkedAt: number;
  #receivedBytes: number;
  #messageSince = never;
  #hasPinged = false;
  #isPaused = false;

  constructor(owner: WatchOwner, time: TurnTime) {
    this.#owner = owner;
    this.#time = time;
    this.#silentSince = time.now();
    this.#checkedAt = this.#silentSince;
    this.#receivedBytes = owner.receivedBytes;
  }

  /** Records that a whole message was received. */
  onMessage(): void {
    this.#messageSince = never;
    this.#onTraffic();
  }

  /** Records that a control frame was received. A message that it interrupts has still begun before. */
  onControlFrame(): void {
    if (this.#owner.unfinishedBytes === undefined) this.#messageSince = never;
    this.#onTraffic();
  }

  /** While we pause the socket, nothing can be received. TCP then detects a lost peer by our pings. */
  setPaused(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#onTraffic();
  }

  /** Judges the peer at the time `now`. Returns the time of the next check of its silence. */
  check(now: number, { heartbeatMs, messageMs }: WatchLimits): number {
    this.#checkMessage(now, messageMs);
    return heartbeatMs === false ? Number.POSITIVE_INFINITY : this.#checkSilence(now, heartbeatMs);
  }

  /** The bytes of a message that is incomplete in this round. */
  get unfinishedBytes(): number {
    return this.#messageSince === never ? 0 : (this.#owner.unfinishedBytes ?? 0);
  }

  /** Whether a message is incomplete for at least a round. */
  isSlow(now: number): boolean {
    return this.#messageSince !== never && this.#messageSince < now;
  }

  /** Ends the peer before its message is overdue. */
  cut(): void {
    this.#owner.onMessageOverdue();
  }

  #checkMessage(now: number, messageMs: number): void {
    if (this.#isPaused || this.#owner.unfinishedBytes === undefined) this.#messageSince = never;
    else if (this.#messageSince === never) this.#messageSince = now;
    else if (now - this.#messageSince >= messageMs) this.#owner.onMessageOverdue();
  }

  #checkSilence(now: number, intervalMs: number): number {
    this.#noteIncompleteMessage(now);
    const silentMs = now - this.#silentSince;
    if (this.#hasPinged && silentMs >= 2 * intervalMs) {
      this.#owner.onLost();
    } else if (!this.#hasPinged && silentMs >= intervalMs) {
      this.#hasPinged = true;
      // The peer has a whole interval to answer, even if this check is late.
      this.#silentSince = now - intervalMs;
      this.#owner.ping();
      if (this.#isPaused) this.#onTraffic();
    }
    return this.#silentSince + (this.#hasPinged ? 2 : 1) * intervalMs;
  }

  /** Bytes that arrived without an event belong to a message that is not complete yet; they count as traffic, too. */
  #noteIncompleteMessage(now: number): void {
    const { receivedBytes } = this.#owner;
    const isIncomplete = receivedBytes !== this.#receivedBytes && this.#silentSince < this.#checkedAt;
    this.#receivedBytes = receivedBytes;
    this.#checkedAt = now;
    if (isIncomplete) this.#onTraffic();
  }

  /** Any traffic is a sign of life. */
  #onTraffic(): void {
    this.#silentSince = this.#time.now();
    this.#hasPinged = false;
  }
}

/**
 * Detects lost peers, and messages that do not end.
 *
 * A peer is pinged after one interval of silence, and is lost when the ping is not answered for another interval. All
 * peers share one timer: a timer for each would be a large part of the memory of an idle connection.
 */
export class Watches {
  readonly #clock: Clock;
  readonly #time: TurnTime;
  readonly #limits: WatchLimits;
  readonly #memory: IncomingMemory | undefined;
  readonly #watched = new Set<Watch>();
  #unfinishedBytes = 0;
  #timer: Timer | undefined;

  /** @param clock The attentive clock of the route: a stall of this process is not held against a peer. */
  constructor(clock: Clock, limits: WatchLimits, memory?: IncomingMemory) {
    this.#clock = clock;
    this.#time = new TurnTime(clock);
    this.#limits = limits;
    this.#memory = memory;
  }

  watch(owner: WatchOwner): Watch {
    const watch = new Watch(owner, this.#time);
    this.#watched.add(watch);
    this.#timer ??= this.#checkIn(this.#limits.heartbeatMs || Number.POSITIVE_INFINITY);
    return watch;
  }

  unwatch(watch: Watch): void {
    this.#watched.delete(watch);
    if (this.#watched.size > 0) return;
    this.#setUnfinishedBytes(0);
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #checkIn(silenceMs: number): Timer {
    return this.#clock.setTimeout(() => this.#check(), Math.min(silenceMs, this.#limits.messageMs / roundsPerMessage));
  }

  #check(): void {
    this.#timer = undefined;
    const now = Math.trunc(this.#clock.now());
    let next = Number.POSITIVE_INFINITY;
    for (const watch of this.#watched) next = Math.min(next, watch.check(now, this.#limits));
    this.#countUnfinished(now);
    if (this.#watched.size === 0) return;
    const roundMs = (this.#limits.heartbeatMs || 0) / roundsPerInterval;
    this.#timer = this.#checkIn(Math.max(roundMs, next - this.#clock.now()));
  }

  /** Counts the parts of messages whose rest is missing. If memory is full, ends the peers with the largest of them. */
  #countUnfinished(now: number): void {
    if (this.#memory === undefined) return;
    let bytes = 0;
    for (const watch of this.#watched) bytes += watch.unfinishedBytes;
    this.#setUnfinishedBytes(bytes);
    if (bytes === 0 || !this.#memory.isFull) return;
    const slow = [...this.#watched].filter((watch) => watch.isSlow(now));
    for (const watch of slow.sort((one, other) => other.unfinishedBytes - one.unfinishedBytes)) {
      if (!this.#memory.isFull) return;
      this.#setUnfinishedBytes(this.#unfinishedBytes - watch.unfinishedBytes);
      this.#memory.onCut();
      watch.cut();
    }
  }

  #setUnfinishedBytes(bytes: number): void {
    this.#memory?.addUnfinished(bytes - this.#unfinishedBytes);
    this.#unfinishedBytes = bytes;
  }
}
