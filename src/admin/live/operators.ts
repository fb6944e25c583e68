import type { Clock, Timer } from "../../connection/clock.js";
import { EnfiladeError, EventError, isInstance } from "../../errors.js";
import type { EntryBatch, LiveFilter, Overview } from "../api.js";
import type { AdminLimits } from "../limits.js";
import type { Told } from "../nodes/methods.js";
import type { NodeTaps } from "./nodeTaps.js";

/** The live connection of a page. */
export interface LiveOperator {
  readonly id: string;
  readonly bufferedBytes: number;
  emit(event: string, data: unknown): void;
}

export interface OperatorsDeps {
  readonly clock: Clock;
  readonly limits: AdminLimits;
  readonly taps: NodeTaps;
  /** Sends a message to all other nodes. */
  readonly tellAll: (told: Told) => void;
  readonly overview: () => Promise<Overview>;
  readonly report: (error: unknown) => void;
}

const secondMs = 1_000;
const renewMs = 5_000;
/** A page that has to read so much already gets no more entries. */
const bufferedBytesMax = 1024 * 1024;

/** A tap of a page, on all nodes. */
interface PageTap {
  readonly operator: LiveOperator;
  readonly id: string;
  readonly filter: LiveFilter;
  /** The entries that were not sent since the page reads too slowly. */
  missed: number;
}

/** The live connections of this node: their taps, and the overview that all of them get. */
export class Operators {
  readonly #deps: OperatorsDeps;
  readonly #operators = new Set<LiveOperator>();
  readonly #taps = new Map<string, PageTap>();
  #overviewTimer: Timer | undefined;
  #renewTimer: Timer | undefined;

  constructor(deps: OperatorsDeps) {
    this.#deps = deps;
  }

  get isFull(): boolean {
    return this.#operators.size >= this.#deps.limits.operatorsMax;
  }

  add(operator: LiveOperator): void {
    this.#operators.add(operator);
    if (this.#overviewTimer === undefined) void this.#sendOverview();
  }

  remove(operator: LiveOperator): void {
    this.#operators.delete(operator);
    for (const [key, tap] of [...this.#taps]) if (tap.operator === operator) this.#untap(key);
    if (this.#operators.size > 0) return;
    this.#overviewTimer?.cancel();
    this.#overviewTimer = undefined;
  }

  /** @throws EventError `bad_filter`, or `too_many` past `tapsPerOperatorMax`. */
  tap(operator: LiveOperator, id: string, filter: LiveFilter): void {
    const { limits, taps, tellAll } = this.#deps;
    const key = keyOf(operator, id);
    this.#untap(key);
    const count = [...this.#taps.values()].filter((tap) => tap.operator === operator).length;
    if (count >= limits.tapsPerOperatorMax) {
      throw new EventError("too_many", `A page may have ${limits.tapsPerOperatorMax} taps; end one first`);
    }
    try {
      taps.open(key, filter, operator.id, (batch) => this.deliver(key, batch));
    } catch (error) {
      throw isInstance(error, EnfiladeError) ? new EventError("bad_filter", error.message) : error;
    }
    this.#taps.set(key, { operator, id, filter, missed: 0 });
    tellAll({ method: "tap", key, filter });
    this.#renewTimer ??= this.#renewLater();
  }

  untap(operator: LiveOperator, id: string): void {
    this.#untap(keyOf(operator, id));
  }

  /** Sends entries of any node to the page that asked for them. */
  deliver(key: string, batch: Omit<EntryBatch, "id">): void {
    const tap = this.#taps.get(key);
    if (tap === undefined) return;
    if (tap.operator.bufferedBytes > bufferedBytesMax) {
      tap.missed += batch.missed + batch.entries.length;
      return;
    }
    const { id, operator } = tap;
    const sent: EntryBatch = { ...batch, id, missed: batch.missed + tap.missed };
    tap.missed = 0;
    operator.emit("entries", sent);
  }

  stop(): void {
    this.#overviewTimer?.cancel();
    this.#renewTimer?.cancel();
    this.#operators.clear();
    this.#taps.clear();
  }

  #untap(key: string): void {
    if (!this.#taps.delete(key)) return;
    this.#deps.taps.close(key);
    this.#deps.tellAll({ method: "untap", key });
  }

  /** So that nodes that have joined tap too, and those of a node that has crashed end. */
  #renewLater(): Timer {
    return this.#deps.clock.setTimeout(() => {
      for (const [key, { filter }] of this.#taps) this.#deps.tellAll({ method: "tap", key, filter });
      this.#renewTimer = this.#taps.size > 0 ? this.#renewLater() : undefined;
    }, renewMs);
  }

  /** Never rejects. */
  async #sendOverview(): Promise<void> {
    const { clock, overview, report } = this.#deps;
    this.#overviewTimer = clock.setTimeout(() => void this.#sendOverview(), secondMs);
    try {
      const data = await overview();
      for (const operator of this.#operators) {
        if (operator.bufferedBytes <= bufferedBytesMax) operator.emit("overview", data);
      }
    } catch (error) {
      report(error);
    }
  }
}

/** Ids of connections are unique among all nodes. */
function keyOf({ id: connection }: LiveOperator, id: string): string {
  return `${connection}:${id}`;
}
