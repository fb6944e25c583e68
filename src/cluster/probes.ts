import { type Deferred, deferred } from "../connection/clock.js";

/** Checks whether the engine delivers: sends a signal of this node to this node, and waits for it. */
export class Probes {
  readonly #send: (number: number) => void;
  #count = 0;
  /** By number, in their order. */
  readonly #pending = new Map<number, Deferred<void>>();

  /** @param send Sends a probe with this number to this node. */
  constructor(send: (number: number) => void) {
    this.#send = send;
  }

  /** Resolves when the engine has delivered a probe that is sent now, or a later one. Else it stays pending. */
  async probe(): Promise<void> {
    this.#count += 1;
    const answer = deferred<void>();
    this.#pending.set(this.#count, answer);
    if (this.#pending.size > pendingMax) this.#dropOldest();
    this.#send(this.#count);
    await answer.promise;
  }

  /** A probe has arrived. Returns false if it is malformed. */
  receive(number: unknown): boolean {
    if (typeof number !== "number") return false;
    for (const [sent, answer] of this.#pending) {
      if (sent > number) break;
      this.#pending.delete(sent);
      answer.resolve();
    }
    return true;
  }

  #dropOldest(): void {
    const [oldest] = this.#pending.keys();
    if (oldest !== undefined) this.#pending.delete(oldest);
  }
}

/** The number of probes without an answer. The callers of older ones have stopped waiting. */
const pendingMax = 16;
