import type { Clock, Timer } from "../../connection/clock.js";
import type { ClaimAnswer } from "./nodePresence.js";
import { answersMs } from "./presenceQuestion.js";

/** A claim of this node to report users. It is decided when the other nodes with the room open have answered. */
export class ReportClaim {
  readonly #waiting: Set<string>;
  readonly #lost = new Set<string>();
  readonly #reported = new Set<string>();
  readonly #decide: () => void;
  readonly #timer: Timer;
  #isDecided = false;

  /** @param onDecided Called once, when all nodes have answered or after `answersMs`. */
  constructor(
    readonly keys: readonly string[],
    nodes: readonly string[],
    clock: Clock,
    onDecided: () => void,
  ) {
    this.#waiting = new Set(nodes);
    this.#decide = () => {
      if (this.#isDecided) return;
      this.#isDecided = true;
      this.#timer.cancel();
      onDecided();
    };
    this.#timer = clock.setTimeout(this.#decide, answersMs);
  }

  /** Returns true if another node reports the user, or one with a lower id claims it. */
  isLost(key: string): boolean {
    return this.#lost.has(key);
  }

  /** Returns true if another node knows that the join was reported. */
  isReported(key: string): boolean {
    return this.#reported.has(key);
  }

  /** Applies the answer of another node. @param isLower True if the id of that node is lower. */
  applyAnswer(key: string, answer: ClaimAnswer, isLower: boolean): void {
    if (answer === "reports" || (answer !== "reported" && isLower)) this.#lost.add(key);
    if (answer !== "claims") this.#reported.add(key);
  }

  /** The node has answered or is lost. */
  close(node: string): void {
    if (this.#waiting.delete(node) && this.#waiting.size === 0) this.#decide();
  }

  cancel(): void {
    this.#isDecided = true;
    this.#timer.cancel();
  }
}

/** The claims of this node in one room. */
export class ReportClaims {
  readonly #clock: Clock;
  readonly #onDecided: (claim: ReportClaim) => void;
  readonly #claims = new Map<number, ReportClaim>();
  #rounds = 0;

  constructor(clock: Clock, onDecided: (claim: ReportClaim) => void) {
    this.#clock = clock;
    this.#onDecided = onDecided;
  }

  /**
   * Starts a claim. Returns the number of its round, for the answers; `undefined` if it was decided without other
   * nodes.
   */
  begin(keys: readonly string[], nodes: readonly string[]): number | undefined {
    this.#rounds += 1;
    const round = this.#rounds;
    const claim = new ReportClaim(keys, nodes, this.#clock, () => {
      this.#claims.delete(round);
      this.#onDecided(claim);
    });
    if (nodes.length > 0) {
      this.#claims.set(round, claim);
      return round;
    }
    claim.cancel();
    this.#onDecided(claim);
    return undefined;
  }

  onAnswer(node: string, round: number, answers: ReadonlyMap<string, ClaimAnswer>, isLower: boolean): void {
    const claim = this.#claims.get(round);
    for (const [key, answer] of answers) claim?.applyAnswer(key, answer, isLower);
    claim?.close(node);
  }

  /** Another node claims a user too. */
  onRival(key: string, isReported: boolean, isLower: boolean): void {
    for (const claim of this.#claims.values()) {
      if (claim.keys.includes(key)) claim.applyAnswer(key, isReported ? "claims reported" : "claims", isLower);
    }
  }

  /** The node is lost or has closed the room. */
  forget(node: string): void {
    for (const claim of [...this.#claims.values()]) claim.close(node);
  }

  cancel(): void {
    for (const claim of this.#claims.values()) claim.cancel();
    this.#claims.clear();
  }
}
