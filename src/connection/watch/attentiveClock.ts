import type { Clock, Timer } from "../clock.js";
import type { PeerLimits } from "../limits.js";

/** The shortest deadline has this many beats. */
const beatsPerDeadline = 8;
const beatMsMin = 20;
const beatMsMax = 1_000;

/**
 * A clock that stands still while this process is blocked. The deadlines of clients are kept in its time, so that a
 * client does not pay for a stall of ours.
 *
 * While timers are pending, a beat looks for stalls: time counts up to the moment at which the next beat is due, and
 * not beyond it until that beat has run. So of each stall at most the interval of the beat counts.
 */
export class AttentiveClock implements Clock {
  readonly #clock: Clock;
  readonly #beatMs: number;
  #stalledMs = 0;
  #pending = 0;
  #beat: Timer | undefined;
  /** Infinity while no timer is pending: then no deadline is kept, and no stall matters. */
  #beatDueAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, beatMs: number) {
    this.#clock = clock;
    this.#beatMs = beatMs;
  }

  now(): number {
    return Math.min(this.#clock.now(), this.#beatDueAt) - this.#stalledMs;
  }

  /** Calls `callback` after `ms` of attentive time, and not before the sockets were read since a delay. */
  setTimeout(callback: () => void, ms: number): Timer {
    this.#pending += 1;
    if (this.#pending === 1) this.#startBeat();
    const onEnd = () => {
      this.#pending -= 1;
      if (this.#pending === 0) this.#stopBeat();
    };
    return new AttentiveTimer({ clock: this.#clock, attentive: this, callback, onEnd }, ms);
  }

  #startBeat(): void {
    this.#beatDueAt = this.#clock.now() + this.#beatMs;
    this.#beat = this.#clock.setTimeout(() => {
      this.#excuseDelay();
      this.#startBeat();
    }, this.#beatMs);
  }

  #stopBeat(): void {
    this.#excuseDelay();
    this.#beat?.cancel();
    this.#beatDueAt = Number.POSITIVE_INFINITY;
  }

  #excuseDelay(): void {
    this.#stalledMs += Math.max(0, this.#clock.now() - this.#beatDueAt);
  }
}

interface AttentiveTimerDeps {
  readonly clock: Clock;
  readonly attentive: AttentiveClock;
  readonly callback: () => void;
  /** Called once, when the timer has fired or is cancelled. */
  readonly onEnd: () => void;
}

class AttentiveTimer implements Timer {
  readonly #deps: AttentiveTimerDeps;
  readonly #dueAt: number;
  #timer: Timer;
  #hasEnded = false;

  constructor(deps: AttentiveTimerDeps, ms: number) {
    this.#deps = deps;
    this.#dueAt = deps.attentive.now() + ms;
    this.#timer = this.#fireIn(ms);
  }

  cancel(): void {
    if (this.#hasEnded) return;
    this.#timer.cancel();
    this.#end();
  }

  #fireIn(ms: number): Timer {
    const { clock } = this.#deps;
    const expectedAt = clock.now() + ms;
    return clock.setTimeout(() => this.#onFire(clock.now() > expectedAt), ms);
  }

  #onFire(isLate: boolean): void {
    const remainingMs = this.#dueAt - this.#deps.attentive.now();
    if (remainingMs > 0) this.#timer = this.#fireIn(remainingMs);
    // A timer runs before the sockets are read, and setImmediate after it: what the client sent in time is read first.
    else if (isLate) setImmediate(() => this.#run());
    else this.#run();
  }

  #run(): void {
    if (this.#hasEnded) return;
    this.#end();
    this.#deps.callback();
  }

  #end(): void {
    this.#hasEnded = true;
    this.#deps.onEnd();
  }
}

/** The attentive clocks of an app: one for all routes that need the same precision. */
export class AttentiveClocks {
  readonly #clock: Clock;
  readonly #clocks = new Map<number, AttentiveClock>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The clock for the deadlines of these limits. */
  of({ heartbeatMs, messageMs, outboxAgeMsMax, closeMs }: PeerLimits): AttentiveClock {
    const shortestMs = Math.min(heartbeatMs || messageMs, messageMs, outboxAgeMsMax, closeMs);
    return this.forDeadline(shortestMs);
  }

  /** The clock for deadlines of so many milliseconds and more. */
  forDeadline(ms: number): AttentiveClock {
    const beatMs = Math.min(beatMsMax, Math.max(beatMsMin, Math.trunc(ms / beatsPerDeadline)));
    const clock = this.#clocks.get(beatMs) ?? new AttentiveClock(this.#clock, beatMs);
    this.#clocks.set(beatMs, clock);
    return clock;
  }
}
