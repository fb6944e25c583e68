import type { ClaimedFrame } from "../../backplane/claims.js";
import type { EngineClaims } from "./engineClaims.js";

/** A frame that this node runs, or has answered. */
export interface HeldClaim {
  readonly key: string;
  readonly frame: ClaimedFrame;
  readonly owner: string;
  /** The ids of the nodes that wait for the answer. */
  readonly waiting: Set<string>;
  /** True if this node was disconnected meanwhile, so that other nodes may wait as well. */
  isAwaitedByAny: boolean;
  /** Set when the frame is answered. */
  answer: { readonly reply: string | undefined } | undefined;
}

export interface HeldClaimsDeps {
  readonly claims: EngineClaims;
  readonly isUp: () => boolean;
  /** Rejects when the engine does not answer in time. */
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
  /** Called when the engine has stored the answer. */
  readonly onSettled: (held: HeldClaim) => void;
}

/** The number of answers that wait until the engine can be reached. Above: the oldest is forgotten. */
const unsettledMax = 1_000;

/** The claims of this node, until the engine has stored their answers. */
export class HeldClaims {
  readonly #deps: HeldClaimsDeps;
  readonly #held = new Map<string, HeldClaim>();
  /** Answered claims whose answer the engine has not stored, the oldest first. */
  readonly #unsettled = new Set<HeldClaim>();
  #sending = 0;
  #whenIdle: (() => void) | undefined;

  constructor(deps: HeldClaimsDeps) {
    this.#deps = deps;
  }

  get(key: string): HeldClaim | undefined {
    return this.#held.get(key);
  }

  add(key: string, frame: ClaimedFrame, owner: string, waiting: Set<string>): void {
    this.#held.set(key, { key, frame, owner, waiting, isAwaitedByAny: false, answer: undefined });
  }

  remove(key: string): void {
    this.#held.delete(key);
  }

  settle(key: string, reply: string | undefined): void {
    const held = this.#held.get(key);
    if (held === undefined || held.answer !== undefined) return;
    held.answer = { reply };
    this.#unsettled.add(held);
    const [oldest] = this.#unsettled;
    if (this.#unsettled.size > unsettledMax && oldest !== undefined) this.#forget(oldest);
    if (this.#deps.isUp()) void this.#send(held, reply);
  }

  /** The engine is connected again: sends the answers that it may not have. */
  renew(): void {
    for (const held of this.#held.values()) held.isAwaitedByAny = true;
    for (const held of this.#unsettled) void this.#send(held, held.answer?.reply);
  }

  /** Resolves when no answer is on its way to the engine. */
  async idle(): Promise<void> {
    if (this.#sending === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  async #send(held: HeldClaim, reply: string | undefined): Promise<void> {
    const { claims, inTime, onSettled } = this.#deps;
    this.#sending += 1;
    try {
      await inTime(claims.settle(held.frame, held.owner, reply));
      this.#forget(held);
      onSettled(held);
    } catch {
      // Sent again when the engine is connected again. Until then, other nodes know only that the frame was begun.
    } finally {
      this.#sending -= 1;
      if (this.#sending === 0) this.#whenIdle?.();
    }
  }

  #forget(held: HeldClaim): void {
    this.#unsettled.delete(held);
    if (this.#held.get(held.key) === held) this.#held.delete(held.key);
  }
}
