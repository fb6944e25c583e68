import type { Timer } from "../../connection/clock.js";
import type { DialectSession } from "../dialect.js";

/**
 * The frames `watch` of one client. A list is much longer than the frame that asks for it: so the client gets one list
 * per `presenceListMs`, and the same version only once.
 */
export class PresenceRequests {
  readonly #session: DialectSession;
  /** The version of the last list. */
  #version: number | undefined;
  #nextAt = 0;
  #isWaiting = false;
  #timer: Timer | undefined;

  constructor(session: DialectSession) {
    this.#session = session;
    this.#nextAt = session.clock.now();
  }

  /** The client asks for the list. */
  ask(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    const { clock } = this.#session;
    const waitMs = this.#nextAt - clock.now();
    if (waitMs > 0) this.#timer = clock.setTimeout(() => this.#answer(), waitMs);
    else setImmediate(() => this.#answer());
  }

  end(): void {
    this.#timer?.cancel();
  }

  #answer(): void {
    this.#isWaiting = false;
    const { clock, member } = this.#session;
    // A client that gets the changes and has the list of this version misses nothing.
    if (this.#version !== undefined && this.#session.watchedVersion() === this.#version) return;
    this.#session.onWatch();
    this.#version = this.#session.watchedVersion();
    this.#nextAt = clock.now() + member.limits.presenceListMs;
  }
}
