import type { Clock, Timer } from "./clock.js";

/** Whose heart it is; the connection. */
export interface HeartbeatOwner {
  /** Bytes received so far, of any frame. */
  readonly receivedBytes: number;
  ping(): void;
  /** Called when nothing was heard for two intervals. */
  onLost(): void;
}

/** How often a round looks at every heart, in an interval: a loss is found at most this part of one late. */
const roundsPerInterval = 16;

/** What was heard of one peer, and when. */
export class Heartbeat {
  readonly #owner: HeartbeatOwner;
  readonly #clock: Clock;
  #heardAt: number;
  #checkedAt: number;
  #receivedBytes: number;
  #pinged = false;
  #held = false;

  constructor(owner: HeartbeatOwner, clock: Clock) {
    this.#owner = owner;
    this.#clock = clock;
    this.#heardAt = this.#now();
    this.#checkedAt = this.#heardAt;
    this.#receivedBytes = owner.receivedBytes;
  }

  /** Any traffic counts. */
  heard(): void {
    this.#heardAt = this.#now();
    this.#pinged = false;
  }

  /** While the socket is paused by us nothing can be heard: silence says nothing, and TCP has to find out by our pings. */
  hold(held: boolean): void {
    this.#held = held;
    this.heard();
  }

  /** Does what is due, and says when the next thing is. */
  check(intervalMs: number): number {
    this.#noteUnfinished();
    const silentMs = this.#checkedAt - this.#heardAt;
    if (silentMs >= 2 * intervalMs) {
      this.#owner.onLost();
    } else if (silentMs >= intervalMs && !this.#pinged) {
      this.#pinged = true;
      this.#owner.ping();
      if (this.#held) this.heard();
    }
    return this.#heardAt + (this.#pinged ? 2 : 1) * intervalMs;
  }

  /** Bytes that no event told of belong to a message that is not whole yet. */
  #noteUnfinished(): void {
    const { receivedBytes } = this.#owner;
    const untold = receivedBytes !== this.#receivedBytes && this.#heardAt < this.#checkedAt;
    this.#receivedBytes = receivedBytes;
    this.#checkedAt = this.#now();
    if (untold) this.heard();
  }

  /** Whole milliseconds: V8 keeps these in the object itself, and allocates for any other number. */
  #now(): number {
    return Math.trunc(this.#clock.now());
  }
}

/**
 * Finds out which peers are gone: after one interval of silence each is pinged, after two it is lost.
 *
 * One timer for all of them, since one each would be a good part of what an idle connection costs.
 */
export class Heartbeats {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #watched = new Set<Heartbeat>();
  #timer: Timer | undefined;

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  watch(owner: HeartbeatOwner): Heartbeat {
    const heartbeat = new Heartbeat(owner, this.#clock);
    this.#watched.add(heartbeat);
    this.#timer ??= this.#checkIn(this.#intervalMs);
    return heartbeat;
  }

  unwatch(heartbeat: Heartbeat): void {
    this.#watched.delete(heartbeat);
    if (this.#watched.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #checkIn(ms: number): Timer {
    return this.#clock.setTimeout(() => this.#check(), ms);
  }

  #check(): void {
    this.#timer = undefined;
    let next = Number.POSITIVE_INFINITY;
    for (const heartbeat of this.#watched) next = Math.min(next, heartbeat.check(this.#intervalMs));
    if (this.#watched.size === 0) return;
    this.#timer = this.#checkIn(Math.max(this.#intervalMs / roundsPerInterval, next - this.#clock.now()));
  }
}
