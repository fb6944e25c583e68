import type { Counters } from "../counters.js";
import type { Position } from "../wire/position.js";
import type { Clock, Timer } from "./clock.js";
import type { PeerLimits } from "./limits.js";
import type { LaggingClient, OutgoingMemory } from "./memory/outgoing.js";
import type { Flusher } from "./outbox/flusher.js";
import type { FrameSequence } from "./outbox/frameSequence.js";
import type { DeliveryPolicy } from "./policy.js";
import type { Transport } from "./transport.js";

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
  readonly counters: Counters;
  readonly memory: { readonly outgoing: OutgoingMemory };
  readonly limits: Pick<PeerLimits, "highWaterBytes" | "outboxBytesMax" | "outboxAgeMsMax">;
}

/** The rest of the outbox is left to messages that cannot wait elsewhere. */
const crowdedDivisor = 4;
/** Bytes in the socket are counted from this part of `highWaterBytes` on. */
const countedDivisor = 4;

/** Frames that wait until the socket buffers less than `highWaterBytes`. */
interface BacklogEntry {
  readonly bytes: Uint8Array;
  /** When the wait began. A message that replaces another one has the time of that one. */
  readonly since: number;
}

/** The frames for a client that lags. */
class Backlog {
  /** In the order of sending. The key is that of the policy `latest`, or a number for a frame that is not replaced. */
  readonly entries = new Map<number | string, BacklogEntry>();
  bytes = 0;
  nextNumber = 0;
  ageTimer: Timer | undefined;
  /** Called when it has become empty. */
  onFinished: (() => void) | undefined;
}

/** The frames that wait to be sent to one connection, in the order of the calls. */
export class Outbox implements LaggingClient {
  readonly #owner: OutboxOwner;
  readonly #transport: Transport;
  readonly #config: OutboxConfig;
  /** The frames of this tick. */
  #pending: FrameSequence;
  /** `undefined` for a client that keeps up. */
  #backlog: Backlog | undefined;
  #isPumping = false;
  #count = 0;
  #sentBytes = 0;
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
    return this.#pending.sizeBytes + (this.#backlog?.bytes ?? 0);
  }

  /** How many frames were pushed: messages and pongs. */
  get count(): number {
    return this.#count;
  }

  /** The bytes written to the transport. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Whether frames wait for a client that lags. */
  get hasBacklog(): boolean {
    return this.#backlog !== undefined;
  }

  /** Whether so much waits that a frame of this size should wait elsewhere, if it can. */
  isCrowdedBy(frameBytes: number): boolean {
    return (this.bytes + frameBytes) * crowdedDivisor > this.#config.limits.outboxBytesMax;
  }

  push(frame: Uint8Array): void {
    if (this.#isClosed) return;
    this.#count += 1;
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
      this.#beginBacklog();
      this.#pumpWhenWritten();
      return true;
    }
    // Frames that were sent before keep their place.
    this.flush();
    if (this.#isClosed) return true;
    const replaced = this.#backlog?.entries.get(policy.key);
    this.#removeFromBacklog(policy.key);
    this.#addToBacklog(policy.key, this.#config.flusher.root.append(frame).ownBytes(), replaced?.since);
    return replaced !== undefined;
  }

  flush(): void {
    const pending = this.#pending;
    const { root } = this.#config.flusher;
    if (pending === root) return;
    this.#pending = root;
    if (!this.#transport.isOpen) return;
    if (this.#isLagging()) {
      const backlog = this.#beginBacklog();
      backlog.nextNumber += 1;
      this.#addToBacklog(backlog.nextNumber, pending.ownBytes());
    } else {
      this.#write(pending.bytes());
    }
  }

  /** Accepts no more frames. Calls `onFinished` when all accepted frames have been written to the socket. */
  finish(onFinished: () => void): void {
    // Closed first: frames accepted before a close must not overflow the outbox any more.
    this.#isClosed = true;
    this.flush();
    if (this.#backlog === undefined) onFinished();
    else this.#backlog.onFinished = onFinished;
  }

  /** Accepts no more frames, and discards waiting frames. */
  drop(): void {
    this.#isClosed = true;
    this.#pending = this.#config.flusher.root;
    this.#clearBacklog();
  }

  heldShare(): number {
    const { outgoing } = this.#config.memory;
    let share = this.socketBytes;
    for (const { bytes } of this.#backlog?.entries.values() ?? []) share += outgoing.shareOf(bytes);
    return share;
  }

  get socketBytes(): number {
    return this.#transport.bufferedBytes;
  }

  whenWritten(callback: () => void): void {
    this.#transport.whenWritten(callback);
  }

  onCrowdedOut(): void {
    this.drop();
    this.#owner.onOverflow();
  }

  /** Resolves when all frames pushed before have left this process, or can no longer be sent. */
  async flushed(): Promise<void> {
    this.flush();
    let isInSocket: boolean;
    do {
      // What the next write takes from the backlog is in the socket then, and has to leave it.
      isInSocket = this.#backlog === undefined;
      await new Promise<void>((resolve) => this.#transport.whenWritten(resolve));
    } while (!isInSocket && this.#transport.isOpen);
  }

  #isLagging(): boolean {
    return this.#backlog !== undefined || this.#transport.bufferedBytes >= this.#config.limits.highWaterBytes;
  }

  /** Counts the bytes until they have left this process, unless they leave at once. */
  #write(bytes: Uint8Array): void {
    const { limits, memory, counters } = this.#config;
    this.#transport.write(bytes);
    this.#sentBytes += bytes.length;
    counters.totals.sentBytes += bytes.length;
    if (this.#transport.bufferedBytes * countedDivisor < limits.highWaterBytes) return;
    memory.outgoing.hold(bytes);
    this.#transport.whenWritten(() => memory.outgoing.release(bytes));
  }

  #beginBacklog(): Backlog {
    if (this.#backlog === undefined) this.#config.memory.outgoing.enter(this);
    this.#backlog ??= new Backlog();
    return this.#backlog;
  }

  #addToBacklog(key: number | string, bytes: Uint8Array, since = this.#config.clock.now()): void {
    const { limits, memory } = this.#config;
    const backlog = this.#beginBacklog();
    backlog.entries.set(key, { bytes, since });
    backlog.bytes += bytes.length;
    memory.outgoing.hold(bytes);
    // This client may have been closed for lack of memory.
    if (this.#backlog === undefined) return;
    if (backlog.bytes > limits.outboxBytesMax && !this.#isClosed) {
      this.drop();
      this.#owner.onOverflow();
    } else {
      backlog.ageTimer ??= this.#checkAgeIn(limits.outboxAgeMsMax);
      this.#pumpWhenWritten();
    }
  }

  #removeFromBacklog(key: number | string): void {
    const backlog = this.#backlog;
    const entry = backlog?.entries.get(key);
    if (backlog === undefined || entry === undefined) return;
    backlog.bytes -= entry.bytes.length;
    backlog.entries.delete(key);
    this.#config.memory.outgoing.release(entry.bytes);
  }

  #clearBacklog(): void {
    const { outgoing } = this.#config.memory;
    const backlog = this.#backlog;
    if (backlog === undefined) return;
    this.#backlog = undefined;
    outgoing.leave(this);
    for (const { bytes } of backlog.entries.values()) outgoing.release(bytes);
    backlog.ageTimer?.cancel();
  }

  #checkAgeIn(ms: number): Timer {
    return this.#config.clock.setTimeout(() => this.#checkAge(), ms);
  }

  #checkAge(): void {
    const { clock, limits } = this.#config;
    const [first] = this.#backlog?.entries.values() ?? [];
    if (this.#backlog === undefined || first === undefined) return;
    const remainingMs = first.since + limits.outboxAgeMsMax - clock.now();
    if (remainingMs > 0) {
      this.#backlog.ageTimer = this.#checkAgeIn(remainingMs);
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
    for (const [key, { bytes }] of this.#backlog.entries) {
      if (this.#transport.bufferedBytes >= highWaterBytes) break;
      this.#removeFromBacklog(key);
      this.#write(bytes);
      // This client may have been closed for lack of memory.
      if (this.#backlog === undefined) return;
    }
    if (this.#backlog.entries.size > 0) {
      this.#pumpWhenWritten();
      return;
    }
    const { onFinished } = this.#backlog;
    this.#clearBacklog();
    onFinished?.();
    if (!this.#isClosed) this.#owner.onDrained();
  }
}
