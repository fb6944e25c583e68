import { addCounts, type Counts, noCounts } from "../backplane/counts.js";
import type { Clock, Timer } from "../connection/clock.js";
import type { Fields } from "./nodeMessage.js";
import type { PresenceMark } from "./presence/presenceMarks.js";

/** What a node tells all others, at an interval. */
export interface Heartbeat {
  readonly node: string;
  readonly counts: Counts;
  /** The rooms whose presence changed since the last heartbeat, with its sequence number; `null` for a closed room. */
  readonly presence: readonly PresenceMark[];
  /** Whether more rooms changed than are listed: the others ask for all of them again. */
  readonly renew: boolean;
}

export interface NodesDeps {
  /** The id of this node; another one after each start. */
  readonly id: string;
  readonly clock: Clock;
  readonly heartbeatMs: number;
  /** Sends a heartbeat to all nodes, this one included. */
  readonly sendHeartbeat: () => void;
  readonly sendLeave: () => void;
  /** A node was found that was not known. */
  readonly onFound: (node: string) => void;
  /** @param isSilent Whether its heartbeats stopped; else it said that it leaves. */
  readonly onLost: (node: string, isSilent: boolean) => void;
  /** This node no longer receives its own heartbeats. */
  readonly onDeaf: () => void;
}

interface OtherNode {
  /** When its last heartbeat came. */
  seenAt: number;
  counts: Counts;
}

/** Heartbeats that a node may miss before it is lost. */
const missesMax = 3;
/** Heartbeat intervals after which a heartbeat is overdue. */
const overdue = 1.5;

/** The other nodes of the cluster, known by their heartbeats, and the counts of each. */
export class Nodes {
  readonly #deps: NodesDeps;
  readonly #others = new Map<string, OtherNode>();
  #timer: Timer | undefined;
  #ownSeenAt = 0;

  constructor(deps: NodesDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#others.size;
  }

  /** The nodes whose last heartbeat came in time. */
  get answering(): readonly string[] {
    const { clock, heartbeatMs } = this.#deps;
    const due = clock.now() - overdue * heartbeatMs;
    return [...this.#others].filter(([, { seenAt }]) => seenAt > due).map(([node]) => node);
  }

  get sum(): Counts {
    return [...this.#others.values()].reduce((sum, { counts }) => addCounts(sum, counts), noCounts);
  }

  /** This node is connected. Heartbeats that it missed before do not count against the others. */
  begin(): void {
    const now = this.#deps.clock.now();
    this.#ownSeenAt = now;
    for (const other of this.#others.values()) other.seenAt = now;
    this.#timer?.cancel();
    this.#beat();
  }

  /** This node is not connected: no node is lost until it is again. */
  pause(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  end(): void {
    if (this.#timer !== undefined) this.#deps.sendLeave();
    this.pause();
    this.#others.clear();
  }

  receive({ node, counts }: Heartbeat): void {
    if (node === this.#deps.id) this.#ownSeenAt = this.#deps.clock.now();
    else this.#update(node, counts);
  }

  /** Any signal of a node shows that it exists. Without heartbeats it is lost again. */
  notice(node: string): void {
    if (node !== this.#deps.id && !this.#others.has(node)) this.#update(node, noCounts);
  }

  #update(node: string, counts: Counts): void {
    const isNew = !this.#others.has(node);
    this.#others.set(node, { seenAt: this.#deps.clock.now(), counts });
    if (isNew) this.#deps.onFound(node);
  }

  /** The node said that it leaves. */
  onLeave(node: string): void {
    this.#remove(node, false);
  }

  #remove(node: string, isSilent: boolean): void {
    if (this.#others.delete(node)) this.#deps.onLost(node, isSilent);
  }

  #beat(): void {
    const { clock, heartbeatMs } = this.#deps;
    const oldest = clock.now() - missesMax * heartbeatMs;
    this.#timer = clock.setTimeout(() => this.#beat(), heartbeatMs);
    if (this.#ownSeenAt <= oldest) {
      // A node that does not receive its own heartbeats cannot judge others by theirs.
      this.#deps.onDeaf();
      return;
    }
    this.#deps.sendHeartbeat();
    for (const [node, { seenAt }] of this.#others) if (seenAt <= oldest) this.#remove(node, true);
  }
}

/** `undefined` for what is not a heartbeat. */
export function heartbeatOf({ node, counts, presence, renew }: Fields): Heartbeat | undefined {
  if (typeof node !== "string" || !isCounts(counts) || !Array.isArray(presence)) return undefined;
  const isMark = (one: unknown) =>
    Array.isArray(one) && typeof one[0] === "string" && (one[1] === null || typeof one[1] === "number");
  return presence.every(isMark) ? { node, counts, presence, renew: renew === true } : undefined;
}

function isCounts(value: unknown): value is Counts {
  if (typeof value !== "object" || value === null) return false;
  // Each field is checked below.
  const { connections, rooms, users } = value as Partial<Record<keyof Counts, unknown>>;
  return [connections, rooms, users].every((count) => Number.isSafeInteger(count) && Number(count) >= 0);
}
