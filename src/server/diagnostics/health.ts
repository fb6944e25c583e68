import type { Backplane, LinkStatus } from "../../backplane/backplane.js";
import { type Clock, timeIsUp, within } from "../../connection/clock.js";
import type { Status } from "../../handler/application.js";
import { type LoopDelay, LoopDelayMonitor } from "./loopDelay.js";

/** The limits of a health check. */
export interface HealthLimits {
  /** Milliseconds for the engine to answer a call of `app.health()`. Above: `ready` is `false`. Default: 2,000. */
  readonly healthMs: number;
}

export const defaultHealthLimits: HealthLimits = { healthMs: 2_000 };

/** The result of `app.health()`. */
export interface HealthReport {
  /** True while the app is open and not draining, and the engine of the backplane has answered within `healthMs`. */
  readonly ready: boolean;
  /**
   * How long the event loop was late in the last interval, in milliseconds. An interval is the time between two calls,
   * but at least a second. Measured from the first call on; 0 before the first interval has ended.
   */
  readonly loopDelayMs: LoopDelay;
  /** As in `app.status()`; `state` is `away` if the engine did not answer. */
  readonly backplane: LinkStatus;
  /** Current connections of this node. */
  readonly connections: number;
  /** The memory of the process in bytes, as `process.memoryUsage()` has it. */
  readonly memory: {
    /** The memory that the process takes of the machine. */
    readonly rssBytes: number;
    /** The JavaScript objects. */
    readonly heapUsedBytes: number;
    /** The buffers, and other memory outside of the heap. */
    readonly externalBytes: number;
  };
}

export interface HealthDeps {
  readonly backplane: Pick<Backplane, "probe">;
  readonly clock: Clock;
  readonly limits: HealthLimits;
  readonly status: () => Status;
}

/** Checks the health of an app. Nothing runs between two checks but the measurement of the event loop. */
export class Health {
  readonly #deps: HealthDeps;
  readonly #loopDelay: LoopDelayMonitor;
  /** The probe that the engine has not answered; checks at the same time share it. */
  #probing: Promise<boolean> | undefined;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
    this.#loopDelay = new LoopDelayMonitor(deps.clock);
  }

  async check(): Promise<HealthReport> {
    const isAnswering = await this.#isAnswering();
    const { ready, backplane, connections, state } = this.#deps.status();
    const { rss, heapUsed, external } = process.memoryUsage();
    return {
      ready: ready && isAnswering,
      loopDelayMs: state === "closed" ? { p50: 0, p99: 0, max: 0 } : this.#loopDelay.read(),
      backplane: isAnswering ? backplane : { ...backplane, state: "away" },
      connections,
      memory: { rssBytes: rss, heapUsedBytes: heapUsed, externalBytes: external },
    };
  }

  stop(): void {
    this.#loopDelay.stop();
  }

  async #isAnswering(): Promise<boolean> {
    const { backplane, status } = this.#deps;
    if (backplane.probe === undefined || status().backplane.state === "away") return true;
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined;
    });
    return this.#probing;
  }

  /** Never rejects. */
  async #probe(): Promise<boolean> {
    const { backplane, clock, limits } = this.#deps;
    try {
      const answer = Promise.resolve(backplane.probe?.());
      return (await within(clock, limits.healthMs, answer)) !== timeIsUp;
    } catch {
      return false;
    }
  }
}
