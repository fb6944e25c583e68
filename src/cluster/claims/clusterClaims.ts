import type { BackplaneOutage } from "../../backplane/backplane.js";
import type { ClaimedFrame, ClaimResult, Claims } from "../../backplane/claims.js";
import type { Clock } from "../../connection/clock.js";
import { asError } from "../../errors.js";
import type { EngineState } from "../engineState.js";
import type { Fields } from "../nodeMessage.js";
import type { EngineClaim, EngineClaims } from "./engineClaims.js";
import { HeldClaims } from "./heldClaims.js";

export interface ClusterClaimsDeps {
  /** The id of this node. */
  readonly id: string;
  readonly clock: Clock;
  /** Milliseconds to wait for a frame that another node runs. */
  readonly claimMs: number;
  readonly outage: BackplaneOutage;
  readonly claims: EngineClaims;
  readonly engineState: EngineState;
  /** Rejects when the engine does not answer in time. */
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
  /** Resolves when the first attempt to connect has succeeded or failed; `undefined` if it has. */
  readonly whenConnected: () => Promise<void> | undefined;
  readonly isLost: (node: string) => boolean;
  /** Sends a signal to one node; without `node`, to all nodes. */
  readonly send: (node: string | undefined, kind: ClaimSignal, fields: object) => void;
  /** Receives the error of a claim. */
  readonly onError: (error: Error) => void;
  /** The server of the engine cannot store claims. */
  readonly onUnsupported: () => void;
}

/** `claim-await` asks the owner of a claim for `claim-settled`: the frame is answered, or is not run by this owner. */
export type ClaimSignal = "claim-await" | "claim-settled";

/** Why a frame is not awaited any more. */
type Wake = "settled" | "lost" | "late" | "reconnected" | "stopped";

interface Waiter {
  /** The node that runs the frame. */
  readonly node: string;
  readonly wake: (reason: Wake) => void;
}

/** Claims whose answer was lost are remembered up to this number. Above: the oldest is forgotten, and never run. */
const unsureMax = 10_000;

const run: ClaimResult = { state: "run" };
const begun: ClaimResult = { state: "begun" };
const unavailable: ClaimResult = { state: "unavailable" };

/** Claims the frames of this node's clients in the engine, and waits for those that another node runs. */
export class ClusterClaims implements Claims {
  readonly #deps: ClusterClaimsDeps;
  readonly #held: HeldClaims;
  /** The owner of each claim that the engine may have stored, and whose frame this node has not run. */
  readonly #unsure = new Map<string, string>();
  /** The nodes that wait for a claim that the engine has not answered yet, by its owner. */
  readonly #asking = new Map<string, Set<string>>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  #count = 0;
  #isStopped = false;

  constructor(deps: ClusterClaimsDeps) {
    this.#deps = deps;
    const { claims, engineState, inTime } = deps;
    this.#held = new HeldClaims({
      claims,
      inTime,
      isUp: () => engineState.isUp,
      onSettled: ({ key, waiting, isAwaitedByAny }) => this.#notify(key, isAwaitedByAny ? [undefined] : waiting),
    });
  }

  async claim(frame: ClaimedFrame): Promise<ClaimResult> {
    const { clock, claimMs, onUnsupported } = this.#deps;
    const key = keyOf(frame);
    const until = clock.now() + claimMs;
    let awaited: string | undefined;
    let isBegun = false;
    for (;;) {
      const asked = await this.#ask(key, frame);
      if (asked === undefined) return isBegun ? begun : this.#claimWithoutEngine(key, frame);
      const { entry, owner, waiting } = asked;
      if (entry.state === "answered") return { state: "answered", reply: entry.reply };
      if (entry.state === "unsupported") {
        onUnsupported();
        return run;
      }
      if (entry.owner === owner) {
        this.#held.add(key, frame, owner, waiting);
        return run;
      }
      isBegun = true;
      // The second entry of the same owner: it has no answer, or did not store it in time.
      if (entry.owner === awaited || clock.now() >= until) return begun;
      const reason = await this.#whenSettled(key, frame, entry.owner, until - clock.now());
      if (reason === "stopped") return begun;
      if (reason !== "reconnected") awaited = entry.owner;
    }
  }

  settle(frame: ClaimedFrame, reply: string | undefined): void {
    this.#held.settle(keyOf(frame), reply);
  }

  release(frame: ClaimedFrame): void {
    const key = keyOf(frame);
    const held = this.#held.get(key);
    if (held === undefined) return;
    this.#held.remove(key);
    void this.#releaseOwner(frame, held.owner, held.waiting);
  }

  /** The engine is connected, and this node receives signals. */
  onUp(): void {
    this.#held.renew();
    this.#wakeAll("reconnected");
  }

  onLost(node: string): void {
    for (const waiters of this.#waiters.values()) {
      for (const waiter of waiters) if (waiter.node === node) waiter.wake("lost");
    }
  }

  /** Resolves when no answer is on its way to the engine. */
  idle(): Promise<void> {
    return this.#held.idle();
  }

  stop(): void {
    this.#isStopped = true;
    this.#wakeAll("stopped");
  }

  /** Returns true if the signal is valid, false if it is malformed, `undefined` if it is of another kind. */
  receive(kind: unknown, { node, client, id, owner }: Fields): boolean | undefined {
    if (kind !== "claim-await" && kind !== "claim-settled") return undefined;
    if (typeof node !== "string" || typeof client !== "string" || typeof id !== "string") return false;
    const frame = { client, id };
    if (kind === "claim-settled") this.#wake(keyOf(frame), "settled");
    else if (typeof owner === "string") this.#onAwaited(node, frame, owner);
    return kind === "claim-settled" || typeof owner === "string";
  }

  #onAwaited(node: string, frame: FrameName, owner: string): void {
    const key = keyOf(frame);
    const held = this.#held.get(key);
    const waiting = held?.owner === owner ? held.waiting : this.#asking.get(owner);
    if (waiting !== undefined) {
      waiting.add(node);
    } else if (this.#unsure.get(key) === owner) {
      this.#unsure.delete(key);
      void this.#releaseOwner(frame, owner, [node]);
    } else {
      this.#notify(key, [node]);
    }
  }

  /** Claims a frame; `undefined` if the engine cannot be reached, or does not answer. */
  async #ask(
    key: string,
    frame: ClaimedFrame,
  ): Promise<{ readonly entry: EngineClaim; readonly owner: string; readonly waiting: Set<string> } | undefined> {
    const { claims, engineState, inTime, onError, whenConnected } = this.#deps;
    await whenConnected();
    if (!engineState.isUp || this.#isStopped) return undefined;
    const owner = this.#takeOwner(key);
    const waiting = new Set<string>();
    this.#asking.set(owner, waiting);
    try {
      return { owner, waiting, entry: await inTime(claims.claim(frame, owner)) };
    } catch (thrown) {
      onError(asError(thrown));
    } finally {
      this.#asking.delete(owner);
    }
    this.#unsure.set(key, owner);
    const [oldest] = this.#unsure.keys();
    if (this.#unsure.size > unsureMax && oldest !== undefined) this.#unsure.delete(oldest);
    for (const node of waiting) this.#onAwaited(node, frame, owner);
    return undefined;
  }

  /**
   * The owner of the next claim. A claim whose answer was lost is repeated with its owner, which finds its own entry.
   * Meanwhile it is not in the list, so that nothing releases it.
   */
  #takeOwner(key: string): string {
    const unsure = this.#unsure.get(key);
    this.#unsure.delete(key);
    if (unsure !== undefined) return unsure;
    this.#count += 1;
    return `${this.#deps.id}.${this.#count.toString(36)}`;
  }

  #claimWithoutEngine(key: string, frame: ClaimedFrame): ClaimResult {
    if (this.#deps.outage === "reject" || this.#isStopped) return unavailable;
    // The answer is stored when the engine is back, if no other node has run the frame meanwhile.
    this.#held.add(key, frame, this.#takeOwner(key), new Set());
    return run;
  }

  /** Resolves when the owner of a claim has answered the frame, or will not. */
  async #whenSettled(key: string, { client, id }: FrameName, owner: string, ms: number): Promise<Wake> {
    const { clock, id: self, isLost, send } = this.#deps;
    const node = nodeOf(owner);
    if (node === self ? this.#held.get(key)?.owner !== owner : isLost(node)) return "lost";
    const waiters = this.#waiters.get(key) ?? new Set();
    this.#waiters.set(key, waiters);
    let waiter: Waiter | undefined;
    const woken = new Promise<Wake>((wake) => {
      waiter = { node, wake };
      waiters.add(waiter);
    });
    const timer = clock.setTimeout(() => waiter?.wake("late"), ms);
    if (node !== self) send(node, "claim-await", { node: self, client, id, owner });
    const reason = await woken;
    timer.cancel();
    if (waiter !== undefined) waiters.delete(waiter);
    if (waiters.size === 0 && this.#waiters.get(key) === waiters) this.#waiters.delete(key);
    return reason;
  }

  async #releaseOwner(frame: FrameName, owner: string, waiting: Iterable<string>): Promise<void> {
    const { claims, inTime, onError } = this.#deps;
    try {
      await inTime(claims.release(frame, owner));
    } catch (thrown) {
      onError(asError(thrown));
    }
    this.#notify(keyOf(frame), waiting);
  }

  /** Lets other calls of `claim` look at the entry again: on these nodes, `undefined` for all, and on this node. */
  #notify(key: string, nodes: Iterable<string | undefined>): void {
    const { id: self, send } = this.#deps;
    const { client, id } = frameOf(key);
    for (const node of nodes) send(node, "claim-settled", { node: self, client, id });
    this.#wake(key, "settled");
  }

  #wake(key: string, reason: Wake): void {
    for (const { wake } of this.#waiters.get(key) ?? []) wake(reason);
  }

  #wakeAll(reason: Wake): void {
    for (const key of this.#waiters.keys()) this.#wake(key, reason);
  }
}

type FrameName = Pick<ClaimedFrame, "client" | "id">;

/** A client has no space in its name. */
function keyOf({ client, id }: FrameName): string {
  return `${client} ${id}`;
}

function frameOf(key: string): FrameName {
  const end = key.indexOf(" ");
  return { client: key.slice(0, end), id: key.slice(end + 1) };
}

/** An owner is the id of a node, a dot and a number. */
function nodeOf(owner: string): string {
  return owner.slice(0, owner.lastIndexOf("."));
}
