import type { Counters } from "../../counters.js";
import type { Clock } from "../clock.js";
import { FrameSequence } from "./frameSequence.js";

/** An outbox with frames to write. */
export interface Flushable {
  flush(): void;
}

export interface FlusherDeps {
  readonly clock: Clock;
  readonly counters: Counters;
  /** Outboxes flushed in one turn of the event loop; the others follow in the next. */
  readonly flushConnectionsMax: number;
}

/** Flushes the outboxes of one app, each once a tick, after all messages that the tick received were handled. */
export class Flusher {
  /** The empty sequence: the node of all outboxes with nothing to send. */
  readonly root = new FrameSequence(undefined, new Uint8Array(0), 0);
  readonly #deps: FlusherDeps;
  #outboxes: Flushable[] = [];
  #isScheduled = false;

  constructor(deps: FlusherDeps) {
    this.#deps = deps;
  }

  add(outbox: Flushable): void {
    this.#outboxes.push(outbox);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // setImmediate runs after the poll phase, so one write has all that the messages of this tick caused.
    setImmediate(() => this.#flush());
  }

  /** Many outboxes are flushed in slices. Messages sent between two slices stay in order: each outbox keeps its own. */
  #flush(): void {
    const { clock, counters, flushConnectionsMax } = this.#deps;
    const startedAt = clock.now();
    this.#isScheduled = false;
    const slice =
      this.#outboxes.length > flushConnectionsMax ? this.#outboxes.splice(0, flushConnectionsMax) : this.#outboxes;
    if (slice === this.#outboxes) this.#outboxes = [];
    else this.#schedule();
    this.root.forgetChildren();
    for (const outbox of slice) outbox.flush();
    counters.flush.count += 1;
    counters.flush.msMax = Math.max(counters.flush.msMax, clock.now() - startedAt);
  }
}
