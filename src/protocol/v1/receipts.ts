import type { Clock, Timer } from "../../connection/clock.js";
import { type EventFailure, internalFault } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import type { Receipt } from "../../wire/message.js";
import { type Outcome, replyText } from "./frames.js";

/** To whom a reply goes: a client on one connection. */
export interface Answered {
  /** Of the connection. */
  readonly id: string;
  sendFrame(text: string): void;
}

/** Bounds of what is remembered of the frames that clients sent. */
export interface ReceiptLimits {
  /** Answered ids of one client. Past it the oldest is forgotten. Default: 128. */
  readonly receiptsMax: number;
  /** Milliseconds that they are remembered after the last connection of a client. Default: 300,000. */
  readonly receiptsMs: number;
  /** Clients without a connection that are remembered. Default: 10,000. */
  readonly receiptClientsMax: number;
  /** Characters of one kept reply. A longer one is answered with `duplicate` the second time. Default: 8 KiB. */
  readonly replyBytesMax: number;
  /** Characters of the replies that are kept of one client. Default: 16 KiB. */
  readonly clientReceiptsBytesMax: number;
  /** Characters of the replies that are kept of all clients without a connection. Default: 32 MiB. */
  readonly receiptsBytesMax: number;
}

export const defaultReceiptLimits: ReceiptLimits = {
  receiptsMax: 128,
  receiptsMs: 5 * 60_000,
  receiptClientsMax: 10_000,
  replyBytesMax: 8 * 1024,
  clientReceiptsBytesMax: 16 * 1024,
  receiptsBytesMax: 32 * 1024 * 1024,
};

const lost: EventFailure = { code: "duplicate", message: "this was run already, and its reply is not kept" };

/** What became of one frame with an id, however often it was sent. */
export class FrameRecord {
  readonly id: FrameId;
  begun = false;
  /** Gets the answer; `undefined` once it is answered, or when the client has gone. */
  #to: Answered | undefined;
  /** Connections whose inbox may hold it, until it is begun. */
  readonly #holders = new Set<Answered>();
  /** The connection that had the answer last. */
  #told = "";
  #reply: string | undefined;
  readonly #replyBytesMax: number;
  readonly #onAnswered: (record: FrameRecord) => void;

  constructor(id: FrameId, replyBytesMax: number, onAnswered: (record: FrameRecord) => void) {
    this.id = id;
    this.#replyBytesMax = replyBytesMax;
    this.#onAnswered = onAnswered;
  }

  /** Characters of the reply that is kept. */
  get length(): number {
    return this.#reply?.length ?? 0;
  }

  /** It came over this connection: that is where the reply goes; once, however often it comes there. */
  cameOver(to: Answered): void {
    if (!this.begun) this.#holders.add(to);
    if (this.#reply === undefined) this.#to = to;
    else if (this.#told !== to.id) this.#tell(to, this.#reply);
  }

  /** Whether somebody on another connection waits for the answer. */
  isAwaitedElsewhere(connection: Answered): boolean {
    return this.#to !== undefined && this.#to !== connection;
  }

  /** The connection has ended; returns whether it was the last that could begin it, and did not. */
  left(connection: Answered): boolean {
    const wasHolder = this.#holders.delete(connection);
    if (this.#to === connection) this.#to = undefined;
    return wasHolder && !this.begun && this.#holders.size === 0;
  }

  /** Only the first answer counts. */
  answer(outcome: Outcome): void {
    if (this.#reply !== undefined) return;
    const reply = replyText(this.id, outcome);
    const to = this.#to;
    this.#to = undefined;
    this.#reply = reply;
    if (to !== undefined) this.#tell(to, reply);
    if (reply.length > this.#replyBytesMax) this.forget();
    this.#onAnswered(this);
  }

  /** Keeps only that it was run. */
  forget(): void {
    this.#reply = replyText(this.id, { error: lost });
  }

  #tell(to: Answered, reply: string): void {
    this.#told = to.id;
    to.sendFrame(reply);
  }
}

/** One time that a frame came. */
export class FrameReceipt implements Receipt {
  readonly #record: FrameRecord;
  readonly #busyWith: (record: FrameRecord | undefined) => void;

  /** @param busyWith Is told what its connection's handler is busy with. */
  constructor(record: FrameRecord, busyWith: (record: FrameRecord | undefined) => void) {
    this.#record = record;
    this.#busyWith = busyWith;
  }

  begin(): boolean {
    if (this.#record.begun) return false;
    this.#record.begun = true;
    this.#busyWith(this.#record);
    return true;
  }

  settle(failed = false): void {
    this.#record.answer(failed ? { error: internalFault } : { data: null });
    this.#busyWith(undefined);
  }
}

/** The frames of one client, over however many connections. */
export class ClientReceipts {
  readonly #records = new Map<FrameId, FrameRecord>();
  /** The oldest first. */
  readonly #answered: FrameRecord[] = [];
  #length = 0;
  readonly #limits: ReceiptLimits;
  connections = 0;
  timer: Timer | undefined;

  constructor(limits: ReceiptLimits) {
    this.#limits = limits;
  }

  /** Characters of the replies that are kept. */
  get length(): number {
    return this.#length;
  }

  /** The record of an id that came over `connection`, if need be a new one. */
  came(id: FrameId, connection: Answered): FrameRecord {
    const record =
      this.#records.get(id) ?? new FrameRecord(id, this.#limits.replyBytesMax, (answered) => this.#keep(answered));
    this.#records.set(id, record);
    record.cameOver(connection);
    return record;
  }

  left(connection: Answered): void {
    // What was never begun may come again, and is run then.
    for (const record of this.#records.values()) if (record.left(connection)) this.#records.delete(record.id);
  }

  /** What is not answered is kept, past any bound: its sender still waits. */
  #keep(answered: FrameRecord): void {
    this.#answered.push(answered);
    this.#length += answered.length;
    if (this.#answered.length > this.#limits.receiptsMax) this.#forgetOldest();
    for (const record of this.#answered) {
      if (this.#length <= this.#limits.clientReceiptsBytesMax) return;
      this.#length -= record.length;
      record.forget();
      this.#length += record.length;
    }
  }

  #forgetOldest(): void {
    const oldest = this.#answered.shift();
    if (oldest === undefined) return;
    this.#records.delete(oldest.id);
    this.#length -= oldest.length;
  }
}

/** What every client sent lately that bore an id, so that nothing is run twice that is sent twice. */
export class Receipts {
  readonly #clock: Clock;
  readonly #limits: ReceiptLimits;
  readonly #clients = new Map<string, ClientReceipts>();
  /** Those without a connection, and what is kept of them; the longest absent first. */
  readonly #absent = new Map<string, number>();
  #absentLength = 0;

  constructor(clock: Clock, limits: ReceiptLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** @param name Whoever it is; without it, nothing is known of it beyond its connection. */
  enter(name: string | undefined): ClientReceipts {
    const known = name === undefined ? undefined : this.#clients.get(name);
    const receipts = known ?? new ClientReceipts(this.#limits);
    receipts.connections += 1;
    receipts.timer?.cancel();
    receipts.timer = undefined;
    if (name === undefined) return receipts;
    this.#clients.set(name, receipts);
    this.#notAbsent(name);
    return receipts;
  }

  leave(name: string | undefined, receipts: ClientReceipts): void {
    receipts.connections -= 1;
    if (name === undefined || receipts.connections > 0) return;
    this.#absent.set(name, receipts.length);
    this.#absentLength += receipts.length;
    receipts.timer = this.#clock.setTimeout(() => this.#forget(name), this.#limits.receiptsMs);
    const { receiptClientsMax, receiptsBytesMax } = this.#limits;
    for (const oldest of this.#absent.keys()) {
      if (this.#absent.size <= receiptClientsMax && this.#absentLength <= receiptsBytesMax) return;
      this.#forget(oldest);
    }
  }

  #forget(name: string): void {
    this.#clients.get(name)?.timer?.cancel();
    this.#clients.delete(name);
    this.#notAbsent(name);
  }

  #notAbsent(name: string): void {
    this.#absentLength -= this.#absent.get(name) ?? 0;
    this.#absent.delete(name);
  }
}
