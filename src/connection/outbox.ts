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

/** Flushes the outboxes of one app, each once a tick, after everything that the tick received was handled. */
export class Flusher {
  /** The empty sequence, where every outbox stands that has nothing to send. */
  readonly root = new Sequence(undefined, new Uint8Array(0), 0);
  #waiting: Outbox[] = [];

  add(outbox: Outbox): void {
    // setImmediate runs after the poll phase: one write carries what all messages of this tick caused.
    if (this.#waiting.push(outbox) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.root.forget();
    for (const outbox of waiting) outbox.flush();
  }
}

export interface OutboxParts {
  readonly transport: Transport;
  readonly flusher: Flusher;
  readonly highWaterBytes: number;
  readonly outboxBytesMax: number;
  /** Called once, when more than `outboxBytesMax` wait; the outbox takes no more. */
  readonly overflowed: () => void;
}

/** What one connection has yet to be sent, in the order of the calls. */
export class Outbox {
  readonly #parts: OutboxParts;
  #pending: Sequence;
  /** Bytes that wait for a socket with `highWaterBytes` in it; empty for a client that keeps up. */
  #backlog: Uint8Array[] = [];
  #backlogBytes = 0;
  #pumping = false;
  #finished: (() => void) | undefined;
  #shut = false;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
    this.#pending = parts.flusher.root;
  }

  get bytes(): number {
    return this.#pending.size + this.#backlogBytes;
  }

  push(frame: Uint8Array): void {
    if (this.#shut) return;
    const { flusher, highWaterBytes } = this.#parts;
    if (this.#pending === flusher.root) flusher.add(this);
    this.#pending = this.#pending.child(frame);
    if (this.#pending.size >= highWaterBytes) this.flush();
  }

  flush(): void {
    const pending = this.#pending;
    const { transport, flusher, highWaterBytes, outboxBytesMax, overflowed } = this.#parts;
    if (pending === flusher.root) return;
    this.#pending = flusher.root;
    if (!transport.open) return;
    if (this.#backlog.length === 0 && transport.bufferedBytes < highWaterBytes) {
      transport.write(pending.bytes());
      return;
    }
    this.#backlog.push(pending.bytes());
    this.#backlogBytes += pending.size;
    if (this.#backlogBytes > outboxBytesMax && !this.#shut) {
      this.drop();
      overflowed();
    } else {
      this.#pumpWhenWritten();
    }
  }

  /** Takes no more; calls `done` once what was pushed before is handed over to the socket. */
  finish(done: () => void): void {
    // Shut first: what was accepted before a close is not refused for its size any more.
    this.#shut = true;
    this.flush();
    if (this.#backlog.length === 0) done();
    else this.#finished = done;
  }

  /** Takes no more, and lets go of what waits. */
  drop(): void {
    this.#shut = true;
    this.#pending = this.#parts.flusher.root;
    this.#backlog = [];
    this.#backlogBytes = 0;
  }

  /** Resolves when all that was pushed before has left this process, or cannot any more. */
  async flushed(): Promise<void> {
    this.flush();
    const { transport } = this.#parts;
    do {
      await new Promise<void>((resolve) => transport.whenWritten(resolve));
    } while (this.#backlog.length > 0 && transport.open);
  }

  #pumpWhenWritten(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#parts.transport.whenWritten(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    const { transport, highWaterBytes } = this.#parts;
    if (!transport.open) this.drop();
    while (this.#backlog.length > 0 && transport.bufferedBytes < highWaterBytes) {
      const bytes = this.#backlog.shift();
      if (bytes === undefined) break;
      this.#backlogBytes -= bytes.length;
      transport.write(bytes);
    }
    if (this.#backlog.length > 0) {
      this.#pumpWhenWritten();
    } else {
      this.#finished?.();
      this.#finished = undefined;
    }
  }
}
