import type { Clock, Timer } from "../../connection/clock.js";
import type { ClaimAnswer } from "./nodePresence.js";
import { answersMs } from "./presenceQuestion.js";

/** A claim of this node to report users, until the other nodes that have the room open have answered. */
export class ReportClaim {
  readonly #waiting: Set<string>;
  readonly #lost = new Set<string>();
  readonly #reported = new Set<string>();
  readonly #decide: () => void;
  readonly #timer: Timer;
  #isDecided = false;

  /** @param onDecided Called once: when all have answered, or their time is over. */
  constructor(
    readonly keys: readonly string[],
    nodes: readonly string[],
    clock: Clock,
    onDecided: (claim: ReportClaim) => void,
  ) {
    this.#waiting = new Set(nodes);
    this.#decide = () => {
      if (this.#isDecided) return;
      this.#isDecided = true;
      this.#timer.cancel();
      onDecided(this);
    };
    this.#timer = clock.setTimeout(this.#decide, answersMs);
  }

  /** Whether another node reports the user, or claims it with a lower id. */
  isLost(key: string): boolean {
    return this.#lost.has(key);
  }

  /** Whether another node knows that the join was reported. */
  isReported(key: string): boolean {
    return this.#reported.has(key);
  }

  /** What another node says of a user. */
  weigh(key: string, answer: ClaimAnswer, isLower: boolean): void {
    if (answer === "reports" || (answer !== "reported" && isLower)) this.#lost.add(key);
    if (answer !== "claims") this.#reported.add(key);
  }

  /** The node has answered, or is lost. */
  close(node: string): void {
    if (this.#waiting.delete(node) && this.#waiting.size === 0) this.#decide();
  }

  cancel(): void {
    this.#isDecided = true;
    this.#timer.cancel();
  }
}
