import { type Clock, deferred, within } from "../../connection/clock.js";

/** Milliseconds that nodes have to answer; some of them may have crashed. */
export const answersMs = 500;

/** A question to other nodes, until all have answered or the time is over. */
export class PresenceQuestion {
  /** Resolves at its end; never rejects. */
  readonly answered: Promise<unknown>;
  readonly end: () => void;
  readonly #open: Set<string>;

  constructor(nodes: readonly string[], clock: Clock) {
    const { promise, resolve } = deferred<void>();
    this.#open = new Set(nodes);
    this.end = resolve;
    if (this.#open.size === 0) resolve();
    this.answered = within(clock, answersMs, promise);
  }

  /** The nodes that have not answered yet. */
  get nodes(): readonly string[] {
    return [...this.#open];
  }

  isOpenFor(node: string): boolean {
    return this.#open.has(node);
  }

  /** The node has answered, or is lost. */
  close(node: string): void {
    if (this.#open.delete(node) && this.#open.size === 0) this.end();
  }
}
