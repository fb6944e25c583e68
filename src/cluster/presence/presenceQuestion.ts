import { type Clock, deferred, within } from "../../connection/clock.js";

/** Milliseconds for nodes to answer, since some of them may have crashed. */
export const answersMs = 500;

/** A question to other nodes. It ends when all have answered, or after `answersMs`. */
export class PresenceQuestion {
  /** Resolves when the question ends. Never rejects. */
  readonly answered: Promise<unknown>;
  readonly end: () => void;
  readonly #unanswered: Set<string>;

  constructor(nodes: readonly string[], clock: Clock) {
    const { promise, resolve } = deferred<void>();
    this.#unanswered = new Set(nodes);
    this.end = resolve;
    if (this.#unanswered.size === 0) resolve();
    this.answered = within(clock, answersMs, promise);
  }

  /** The nodes that have not answered yet. */
  get nodes(): readonly string[] {
    return [...this.#unanswered];
  }

  isOpenFor(node: string): boolean {
    return this.#unanswered.has(node);
  }

  /** The node has answered, or is lost. */
  close(node: string): void {
    if (this.#unanswered.delete(node) && this.#unanswered.size === 0) this.end();
  }
}
