import type { Metrics } from "../metrics.js";
import type { Clock, Timer } from "./clock.js";
import type { PeerLimits } from "./limits.js";
import type { DeliveryPolicy } from "./policy.js";
import type { Transport } from "./transport.js";

/**
 * A frame and all that go before it in this tick.
 *
 * The pending frames of a connection are a node in a tree of sequences. Sending steps to a child, and a node remembers
 * its last child, so members of a room with equal histories arrive at the same node, whose bytes are joined once.
 */
class Sequence {
  #lastChild: Sequence | undefined;
  #bytes: Uint8Array | undefined;

  constructor(
    readonly parent: Sequence | undefined,
    readonly frame: Uint8Array,
    readonly size: number,
  ) {}

  child(frame: Uint8Array): Sequence {
    const last = this.#lastChild;
    if (last !== undefined && last.frame === frame) return last;
    const next = new Sequence(this, frame, this.size + frame.length);
    this.#lastChild = next;
    return next;
  }

  forget(): void {
    this.#lastChild = undefined;
  }

  /** All frames up to this one, in order; a lone frame is not copied. */
  bytes(): Uint8Array {
    this.#bytes ??= this.size === this.frame.length ? this.frame : this.#joined();
    return this.#bytes;
  }

  #joined(): Uint8Array {
    const joined = Buffer.allocUnsafe(this.size);
    for (let node: Sequence | undefined = this; node !== undefined; node = node.parent) {
      joined.set(node.frame, node.size - node.frame.length);
    }
    return joined;
  }
}

export interface FlusherDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Outboxes that are flushed before the loop is let free for others. */
  readonly flushConnectionsMax: number;
}

/** Flushes the outboxes of one app, each once a tick, after everything that the tick received was handled. */
export class Flusher {
  /** The empty sequence, where every outbox stands that has nothing to send. */
  readonly root = new Sequence(undefined, new Uint8Array(0), 0);
  readonly #deps: FlusherDeps;
  #waiting: Outbox[] = [];
  #scheduled = false;

  constructor(deps: FlusherDeps) {
    this.#deps = deps;
  }

  add(outbox: Outbox): void {
    this.#waiting.push(outbox);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // setImmediate runs after the poll phase: one write carries what all messages of this tick caused.
    setImmediate(() => this.#flush());
  }

  /** A very large room goes in slices; what is sent in between comes behind, since an outbox keeps its own order. */
  #flush(): void {
    const { clock, metrics, flushConnectionsMax } = this.#deps;
    const begun = clock.now();
    this.#scheduled = false;
    const slice =
      this.#waiting.length > flushConnectionsMax ? this.#waiting.splice(0, flushConnectionsMax) : this.#waiting;
    if (slice === this.#waiting) this.#waiting = [];
    else this.#schedule();
    this.root.forget();
    for (const outbox of slice) outbox.flush();
    metrics.flush.count += 1;
    metrics.flush.msMax = Math.max(metrics.flush.msMax, clock.now() - begun);
  }
}

/** Whose frames they are; the connection. */
export interface OutboxOwner {
  /** Called once, when more waits than may, or for longer; the outbox takes no more. */
  onOverflow(): void;
  /** Called when nothing waits any more, after something did. */
  onDrained(): void;
}

/** What the outboxes of one route have in common. */
export interface OutboxConfig {
  readonly flusher: Flusher;
  readonly clock: Clock;
  readonly limits: Pick<PeerLimits, "highWaterBytes" | "outboxBytesMax" | "outboxAgeMsMax">;
}

/** Frames that wait for a socket with `highWaterBytes` in it. */
interface Waiting {
  readonly bytes: Uint8Array;
  /** When the first message waited here; one that takes another's place is as old as that. */
  readonly since: number;
}

/** What one connection has yet to be sent, in the order of the calls. */
export class Outbox {
  readonly #owner: OutboxOwner;
  readonly #transport: Transport;
  readonly #config: OutboxConfig;
  #pending: Sequence;
  /** In the order of sending; a number for what may not be replaced, else the key. Empty for a client that keeps up. */
  #backlog: Map<number | string, Waiting> | undefined;
  #backlogBytes = 0;
  #nextNumber = 0;
  #ageTimer: Timer | undefined;
  #pumping = false;
  #finished: (() => void) | undefined;
  #shut = false;

  constructor(owner: OutboxOwner, transport: Transport, config: OutboxConfig) {
    this.#owner = owner;
    this.#transport = transport;
    this.#config = config;
    this.#pending = config.flusher.root;
  }

  get bytes(): number {
    return this.#pending.size + this.#backlogBytes;
  }

  push(frame: Uint8Array): void {
    if (this.#shut) return;
    const { flusher, limits } = this.#config;
    if (this.#pending === flusher.root) flusher.add(this);
    this.#pending = this.#pending.child(frame);
    if (this.#pending.size >= limits.highWaterBytes) this.flush();
  }

  /** As {@link push}, but for a client that lags the policy decides; says whether a message was dropped for it. */
  offer(frame: Uint8Array, policy: DeliveryPolicy): boolean {
    if (policy.kind === "reliable" || !this.#lags()) {
      this.push(frame);
      return false;
    }
    if (policy.kind === "skip") {
      // Nothing waits, but the client is to be told when it has caught up.
      this.#backlog ??= new Map();
      this.#pumpWhenWritten();
      return true;
    }
    // What was sent before goes first.
    this.flush();
    if (this.#shut) return true;
    const replaced = this.#backlog?.get(policy.key);
    this.#remove(policy.key);
    this.#wait(policy.key, frame, replaced?.since);
    return replaced !== undefined;
  }

  flush(): void {
    const pending = this.#pending;
    const { root } = this.#config.flusher;
    if (pending === root) return;
    this.#pending = root;
    if (!this.#transport.isOpen) return;
    if (this.#lags()) {
      this.#wait(this.#nextNumber, pending.bytes());
      this.#nextNumber += 1;
    } else {
      this.#transport.write(pending.bytes());
    }
  }

  /** Takes no more; calls `done` once what was pushed before is handed over to the socket. */
  finish(done: () => void): void {
    // Shut first: what was accepted before a close is not refused for its size any more.
    this.#shut = true;
    this.flush();
    if (this.#backlog === undefined) done();
    else this.#finished = done;
  }

  /** Takes no more, and lets go of what waits. */
  drop(): void {
    this.#shut = true;
    this.#pending = this.#config.flusher.root;
    this.#empty();
  }

  /** Resolves when all that was pushed before has left this process, or cannot any more. */
  async flushed(): Promise<void> {
    this.flush();
    do {
      await new Promise<void>((resolve) => this.#transport.whenWritten(resolve));
    } while (this.#backlog !== undefined && this.#transport.isOpen);
  }

  #lags(): boolean {
    return this.#backlog !== undefined || this.#transport.bufferedBytes >= this.#config.limits.highWaterBytes;
  }

  #wait(key: number | string, bytes: Uint8Array, since = this.#config.clock.now()): void {
    const { limits } = this.#config;
    this.#backlog ??= new Map();
    this.#backlog.set(key, { bytes, since });
    this.#backlogBytes += bytes.length;
    if (this.#backlogBytes > limits.outboxBytesMax && !this.#shut) {
      this.drop();
      this.#owner.onOverflow();
    } else {
      this.#ageTimer ??= this.#checkAgeIn(limits.outboxAgeMsMax);
      this.#pumpWhenWritten();
    }
  }

  #remove(key: number | string): void {
    this.#backlogBytes -= this.#backlog?.get(key)?.bytes.length ?? 0;
    this.#backlog?.delete(key);
  }

  #empty(): void {
    this.#backlog = undefined;
    this.#backlogBytes = 0;
    this.#ageTimer?.cancel();
    this.#ageTimer = undefined;
  }

  #checkAgeIn(ms: number): Timer {
    return this.#config.clock.setTimeout(() => this.#checkAge(), ms);
  }

  #checkAge(): void {
    const { clock, limits } = this.#config;
    const [first] = this.#backlog?.values() ?? [];
    if (first === undefined) return;
    const left = first.since + limits.outboxAgeMsMax - clock.now();
    if (left > 0) {
      this.#ageTimer = this.#checkAgeIn(left);
    } else {
      this.drop();
      this.#owner.onOverflow();
    }
  }

  #pumpWhenWritten(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#transport.whenWritten(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    const { highWaterBytes } = this.#config.limits;
    if (!this.#transport.isOpen) this.drop();
    if (this.#backlog === undefined) return;
    for (const [key, { bytes }] of this.#backlog) {
      if (this.#transport.bufferedBytes >= highWaterBytes) break;
      this.#remove(key);
      this.#transport.write(bytes);
    }
    if (this.#backlog.size > 0) {
      this.#pumpWhenWritten();
      return;
    }
    this.#empty();
    this.#finished?.();
    this.#finished = undefined;
    if (!this.#shut) this.#owner.onDrained();
  }
}
