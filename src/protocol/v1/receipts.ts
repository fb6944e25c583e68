import type { Clock, Timer } from "../../connection/clock.js";
import { type EventFailure, internalFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import type { Receipt } from "../../wire/message.js";
import { type Outcome, replyText } from "./frames.js";

/** The connection that a reply is sent to. */
export interface ReplyTarget {
  /** The id of the connection. */
  readonly id: string;
  sendFrame(text: string): void;
}

/** The limits for the ids and replies that the server stores, so that a frame that is sent again is not run again. */
export interface ReceiptLimits {
  /** Answered ids of one `enfilade.v1` client. Above: the oldest is forgotten. Default: 128. */
  readonly receiptsMax: number;
  /** Milliseconds after the last connection of a client, until its ids are forgotten. Default: 300,000. */
  readonly receiptsMs: number;
  /** Clients without a connection whose ids are stored. Above: the one absent longest is forgotten. Default: 10,000. */
  readonly receiptClientsMax: number;
  /** Characters of one stored reply. A longer one is not stored; a repeated frame gets `duplicate`. Default: 8 KiB. */
  readonly replyBytesMax: number;
  /** Characters of the stored replies of one client. Above: the oldest replies are dropped. Default: 16 KiB. */
  readonly clientReceiptsBytesMax: number;
  /** Characters of the replies of all absent clients. Above: the one absent longest is forgotten. Default: 32 MiB. */
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

const duplicate: EventFailure = { code: "duplicate", message: "this was run already, and its reply is not kept" };

/** The state of one frame with an id, however often the client sent it. */
export class FrameRecord {
  readonly id: FrameId;
  /** The handler has got the message of the frame. */
  hasBegun = false;
  /** The connection that awaits the reply; `undefined` once it was sent, or if the connection has ended. */
  #target: ReplyTarget | undefined;
  /** The connections whose inbox may hold the message, until the handler gets it. */
  readonly #holders = new Set<ReplyTarget>();
  /** The id of the connection that the reply was last sent to. */
  #repliedTo = "";
  #reply: string | undefined;
  readonly #replyBytesMax: number;
  readonly #onAnswered: (record: FrameRecord) => void;

  constructor(id: FrameId, replyBytesMax: number, onAnswered: (record: FrameRecord) => void) {
    this.id = id;
    this.#replyBytesMax = replyBytesMax;
    this.#onAnswered = onAnswered;
  }

  /** Characters of the stored reply. */
  get length(): number {
    return this.#reply?.length ?? 0;
  }

  /** The frame was received on `connection`, which gets the reply, once. */
  receivedOn(connection: ReplyTarget): void {
    if (!this.hasBegun) this.#holders.add(connection);
    if (this.#reply === undefined) this.#target = connection;
    else if (this.#repliedTo !== connection.id) this.#sendReply(connection, this.#reply);
  }

  /** Whether another connection awaits the reply. */
  isAwaitedElsewhere(connection: ReplyTarget): boolean {
    return this.#target !== undefined && this.#target !== connection;
  }

  /** The connection has ended. Returns `true` if the handler cannot get the message any more, and has not got it. */
  removeConnection(connection: ReplyTarget): boolean {
    const wasHolder = this.#holders.delete(connection);
    if (this.#target === connection) this.#target = undefined;
    return wasHolder && !this.hasBegun && this.#holders.size === 0;
  }

  /** Only the first answer counts. */
  answer(outcome: Outcome): void {
    if (this.#reply !== undefined) return;
    const reply = replyText(this.id, outcome);
    const target = this.#target;
    this.#target = undefined;
    this.#reply = reply;
    if (target !== undefined) this.#sendReply(target, reply);
    if (reply.length > this.#replyBytesMax) this.forgetReply();
    this.#onAnswered(this);
  }

  /** From now on, a repeated frame is answered with `duplicate`. */
  forgetReply(): void {
    this.#reply = replyText(this.id, { error: duplicate });
  }

  #sendReply(target: ReplyTarget, reply: string): void {
    this.#repliedTo = target.id;
    target.sendFrame(reply);
  }
}

/** The receipt of a frame that was received on one connection. */
export class FrameReceipt implements Receipt {
  readonly #record: FrameRecord;
  readonly #onCurrent: (record: FrameRecord | undefined) => void;

  /** @param onCurrent Called with `record` when the handler begins with the message; with `undefined` when it ends. */
  constructor(record: FrameRecord, onCurrent: (record: FrameRecord | undefined) => void) {
    this.#record = record;
    this.#onCurrent = onCurrent;
  }

  begin(): boolean {
    if (this.#record.hasBegun) return false;
    this.#record.hasBegun = true;
    this.#onCurrent(this.#record);
    return true;
  }

  settle(hasFailed = false): void {
    this.#record.answer(hasFailed ? { error: internalFailure } : { data: null });
    this.#onCurrent(undefined);
  }
}

/** The records of one client, over all its connections. */
export class ClientReceipts {
  readonly #records = new Map<FrameId, FrameRecord>();
  /** In the order of their replies, the oldest first. */
  readonly #answered: FrameRecord[] = [];
  #length = 0;
  readonly #limits: ReceiptLimits;
  /** The number of open connections of the client. */
  connections = 0;
  /** Fires `receiptsMs` after the last connection. */
  timer: Timer | undefined;

  constructor(limits: ReceiptLimits) {
    this.#limits = limits;
  }

  /** Characters of the stored replies. */
  get length(): number {
    return this.#length;
  }

  /** Returns the record of a frame that was received on `connection`, a new one for a new id. */
  receive(id: FrameId, connection: ReplyTarget): FrameRecord {
    const record =
      this.#records.get(id) ?? new FrameRecord(id, this.#limits.replyBytesMax, (answered) => this.#store(answered));
    this.#records.set(id, record);
    record.receivedOn(connection);
    return record;
  }

  removeConnection(connection: ReplyTarget): void {
    for (const record of this.#records.values()) {
      // The client may send a frame again that the handler never got; it is run then.
      if (record.removeConnection(connection)) this.#records.delete(record.id);
    }
  }

  /** Applies the limits to answered frames. Frames without a reply are not limited: the client still awaits it. */
  #store(answered: FrameRecord): void {
    this.#answered.push(answered);
    this.#length += answered.length;
    if (this.#answered.length > this.#limits.receiptsMax) this.#forgetOldest();
    for (const record of this.#answered) {
      if (this.#length <= this.#limits.clientReceiptsBytesMax) return;
      this.#length -= record.length;
      record.forgetReply();
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

/** The recent frames with an id of all clients, so that a frame that is sent again is not run again. */
export class Receipts {
  readonly #clock: Clock;
  readonly #limits: ReceiptLimits;
  readonly #clients = new Map<string, ClientReceipts>();
  /** The clients without a connection, with the length of their replies; the longest absent first. */
  readonly #absent = new Map<string, number>();
  #absentLength = 0;

  constructor(clock: Clock, limits: ReceiptLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * Called when a connection opens. Returns the receipts of its client.
   *
   * @param name Identifies the client over its connections; without a name, receipts end with the connection.
   */
  enter(name: string | undefined): ClientReceipts {
    const known = name === undefined ? undefined : this.#clients.get(name);
    const receipts = known ?? new ClientReceipts(this.#limits);
    receipts.connections += 1;
    receipts.timer?.cancel();
    receipts.timer = undefined;
    if (name === undefined) return receipts;
    this.#clients.set(name, receipts);
    this.#removeAbsent(name);
    return receipts;
  }

  /** Called when a connection has ended. */
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
    this.#removeAbsent(name);
  }

  #removeAbsent(name: string): void {
    this.#absentLength -= this.#absent.get(name) ?? 0;
    this.#absent.delete(name);
  }
}
