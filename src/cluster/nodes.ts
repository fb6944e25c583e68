import { addCounts, type Counts, noCounts } from "../backplane/counts.js";
import type { Clock, Timer } from "../connection/clock.js";
import type { PresenceMark } from "./clusterPresence.js";
import type { Fields } from "./nodeMessage.js";

/** A sign of life, as it travels. */
export interface Beat {
  readonly node: string;
  readonly counts: Counts;
  /** What changed since the last one: rooms, and where their rosters stand; `null` where nobody is left. */
  readonly rosters: readonly PresenceMark[];
  /** Whether more changed than that: all of its rooms are to be asked for anew. */
  readonly renew: boolean;
}

export interface NodesDeps {
  /** Names this life of this node. */
  readonly id: string;
  readonly clock: Clock;
  readonly heartbeatMs: number;
  /** Sends a sign of life to all nodes, this one included. */
  readonly beat: () => void;
  readonly bye: () => void;
  /** Another one is there that was not. */
  readonly met: (node: string) => void;
  readonly gone: (node: string) => void;
  /** This node does not hear itself any more. */
  readonly deaf: () => void;
}

interface OtherNode {
  heardAt: number;
  counts: Counts;
}

/** Heartbeats without a sign of life after which a node is gone. */
const missesMax = 3;
/** Heartbeats after which a sign of life is late. */
const overdue = 1.5;

/** The other nodes: who is there, by their signs of life, and what each of them has. */
export class Nodes {
  readonly #deps: NodesDeps;
  readonly #neighbours = new Map<string, OtherNode>();
  #timer: Timer | undefined;
  #heardMyselfAt = 0;

  constructor(deps: NodesDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#neighbours.size;
  }

  /** Those that gave a sign of life when they should have. */
  get answering(): readonly string[] {
    const { clock, heartbeatMs } = this.#deps;
    const due = clock.now() - overdue * heartbeatMs;
    return [...this.#neighbours].filter(([, { heardAt }]) => heardAt > due).map(([node]) => node);
  }

  get sum(): Counts {
    return [...this.#neighbours.values()].reduce((sum, { counts }) => addCounts(sum, counts), noCounts);
  }

  /** This node hears and is heard. What the others were silent before is not held against them. */
  begin(): void {
    const now = this.#deps.clock.now();
    this.#heardMyselfAt = now;
    for (const neighbour of this.#neighbours.values()) neighbour.heardAt = now;
    this.#timer?.cancel();
    this.#beatAndLook();
  }

  /** Nobody hears this node, and it hears nobody: no time passes. */
  pause(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  end(): void {
    if (this.#timer !== undefined) this.#deps.bye();
    this.pause();
    this.#neighbours.clear();
  }

  receive({ node, counts }: Beat): void {
    if (node === this.#deps.id) this.#heardMyselfAt = this.#deps.clock.now();
    else this.#see(node, counts);
  }

  /** A node that says anything at all is there, and goes when it says nothing more. */
  meet(node: string): void {
    if (node !== this.#deps.id && !this.#neighbours.has(node)) this.#see(node, noCounts);
  }

  #see(node: string, counts: Counts): void {
    const isNew = !this.#neighbours.has(node);
    this.#neighbours.set(node, { heardAt: this.#deps.clock.now(), counts });
    if (isNew) this.#deps.met(node);
  }

  /** It said that it goes. */
  leave(node: string): void {
    if (this.#neighbours.delete(node)) this.#deps.gone(node);
  }

  #beatAndLook(): void {
    const { clock, heartbeatMs } = this.#deps;
    const silence = clock.now() - missesMax * heartbeatMs;
    this.#timer = clock.setTimeout(() => this.#beatAndLook(), heartbeatMs);
    if (this.#heardMyselfAt <= silence) {
      // Whoever hears nothing knows nothing of others.
      this.#deps.deaf();
      return;
    }
    this.#deps.beat();
    for (const [node, { heardAt }] of this.#neighbours) if (heardAt <= silence) this.leave(node);
  }
}

/** `undefined` for what is no sign of life. */
export function beatOf({ node, counts, rosters, renew }: Fields): Beat | undefined {
  if (typeof node !== "string" || !isCounts(counts) || !Array.isArray(rosters)) return undefined;
  const isRoster = (one: unknown) =>
    Array.isArray(one) && typeof one[0] === "string" && (one[1] === null || typeof one[1] === "number");
  return rosters.every(isRoster) ? { node, counts, rosters, renew: renew === true } : undefined;
}

function isCounts(value: unknown): value is Counts {
  if (typeof value !== "object" || value === null) return false;
  const { connections, rooms, users } = value as Partial<Record<keyof Counts, unknown>>;
  return [connections, rooms, users].every((count) => Number.isSafeInteger(count) && Number(count) >= 0);
}
