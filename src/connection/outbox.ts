import type { Metrics } from "../metrics.js";
import type { Position } from "../wire/position.js";
import type { Clock, Timer } from "./clock.js";
import type { PeerLimits } from "./limits.js";
import type { DeliveryPolicy } from "./policy.js";
import type { Transport } from "./transport.js";

/**
 * The frames that were sent to a connection in this tick, as a node of a tree: the last frame, and as its parent the
 * frames before it.
 *
 * Sending a frame moves a connection to a child of its node. A node remembers its last child. So the members of a room
 * that were sent the same frames are at the same node, and the bytes of these frames are joined once for all of them.
 */
class FrameSequence {
  #lastChild: FrameSequence | undefined;
  #bytes: Uint8Array | undefined;

  constructor(
    readonly parent: FrameSequence | undefined,
    readonly frame: Uint8Array,
    readonly sizeBytes: number,
  ) {}

  append(frame: Uint8Array): FrameSequence {
    const last = this.#lastChild;
    if (last !== undefined && last.frame === frame) return last;
    const next = new FrameSequence(this, frame, this.sizeBytes + frame.length);
    this.#lastChild = next;
    return next;
  }

  /** Frees the tree below this node, except for nodes that are in use. */
  forgetChildren(): void {
    this.#lastChild = undefined;
  }

  /** All frames up to this one, in order. A single frame is not copied. */
  bytes(): Uint8Array {
    this.#bytes ??= this.sizeBytes === this.frame.length ? this.frame : this.#join();
    return this.#bytes;
  }

  #join(): Uint8Array {
    const joined = Buffer.allocUnsafe(this.sizeBytes);
    for (let node: FrameSequence | undefined = this; node !== undefined; node = node.parent) {
      joined.set(node.frame, node.sizeBytes - node.frame.length);
    }
    return joined;
  }
}

export interface FlusherDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Outboxes flushed in one turn of the event loop; the others follow in the next. */
  readonly flushConnectionsMax: number;
}

/** Flushes the outboxes of one app, each once a tick, after all messages that the tick received were handled. */
export class Flusher {
  /** The empty sequence: the node of all outboxes with nothing to send. */
  readonly root = new FrameSequence(undefined, new Uint8Array(0), 0);
  readonly #deps: FlusherDeps;
  #outboxes: Outbox[] = [];
  #isScheduled = false;

  constructor(deps: FlusherDeps) {
    this.#deps = deps;
  }

  add(outbox: Outbox): void {
    this.#outboxes.push(outbox);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // setImmediate runs after the poll phase, so one write has all that the messages of this tick caused.
    setImmediate(() => this.#flush());
  }

  /** Many outboxes are flushed in slices. Messages sent between two slices stay in order: each outbox keeps its own. */
  #flush(): void {
    const { clock, metrics, flushConnectionsMax } = this.#deps;
    const startedAt = clock.now();
    this.#isScheduled = false;
    const slice =
      this.#outboxes.length > flushConnectionsMax ? this.#outboxes.splice(0, flushConnectionsMax) : this.#outboxes;
    if (slice === this.#outboxes) this.#outboxes = [];
    else this.#schedule();
    this.root.forgetChildren();
    for (const outbox of slice) outbox.flush();
    metrics.flush.count += 1;
    metrics.flush.msMax = Math.max(metrics.flush.msMax, clock.now() - startedAt);
  }
}

/** The connection of an outbox. */
export interface OutboxOwner {
  /** Called once, when `outboxBytesMax` or `outboxAgeMsMax` is exceeded. The outbox then accepts no more frames. */
  onOverflow(): void;
  /** Called when the backlog has become empty. */
  onDrained(): void;
}

/** Reads the history of the home for a client that lags. */
export interface HomeReader<P> {
  /**
   * Sends the publications from `next` on when `peer` has read what was sent to it. Returns `false` if it cannot.
   *
   * @param next The first publication that was not sent.
   */
  readOn(peer: P, next: Position): boolean;
}

/** The configuration of all outboxes of one route. */
export interface OutboxConfig {
  readonly flusher: Flusher;
  readonly clock: Clock;
  readonly limits: Pick<PeerLimits, "highWaterBytes" | "outboxBytesMax" | "outboxAgeMsMax">;
}

/** The rest of the outbox is left to messages that cannot wait elsewhere. */
const crowdedDivisor = 4;

/** Frames that wait until the socket buffers less than `highWaterBytes`. */
interface BacklogEntry {
  readonly bytes: Uint8Array;
  /** When the wait began. A message that replaces another one has the time of that one. */
  readonly since: number;
}

/** The frames that wait to be sent to one connection, in the order of the calls. */
export class Outbox {
  readonly #owner: OutboxOwner;
  readonly #transport: Transport;
  readonly #config: OutboxConfig;
  /** The frames of this tick. */
  #pending: FrameSequence;
  /**
   * The frames for a client that lags, in the order of sending; `undefined` for a client that keeps up. The key is that
   * of the policy `latest`, or a number for frames that cannot be replaced.
   */
  #backlog: Map<number | string, BacklogEntry> | undefined;
  #backlogBytes = 0;
  #nextNumber = 0;
  #ageTimer: Timer | undefined;
  #isPumping = false;
  #onFinished: (() => void) | undefined;
  /** No more frames are accepted. */
  #isClosed = false;

  constructor(owner: OutboxOwner, transport: Transport, config: OutboxConfig) {
    this.#owner = owner;
    this.#transport = transport;
    this.#config = config;
    this.#pending = config.flusher.root;
  }

  /** The bytes that wait here. */
  get bytes(): number {
    return this.#pending.sizeBytes + this.#backlogBytes;
  }

  /** Whether frames wait for a client that lags. */
  get hasBacklog(): boolean {
    return this.#backlog !== undefined;
  }

  /** Whether so much waits that a frame of this size should wait elsewhere, if it can. */
  isCrowdedBy(frameBytes: number): boolean {
    const bytes = this.#pending.sizeBytes + this.#backlogBytes + frameBytes;
    return bytes * crowdedDivisor > this.#config.limits.outboxBytesMax;
  }

  push(frame: Uint8Array): void {
    if (this.#isClosed) return;
    const { flusher, limits } = this.#config;
    if (this.#pending === flusher.root) flusher.add(this);
    this.#pending = this.#pending.append(frame);
    if (this.#pending.sizeBytes >= limits.highWaterBytes) this.flush();
  }

  /** As {@link push}, but with a policy for a client that lags. Returns `true` if a message was dropped or replaced. */
  offer(frame: Uint8Array, policy: DeliveryPolicy): boolean {
    if (policy.kind === "reliable" || !this.#isLagging()) {
      this.push(frame);
      return false;
    }
    if (policy.kind === "skip") {
      // The message does not wait, but the client must be notified once it has caught up.
      this.#backlog ??= new Map();
      this.#pumpWhenWritten();
      return true;
    }
    // Frames that were sent before keep their place.
    this.flush();
    if (this.#isClosed) return true;
    const replaced = this.#backlog?.get(policy.key);
    this.#removeFromBacklog(policy.key);
    this.#addToBacklog(policy.key, frame, replaced?.since);
    return replaced !== undefined;
  }

  flush(): void {
    const pending = this.#pending;
    const { root } = this.#config.flusher;
    if (pending === root) return;
    this.#pending = root;
    if (!this.#transport.isOpen) return;
    if (this.#isLagging()) {
      this.#addToBacklog(this.#nextNumber, pending.bytes());
      this.#nextNumber += 1;
    } else {
      this.#transport.write(pending.bytes());
    }
  }

  /** Accepts no more frames. Calls `onFinished` when all accepted frames have been written to the socket. */
  finish(onFinished: () => void): void {
    // Closed first: frames accepted before a close must not overflow the outbox any more.
    this.#isClosed = true;
    this.flush();
    if (this.#backlog === undefined) onFinished();
    else this.#onFinished = onFinished;
  }

  /** Accepts no more frames, and discards waiting frames. */
  drop(): void {
    this.#isClosed = true;
    this.#pending = this.#config.flusher.root;
    this.#clearBacklog();
  }

  /** Resolves when all frames pushed before have left this process, or can no longer be sent. */
  async flushed(): Promise<void> {
    this.flush();
    do {
      await new Promise<void>((resolve) => this.#transport.whenWritten(resolve));
    } while (this.#backlog !== undefined && this.#transport.isOpen);
  }

  #isLagging(): boolean {
    return this.#backlog !== undefined || this.#transport.bufferedBytes >= this.#config.limits.highWaterBytes;
  }

  #addToBacklog(key: number | string, bytes: Uint8Array, since = this.#config.clock.now()): void {
    const { limits } = this.#config;
    this.#backlog ??= new Map();
    this.#backlog.set(key, { bytes, since });
    this.#backlogBytes += bytes.length;
    if (this.#backlogBytes > limits.outboxBytesMax && !this.#isClosed) {
      this.drop();
      this.#owner.onOverflow();
    } else {
      this.#ageTimer ??= this.#checkAgeIn(limits.outboxAgeMsMax);
      this.#pumpWhenWritten();
    }
  }

  #removeFromBacklog(key: number | string): void {
    this.#backlogBytes -= this.#backlog?.get(key)?.bytes.length ?? 0;
    this.#backlog?.delete(key);
  }

  #clearBacklog(): void {
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
    const remainingMs = first.since + limits.outboxAgeMsMax - clock.now();
    if (remainingMs > 0) {
      this.#ageTimer = this.#checkAgeIn(remainingMs);
    } else {
      this.drop();
      this.#owner.onOverflow();
    }
  }

  #pumpWhenWritten(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#transport.whenWritten(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  /** Writes the backlog as far as the socket accepts it. */
  #pump(): void {
    const { highWaterBytes } = this.#config.limits;
    if (!this.#transport.isOpen) this.drop();
    if (this.#backlog === undefined) return;
    for (const [key, { bytes }] of this.#backlog) {
      if (this.#transport.bufferedBytes >= highWaterBytes) break;
      this.#removeFromBacklog(key);
      this.#transport.write(bytes);
    }
    if (this.#backlog.size > 0) {
      this.#pumpWhenWritten();
      return;
    }
    this.#clearBacklog();
    this.#onFinished?.();
    this.#onFinished = undefined;
    if (!this.#isClosed) this.#owner.onDrained();
  }
}
