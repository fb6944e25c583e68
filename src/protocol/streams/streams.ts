import { LinkedList } from "../../backplane/memory/linkedList.js";
import type { Clock } from "../../connection/clock.js";
import type { MemoryLedger } from "../../connection/memory/ledger.js";
import type { ClientStream, StreamStore } from "./clientStream.js";
import type { StreamLimits } from "./limits.js";

export interface StreamsDeps {
  readonly clock: Clock;
  readonly limits: StreamLimits;
  readonly memory: Pick<MemoryLedger, "streamBytes">;
}

/** The streams of an app that clients may continue. */
export class Streams implements StreamStore {
  readonly #deps: StreamsDeps;
  readonly #byKey = new Map<string, ClientStream>();
  /** Those whose clients have no connection, the longest absent first. */
  readonly #absent = new LinkedList<ClientStream>();
  #absentCount = 0;

  constructor(deps: StreamsDeps) {
    this.#deps = deps;
  }

  get clock(): Clock {
    return this.#deps.clock;
  }

  hasSpace(): boolean {
    const { limits, memory } = this.#deps;
    while (memory.streamBytes >= limits.streamsBytesMax) {
      if (this.#absent.first === undefined) return false;
      this.#absent.first.lose();
    }
    return true;
  }

  get(key: string): ClientStream | undefined {
    return this.#byKey.get(key);
  }

  add(stream: ClientStream): void {
    this.#byKey.set(stream.key, stream);
  }

  /** Ends the streams of a user. */
  loseOf(userId: string): void {
    for (const stream of [...this.#byKey.values()]) if (stream.userId === userId) stream.lose();
  }

  /** Ends all streams. */
  loseAll(): void {
    for (const stream of [...this.#byKey.values()]) stream.lose();
  }

  onAbsent(stream: ClientStream): void {
    this.#absent.add(stream);
    this.#absentCount += 1;
    if (this.#absentCount > this.#deps.limits.absentStreamsMax) this.#absent.first?.lose();
  }

  onPresent(stream: ClientStream): void {
    this.#absent.remove(stream);
    this.#absentCount -= 1;
  }

  onBytes(change: number): void {
    this.#deps.memory.streamBytes += change;
  }

  onOver(stream: ClientStream): void {
    if (this.#byKey.get(stream.key) === stream) this.#byKey.delete(stream.key);
  }
}
