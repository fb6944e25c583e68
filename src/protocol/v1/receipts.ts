import { createHash } from "node:crypto";
import type { ClaimedFrame, ClaimResult, Claims, ClaimWindow } from "../../backplane/claims.js";
import type { Clock, Timer } from "../../connection/clock.js";
import { type EventFailure, internalFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import type { Receipt } from "../../wire/message.js";
import { type AnswerStore, FrameRecord, type ReplyTarget } from "./frameRecord.js";

/** The connection that a frame was received on. */
export interface ReceiptOwner extends ReplyTarget {
  /** The session has ended, so its handler gets no more messages. */
  readonly hasEnded: boolean;
  /** Called with `record` when the handler begins with the message; with `undefined` when it ends. */
  onCurrent(record: FrameRecord | undefined): void;
}

/** The limits for the ids and replies that the server stores, so that a frame that is sent again is not run again. */
export interface ReceiptLimits extends ClaimWindow {
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

const begun: EventFailure = { code: "duplicate", message: "this was begun already, and its reply is not known" };
const unavailable: EventFailure = { code: "unavailable", message: "this cannot be run now; try again later" };

/** The receipt of a frame that was received on one connection. */
export class FrameReceipt implements Receipt {
  readonly #record: FrameRecord;
  readonly #client: ClientReceipts;
  readonly #owner: ReceiptOwner;

  constructor(record: FrameRecord, client: ClientReceipts, owner: ReceiptOwner) {
    this.#record = record;
    this.#client = client;
    this.#owner = owner;
  }

  get key(): string {
    return this.#client.keyOf(this.#record.id);
  }

  begin(): boolean | Promise<boolean> {
    if (this.#record.hasBegun) return false;
    this.#record.hasBegun = true;
    const claiming = this.#client.claim(this.#record);
    if (claiming !== undefined) return this.#beginAfter(claiming);
    this.#owner.onCurrent(this.#record);
    return true;
  }

  async #beginAfter(claiming: Promise<ClaimResult>): Promise<boolean> {
    const result = await claiming;
    if (result.state === "run" && !this.#owner.hasEnded) {
      this.#owner.onCurrent(this.#record);
      return true;
    }
    if (result.state === "answered") this.#record.answerWith(result.reply);
    else if (result.state === "begun") this.#client.refuse(this.#record, begun);
    else {
      if (result.state === "run") this.#client.release(this.#record);
      this.#client.refuse(this.#record, unavailable);
    }
    return false;
  }

  settle(hasFailed = false): void {
    this.#record.answer(hasFailed ? { error: internalFailure } : { data: null });
    this.#owner.onCurrent(undefined);
  }
}

/** Characters of a hash: 132 bits. */
const hashLength = 22;
/** Characters of an id as JSON, in a key. A longer one has many escapes, and is hashed. */
const idLengthMax = 66;

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, hashLength);
}

/** The records of one client, over all its connections. */
export class ClientReceipts implements AnswerStore {
  readonly #records = new Map<FrameId, FrameRecord>();
  /** In the order of their replies, the oldest first. */
  readonly #answered: FrameRecord[] = [];
  #length = 0;
  readonly #limits: ReceiptLimits;
  readonly #name: string;
  readonly #claims: Claims | undefined;
  #hash: string | undefined;
  /** The number of open connections of the client. */
  connections = 0;
  /** Fires `receiptsMs` after the last connection. */
  timer: Timer | undefined;

  /**
   * @param name Identifies the client among all clients.
   * @param claims Those of the backplane; `undefined` if no other node can receive a frame of this client.
   */
  constructor(limits: ReceiptLimits, name: string, claims: Claims | undefined) {
    this.#limits = limits;
    this.#name = name;
    this.#claims = claims;
  }

  /** Identifies a frame among those of all clients. */
  keyOf(id: FrameId): string {
    // An integer or a string in quotes, so that `7` and `"7"` differ.
    const text = JSON.stringify(id);
    return `${this.#client}:${text.length > idLengthMax ? hashOf(text) : text}`;
  }

  /** Called when the handler is about to begin with a frame; `undefined` if it may begin at once. */
  claim(record: FrameRecord): Promise<ClaimResult> | undefined {
    return this.#claims?.claim(this.#frameOf(record));
  }

  /** A claimed frame is not run. */
  release(record: FrameRecord): void {
    this.#claims?.release(this.#frameOf(record));
  }

  /** Sends an error, and forgets the frame: if the client sends it again, it may be run. */
  refuse(record: FrameRecord, failure: EventFailure): void {
    if (this.#records.get(record.id) === record) this.#records.delete(record.id);
    record.refuse(failure);
  }

  /** Characters of the stored replies. */
  get length(): number {
    return this.#length;
  }

  /** Returns the record of a frame that was received on `connection`, a new one for a new id. */
  receive(id: FrameId, connection: ReplyTarget): FrameRecord {
    const record = this.#records.get(id) ?? new FrameRecord(id, this.#limits.replyBytesMax, this);
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

  /** A hash, since a program that knows the id of a client can read its replies. */
  get #client(): string {
    this.#hash ??= hashOf(this.#name);
    return this.#hash;
  }

  #frameOf({ id }: FrameRecord): ClaimedFrame {
    return { client: this.#client, id: JSON.stringify(id), window: this.#limits };
  }

  onResult(answered: FrameRecord, reply: string | undefined): void {
    this.#claims?.settle(this.#frameOf(answered), reply);
  }

  /** Applies the limits to answered frames. Frames without a reply are not limited: the client still awaits it. */
  onAnswered(answered: FrameRecord): void {
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

/** Identifies a client over its connections: its user, its home, and the id that it chose. */
export function receiptsNameOf(home: string, userId: string | undefined, clientName: string): string {
  return JSON.stringify([home, userId ?? null, clientName]);
}

function userOf(name: string): unknown {
  // The text is that of `receiptsNameOf`.
  return (JSON.parse(name) as readonly unknown[])[1];
}

/** The recent frames with an id of all clients, so that a frame that is sent again is not run again. */
export class Receipts {
  readonly #clock: Clock;
  readonly #limits: ReceiptLimits;
  readonly #claims: Claims | undefined;
  readonly #clients = new Map<string, ClientReceipts>();
  /** The clients without a connection, with the length of their replies; the longest absent first. */
  readonly #absent = new Map<string, number>();
  #absentLength = 0;

  constructor(clock: Clock, limits: ReceiptLimits, claims: Claims | undefined) {
    this.#clock = clock;
    this.#limits = limits;
    this.#claims = claims;
  }

  /**
   * Called when a connection opens. Returns the receipts of its client.
   *
   * @param name Identifies the client over its connections; without a name, receipts end with the connection.
   * @param connection The id of the connection.
   */
  enter(name: string | undefined, connection: string): ClientReceipts {
    const known = name === undefined ? undefined : this.#clients.get(name);
    const claims = name === undefined ? undefined : this.#claims;
    const receipts = known ?? new ClientReceipts(this.#limits, name ?? connection, claims);
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
    // They were forgotten while the connection was open.
    if (this.#clients.get(name) !== receipts) return;
    this.#absent.set(name, receipts.length);
    this.#absentLength += receipts.length;
    receipts.timer = this.#clock.setTimeout(() => this.#forget(name), this.#limits.receiptsMs);
    const { receiptClientsMax, receiptsBytesMax } = this.#limits;
    for (const oldest of this.#absent.keys()) {
      if (this.#absent.size <= receiptClientsMax && this.#absentLength <= receiptsBytesMax) return;
      this.#forget(oldest);
    }
  }

  /** Forgets all clients of a user, also those that are connected. */
  forgetUser(userId: string): void {
    for (const name of [...this.#clients.keys()]) if (userOf(name) === userId) this.#forget(name);
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
