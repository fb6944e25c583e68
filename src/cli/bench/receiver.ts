/** Missing messages that a receiver remembers. Further ones are counted only. */
const gapsMax = 100_000;

/**
 * The messages that one connection gets, by sender. A sender whose messages it gets at all should be complete and in
 * order: all connections are open from the first message to the last.
 */
export class Receiver {
  readonly #senders: number;
  /** By sender: the number after the highest that came. Made for the first message, since most receivers see few. */
  #next: Int32Array | undefined;
  /** Numbers that were skipped, by {@link keyOf}. */
  readonly #gaps = new Set<number>();
  /** Skipped numbers that are not remembered. */
  #forgotten = 0;
  /** How many messages of this connection came back to it. */
  returned = 0;
  /** Messages that came after a later one of their sender. */
  late = 0;
  /** Messages that came before. */
  repeated = 0;

  constructor(senders: number) {
    this.#senders = senders;
  }

  /** @param number Of the messages of this sender, from 0. */
  take(sender: number, number: number): void {
    this.#next ??= new Int32Array(this.#senders);
    const next = this.#next[sender] ?? 0;
    if (number >= next) {
      this.#next[sender] = number + 1;
      for (let skipped = next; skipped < number; skipped += 1) this.#miss(keyOf(sender, skipped));
    } else if (this.#gaps.delete(keyOf(sender, number))) this.late += 1;
    else this.repeated += 1;
  }

  /** How many messages are missing of the senders that were seen. @param sent The numbers of messages by sender. */
  missing(sent: Int32Array): number {
    let missing = this.#gaps.size + this.#forgotten;
    for (const [sender, next] of (this.#next ?? []).entries()) {
      if (next > 0) missing += (sent[sender] ?? 0) - next;
    }
    return missing;
  }

  #miss(key: number): void {
    if (this.#gaps.size < gapsMax) this.#gaps.add(key);
    else this.#forgotten += 1;
  }
}

/** The number of a message is below 2^31. */
function keyOf(sender: number, number: number): number {
  return sender * 0x8000_0000 + number;
}
