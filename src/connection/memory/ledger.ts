import type { Counters } from "../../counters.js";
import { IncomingMemory } from "./incoming.js";
import { OutgoingMemory } from "./outgoing.js";

/** The bytes that an app holds for its clients; `app.status().memory`. */
export interface MemoryStatus {
  /** All of them; see the limit `memoryBytesMax`. */
  readonly bytes: number;
  /** Received messages that busy handlers have, and those that wait for them. */
  readonly inboxBytes: number;
  /** Messages of which a part was received. Counted every eighth part of `messageMs`. */
  readonly unfinishedBytes: number;
  /** Messages that wait until their clients read, those in the sockets included. */
  readonly outboxBytes: number;
  /** Remembered frames of `enfilade.v1` clients, with their replies. */
  readonly receiptBytes: number;
  /** Values of streamed replies, until their clients have read them. */
  readonly streamBytes: number;
  /** History in this process. */
  readonly historyBytes: number;
}

export interface MemoryLedgerDeps {
  /** The limit `memoryBytesMax`. */
  readonly bytesMax: number;
  readonly counters: Counters;
  /** Logs a warning. */
  readonly warn: (message: string) => void;
  /** The bytes of the history in this process. */
  readonly historyBytes: () => number;
}

/** The part of all bytes that messages may always take, however much history and receipts take. */
const messagesShareMin = 1 / 4;

const advice = "see memory in app.status(), and the limit memoryBytesMax";
const warnings = {
  paused:
    "received messages wait for busy handlers and take all memory that they may; sockets are paused until there is " +
    `space: ${advice}`,
  closed: `messages to slow clients take all memory that they may; the slowest are closed with 4008: ${advice}`,
  cut:
    "messages of which a part was received, and messages that wait, take all memory that they may; clients with the " +
    `largest parts are closed with 1008: ${advice}`,
  forgotten:
    "the ids of frames take all memory that they may; the oldest are forgotten, and a frame that is sent again may " +
    "run again: see the limits receiptsBytesMax and receiptClientsMax",
};

/** Counts the bytes that an app holds for its clients, and keeps them below one bound. */
export class MemoryLedger {
  readonly incoming: IncomingMemory;
  readonly outgoing: OutgoingMemory;
  readonly #deps: MemoryLedgerDeps;
  readonly #warned = new Set<keyof typeof warnings>();
  /** The bytes of remembered frames. Their owner sets them. */
  receiptBytes = 0;
  /** The bytes of values of streams. Their owner sets them. */
  streamBytes = 0;

  constructor(deps: MemoryLedgerDeps) {
    this.#deps = deps;
    const { bytesMax, counters } = deps;
    // Half of what messages may take is for received ones, so that these alone close no client.
    this.incoming = new IncomingMemory({
      sureBytes: (bytesMax * messagesShareMin) / 2,
      bytesMax: () => this.#messageBytesMax / 2,
      onPaused: () => this.#record("paused", () => (counters.totals.memoryPauses += 1)),
      onCut: () => this.#record("cut", () => (counters.totals.memoryCloses += 1)),
    });
    this.outgoing = new OutgoingMemory({
      sureBytes: (bytesMax * messagesShareMin) / 2,
      bytesMax: () => this.#messageBytesMax - Math.min(this.incoming.bytes, this.#messageBytesMax / 2),
      onClosed: () => this.#record("closed", () => (counters.totals.memoryCloses += 1)),
    });
  }

  get status(): MemoryStatus {
    const { receiptBytes, streamBytes } = this;
    const { unfinishedBytes } = this.incoming;
    const [inboxBytes, outboxBytes] = [this.incoming.bytes - unfinishedBytes, this.outgoing.bytes];
    const historyBytes = this.#deps.historyBytes();
    const bytes = inboxBytes + unfinishedBytes + outboxBytes + receiptBytes + streamBytes + historyBytes;
    return { bytes, inboxBytes, unfinishedBytes, outboxBytes, receiptBytes, streamBytes, historyBytes };
  }

  /** Answered frames were forgotten for lack of space. */
  onForgotten(count: number): void {
    this.#record("forgotten", () => (this.#deps.counters.totals.receiptsForgotten += count));
  }

  /** The bytes that all waiting messages may take. History, receipts and streams keep to their own limits. */
  get #messageBytesMax(): number {
    const { bytesMax, historyBytes } = this.#deps;
    const otherBytes = historyBytes() + this.receiptBytes + this.streamBytes;
    return Math.max(bytesMax - otherBytes, bytesMax * messagesShareMin);
  }

  #record(kind: keyof typeof warnings, count: () => void): void {
    count();
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    this.#deps.warn(`enfilade: ${warnings[kind]}`);
  }
}
