import type { Clock, Timer } from "./clock.js";
import type { Transport } from "./transport.js";

/**
 * Finds out that a peer is gone: after one interval of silence it pings, after two it calls `lost`.
 *
 * Any traffic counts, also a part of a message that is still on its way.
 */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #transport: Transport;
  readonly #lost: () => void;
  #heardAt: number;
  #checkedAt: number;
  #receivedBytes: number;
  #held = false;
  #timer: Timer;

  constructor(clock: Clock, intervalMs: number, transport: Transport, lost: () => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#transport = transport;
    this.#lost = lost;
    this.#heardAt = clock.now();
    this.#checkedAt = this.#heardAt;
    this.#receivedBytes = transport.receivedBytes;
    this.#timer = this.#checkIn(intervalMs);
  }

  heard(): void {
    this.#heardAt = this.#clock.now();
  }

  /** While the socket is paused by us nothing can be heard: silence says nothing, and TCP has to find out by our pings. */
  hold(held: boolean): void {
    this.#held = held;
    this.heard();
  }

  stop(): void {
    this.#timer.cancel();
  }

  #checkIn(ms: number): Timer {
    return this.#clock.setTimeout(() => this.#check(), ms);
  }

  #check(): void {
    this.#noteUnfinished();
    const silentMs = this.#clock.now() - this.#heardAt;
    if (silentMs >= 2 * this.#intervalMs) {
      this.#lost();
      return;
    }
    const pinged = silentMs >= this.#intervalMs;
    if (pinged || this.#held) this.#transport.ping();
    this.#timer = this.#checkIn(Math.max(1, (pinged ? 2 : 1) * this.#intervalMs - silentMs));
  }

  /** Bytes that no event told of belong to a message that is not whole yet. */
  #noteUnfinished(): void {
    const { receivedBytes } = this.#transport;
    const untold = receivedBytes !== this.#receivedBytes && this.#heardAt < this.#checkedAt;
    this.#receivedBytes = receivedBytes;
    if (this.#held || untold) this.heard();
    this.#checkedAt = this.#clock.now();
  }
}
