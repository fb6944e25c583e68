import type { Clock, Timer } from "./clock.js";

/** The connection that a heartbeat checks. */
export interface HeartbeatOwner {
  /** Bytes received so far, of all frames. */
  readonly receivedBytes: number;
  ping(): void;
  /** Called when nothing was received for two intervals. */
  onLost(): void;
}

/** The maximum number of rounds in an interval: a lost peer is detected at most 1/16 of an interval late. */
const roundsPerInterval = 16;

/** The time of the last traffic from one peer. */
export class Heartbeat {
  readonly #owner: HeartbeatOwner;
  readonly #clock: Clock;
  #lastTrafficAt: number;
  #checkedAt: number;
  #receivedBytes: number;
  #hasPinged = false;
  #isPaused = false;

  constructor(owner: HeartbeatOwner, clock: Clock) {
    this.#owner = owner;
    this.#clock = clock;
    this.#lastTrafficAt = this.#now();
    this.#checkedAt = this.#lastTrafficAt;
    this.#receivedBytes = owner.receivedBytes;
  }

  /** Records that something was received; any traffic counts. */
  onTraffic(): void {
    this.#lastTrafficAt = this.#now();
    this.#hasPinged = false;
  }

  /** While we pause the socket, nothing can be received. TCP then detects a lost peer by our pings. */
  setPaused(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.onTraffic();
  }

  /** Pings the peer or reports it as lost, if that is due. Returns the time of the next check. */
  check(intervalMs: number): number {
    this.#noteUnfinishedMessage();
    const silentMs = this.#checkedAt - this.#lastTrafficAt;
    if (silentMs >= 2 * intervalMs) {
      this.#owner.onLost();
    } else if (silentMs >= intervalMs && !this.#hasPinged) {
      this.#hasPinged = true;
      this.#owner.ping();
      if (this.#isPaused) this.onTraffic();
    }
    return this.#lastTrafficAt + (this.#hasPinged ? 2 : 1) * intervalMs;
  }

  /** Bytes that arrived without an event belong to a message that is not complete yet; they count as traffic, too. */
  #noteUnfinishedMessage(): void {
    const { receivedBytes } = this.#owner;
    const isUnfinished = receivedBytes !== this.#receivedBytes && this.#lastTrafficAt < this.#checkedAt;
    this.#receivedBytes = receivedBytes;
    this.#checkedAt = this.#now();
    if (isUnfinished) this.onTraffic();
  }

  /** Whole milliseconds: V8 stores small integers in the object itself, and allocates memory for other numbers. */
  #now(): number {
    return Math.trunc(this.#clock.now());
  }
}

/**
 * Detects lost peers: a peer is pinged after one interval of silence, and is lost after two.
 *
 * All peers share one timer: a timer for each would be a large part of the memory of an idle connection.
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
