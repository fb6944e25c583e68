import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock } from "../../connection/clock.js";

/** How long the event loop was late, in milliseconds. */
export interface LoopDelay {
  /** The median. */
  readonly p50: number;
  /** The 99th percentile. */
  readonly p99: number;
  /** The longest delay. */
  readonly max: number;
}

/** The part of Node's histogram that is used. Its values are nanoseconds. */
export interface DelayHistogram {
  readonly max: number;
  percentile(percentile: number): number;
  reset(): void;
  disable(): unknown;
}

/** Milliseconds between two samples. Node counts them as a part of the delay. */
const resolutionMs = 10;
/** Milliseconds of an interval: a reading sooner after the last one has the same result. */
const intervalMs = 1_000;

function startHistogram(): DelayHistogram {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return histogram;
}

/** Measures the delay of the event loop from its first reading on. Before, it costs nothing. */
export class LoopDelayMonitor {
  readonly #clock: Clock;
  readonly #start: () => DelayHistogram;
  #histogram: DelayHistogram | undefined;
  #begunAt = 0;
  #last: LoopDelay = { p50: 0, p99: 0, max: 0 };

  constructor(clock: Clock, start: () => DelayHistogram = startHistogram) {
    this.#clock = clock;
    this.#start = start;
  }

  /** The delay in the last interval, which ended at this reading or less than a second ago; 0 before the first one. */
  read(): LoopDelay {
    const now = this.#clock.now();
    if (this.#histogram === undefined) {
      this.#histogram = this.#start();
      this.#begunAt = now;
    } else if (now - this.#begunAt >= intervalMs) {
      this.#last = delayOf(this.#histogram);
      this.#histogram.reset();
      this.#begunAt = now;
    }
    return this.#last;
  }

  stop(): void {
    this.#histogram?.disable();
    this.#histogram = undefined;
  }
}

function delayOf(histogram: DelayHistogram): LoopDelay {
  const [p50, p99, max] = [histogram.percentile(50), histogram.percentile(99), histogram.max].map(delayMsOf);
  return { p50: p50 ?? 0, p99: p99 ?? 0, max: max ?? 0 };
}

function delayMsOf(nanoseconds: number): number {
  return Math.max(0, Math.round(nanoseconds / 1_000) / 1_000 - resolutionMs);
}
