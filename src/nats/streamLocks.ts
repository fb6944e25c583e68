import { setTimeout as pause } from "node:timers/promises";
import { EntryStream, type EntryStreamDeps } from "./entryStream.js";

/** Bytes of all locks. */
const locksBytesMax: readonly number[] = [4, 1].map((megabytes) => megabytes * 1024 * 1024);
/** Milliseconds after which a lock ends whose node has died. A request to the server fails after the same time. */
const lockMs = 5_000;
/** Milliseconds until a lock that another node has is tried again. */
const againMs = 10;

export interface StreamLocksDeps extends Omit<EntryStreamDeps, "kind" | "bytesMax"> {
  /** Identifies the run of a single server, from its start to its end; `undefined` in a cluster of servers. */
  readonly serverRun: string | undefined;
}

/**
 * Locks, so that one node at a time creates or changes the stream of a room. A change is made from what was read
 * before, and the server cannot check that it is still so. A single server that runs two changes at once may also
 * subscribe to the subject of a stream twice, and then stores each message twice; of two that create the same stream
 * at once, both may succeed, and the messages of one are lost.
 */
export class StreamLocks {
  readonly #entries: EntryStream;
  readonly #serverRun: string;

  constructor({ serverRun = "", ...deps }: StreamLocksDeps) {
    this.#entries = new EntryStream({ ...deps, kind: "locks", bytesMax: locksBytesMax });
    this.#serverRun = serverRun;
  }

  /**
   * Runs `task` while this node has the lock. If another node has it, waits a moment instead: that node may have done
   * what is to be done.
   *
   * @param token What is locked, as a token of a subject.
   */
  async run(token: string, task: () => Promise<void>): Promise<void> {
    await this.#entries.create(lockMs);
    // Its sequence says whose it is.
    const sequence = await this.#take(this.#entries.subjectOf(token));
    if (sequence === undefined) {
      await pause(againMs, undefined, { ref: false });
      return;
    }
    try {
      await task();
    } finally {
      // It would also end by itself, but only after a while.
      this.#entries.remove(sequence).catch(() => undefined);
    }
  }

  /**
   * Resolves with the sequence of the lock, or `undefined` if another node has it. A lock from an earlier run of the
   * server has no holder: the connection that it was taken on ended with that run.
   */
  async #take(subject: string): Promise<number | undefined> {
    const run = this.#serverRun;
    const sequence = await this.#entries.store(subject, run, 0);
    if (sequence !== undefined || run === "") return sequence;
    const held = await this.#entries.read(subject);
    if (held === undefined || held.text === run) return undefined;
    return this.#entries.store(subject, run, held.sequence);
  }
}
