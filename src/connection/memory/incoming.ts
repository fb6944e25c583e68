/** An inbox whose socket is paused for lack of memory. */
export interface PausedInbox {
  /** The bytes of its waiting messages. */
  readonly heldBytes: number;
  /** Resumes the socket if the inbox has space. */
  resumeIfLow(): void;
}

export interface IncomingMemoryDeps {
  /** Bytes that are always below `bytesMax()`, which is not computed until then. */
  readonly sureBytes: number;
  /** The bytes that waiting messages may take. */
  readonly bytesMax: () => number;
  /** Called when an inbox is paused for lack of memory. */
  readonly onPaused: () => void;
  /** Called when a client is closed for lack of memory. */
  readonly onCut: () => void;
}

/** Messages are resumed below this part of the maximum, so that sockets do not pause and resume with each message. */
const resumeShare = 7 / 8;

/** The bytes of received messages: those that busy handlers have, those that wait, and those whose rest is missing. */
export class IncomingMemory {
  readonly #deps: IncomingMemoryDeps;
  /** The inboxes that are paused only because memory is full. */
  readonly #paused = new Set<PausedInbox>();
  #bytes = 0;
  #unfinishedBytes = 0;
  #isScheduled = false;

  constructor(deps: IncomingMemoryDeps) {
    this.#deps = deps;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The part of {@link bytes} that belongs to messages whose rest is missing. It is counted at intervals. */
  get unfinishedBytes(): number {
    return this.#unfinishedBytes;
  }

  /** Whether an inbox must not receive more while messages wait in it. */
  get isFull(): boolean {
    return this.#bytes > this.#deps.sureBytes && this.#bytes > this.#deps.bytesMax();
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (bytes < 0 && this.#paused.size > 0) this.#resumeSoon();
  }

  addUnfinished(bytes: number): void {
    this.#unfinishedBytes += bytes;
    this.add(bytes);
  }

  /** A client is closed because the rest of its message is missing, and memory is full. */
  onCut(): void {
    this.#deps.onCut();
  }

  /** From now on, `inbox` waits for memory. */
  pause(inbox: PausedInbox): void {
    if (this.#paused.has(inbox)) return;
    this.#paused.add(inbox);
    this.#deps.onPaused();
  }

  /** The inbox no longer waits for memory. */
  forget(inbox: PausedInbox): void {
    this.#paused.delete(inbox);
  }

  #resumeSoon(): void {
    if (this.#isScheduled || this.#bytes > this.#deps.bytesMax() * resumeShare) return;
    this.#isScheduled = true;
    // Resumed sockets are read before the next ones are resumed.
    setImmediate(() => {
      this.#isScheduled = false;
      this.#resume();
    });
  }

  /** Resumes the emptier half of the inboxes; the other half follows if there is still space. */
  #resume(): void {
    if (this.#bytes > this.#deps.bytesMax() * resumeShare) return;
    const byBytes = [...this.#paused].sort((one, other) => one.heldBytes - other.heldBytes);
    for (const inbox of byBytes.slice(0, Math.ceil(byBytes.length / 2))) {
      this.#paused.delete(inbox);
      inbox.resumeIfLow();
    }
    if (this.#paused.size > 0) this.#resumeSoon();
  }
}
