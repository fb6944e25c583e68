import { addCounts, type Counts, noCounts } from "../backplane/counts.js";
import type { Clock, Timer } from "../connection/clock.js";
import type { Fields } from "./nodeMessage.js";
import type { PresenceMark } from "./presence/presenceMarks.js";

/** The state of a node, sent to all nodes at an interval. */
export interface Heartbeat {
  readonly node: string;
  readonly counts: Counts;
  /** The rooms whose presence changed since the last heartbeat, with its sequence number; `null` for a closed room. */
  readonly presence: readonly PresenceMark[];
  /** True if more rooms changed than are listed. The other nodes then ask for the presence of all rooms again. */
  readonly renew: boolean;
}

export interface NodesDeps {
  /** The id of this node. Each start has a new one. */
  readonly id: string;
  readonly clock: Clock;
  readonly heartbeatMs: number;
  /** Sends a heartbeat to all nodes, this one included. */
  readonly sendHeartbeat: () => void;
  readonly sendLeave: () => void;
  /** A node was found that was not known before. */
  readonly onFound: (node: string) => void;
  /** @param isSilent True if its heartbeats stopped; false if it announced its leave. */
  readonly onLost: (node: string, isSilent: boolean) => void;
  /** This node no longer receives its own heartbeats. */
  readonly onOwnHeartbeatsLost: () => void;
}

interface OtherNode {
  /** The time of its last heartbeat. */
  seenAt: number;
  /** True if its heartbeats had stopped before this node lost its connection. */
  wasOverdue: boolean;
  counts: Counts;
}

/** The number of heartbeat intervals without a heartbeat after which a node is lost. */
const lostIntervals = 3;
/** The number of heartbeat intervals after which a heartbeat is overdue. */
const overdueIntervals = 1.5;

/** The other nodes of the cluster, known by their heartbeats, and the counts of each. */
export class Nodes {
  readonly #deps: NodesDeps;
  readonly #others = new Map<string, OtherNode>();
  #timer: Timer | undefined;
  #ownSeenAt = 0;
  #beatDueAt = 0;
  #begunAt = Number.POSITIVE_INFINITY;

  constructor(deps: NodesDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#others.size;
  }

  /** The nodes that were connected as long as this node was. They may have received what this node has not. */
  get witnesses(): readonly string[] {
    return [...this.#others].filter(([, { wasOverdue }]) => !wasOverdue).map(([node]) => node);
  }

  /** Returns true for a node that does not exist any more, as far as this node knows. */
  isLost(node: string): boolean {
    const { clock, heartbeatMs } = this.#deps;
    // A node that has just connected may not have received the heartbeats of all others.
    return !this.#others.has(node) && clock.now() - this.#begunAt > heartbeatMs;
  }

  /** The nodes whose last heartbeat arrived in time. */
  get answering(): readonly string[] {
    const due = this.#due();
    return [...this.#others].filter(([, { seenAt }]) => seenAt > due).map(([node]) => node);
  }

  /** The sum of the counts of all other nodes. */
  get sum(): Counts {
    return [...this.#others.values()].reduce((sum, { counts }) => addCounts(sum, counts), noCounts);
  }

  /** This node is connected. The heartbeats it missed before do not make other nodes lost. */
  begin(): void {
    const now = this.#deps.clock.now();
    this.#ownSeenAt = now;
    this.#begunAt = now;
    this.#beatDueAt = now;
    for (const other of this.#others.values()) other.seenAt = now;
    this.#timer?.cancel();
    this.#beat();
  }

  /** This node is not connected. Until it is connected again, no node becomes lost. */
  pause(): void {
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.#timer = undefined;
    const due = this.#due();
    for (const other of this.#others.values()) other.wasOverdue ||= other.seenAt <= due;
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

  /** Adds a node that sent any signal. If it sends no heartbeats, it becomes lost again. */
  onSignal(node: string): void {
    if (node !== this.#deps.id && !this.#others.has(node)) this.#update(node, noCounts);
  }

  #update(node: string, counts: Counts): void {
    const isNew = !this.#others.has(node);
    this.#others.set(node, { seenAt: this.#deps.clock.now(), wasOverdue: false, counts });
    if (isNew) this.#deps.onFound(node);
  }

  /** Heartbeats at this time and before are overdue. */
  #due(): number {
    const { clock, heartbeatMs } = this.#deps;
    return clock.now() - overdueIntervals * heartbeatMs;
  }

  /** The node announced its leave. */
  onLeave(node: string): void {
    this.#remove(node, false);
  }

  #remove(node: string, isSilent: boolean): void {
    if (this.#others.delete(node)) this.#deps.onLost(node, isSilent);
  }

  #beat(): void {
    const { clock, heartbeatMs } = this.#deps;
    const now = clock.now();
    this.#excuse(now - this.#beatDueAt);
    const oldest = now - lostIntervals * heartbeatMs;
    this.#beatDueAt = now + heartbeatMs;
    this.#timer = clock.setTimeout(() => this.#beat(), heartbeatMs);
    if (this.#ownSeenAt <= oldest) {
      // A node that misses its own heartbeats would also miss those of other nodes, so it must not declare them lost.
      this.#deps.onOwnHeartbeatsLost();
      return;
    }
    this.#deps.sendHeartbeat();
    for (const [node, { seenAt }] of this.#others) if (seenAt <= oldest) this.#remove(node, true);
  }

  /** This process was blocked for so long. What arrived meanwhile is not read yet, so the time counts for no node. */
  #excuse(lateMs: number): void {
    if (lateMs <= 0) return;
    this.#ownSeenAt += lateMs;
    for (const other of this.#others.values()) other.seenAt += lateMs;
  }
}

/** Reads a heartbeat; `undefined` if it is malformed. */
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
