import { createHash } from "node:crypto";
import type { ClaimedFrame, ClaimResult, Claims, ClaimWindow } from "../../backplane/claims.js";
import type { Linked } from "../../backplane/memory/linkedList.js";
import type { EventFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import { Answer, bytesOf } from "./answer.js";
import { type AnswerStore, FrameRecord, type ReplyTarget } from "./frameRecord.js";

/** The limits for the receipts of one client. */
export interface ClientReceiptLimits extends ClaimWindow {
  /** Bytes of one stored reply. A longer one is not stored; a repeated frame gets `duplicate`. Default: 8 KiB. */
  readonly replyBytesMax: number;
}

/** Called when the receipts of a client have grown. */
export type OnGrown = (client: ClientReceipts) => void;

/** The memory of the receipts of a client without its frames: objects, and places in tables. */
const clientBytes = 600;
/** The memory of a frame that is not answered yet. */
const recordBytes = 300;

/** Characters of a hash: 132 bits. */
const hashLength = 22;
/** Characters of an id as JSON, in a key. A longer one has many escapes, and is hashed. */
const idLengthMax = 66;

/** A hash of `text` in base64url. */
export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, hashLength);
}

/** The recent frames of one client, over all its connections. */
export class ClientReceipts implements AnswerStore, Linked<ClientReceipts> {
  /** Identifies the client among all clients. */
  readonly name: string;
  readonly #limits: ClientReceiptLimits;
  readonly #claims: Claims | undefined;
  readonly #onGrown: OnGrown;
  /** The frames without an answer; made on first use. */
  #pending: Map<FrameId, FrameRecord> | undefined;
  /** In the order of the answers, the oldest first; made on first use. */
  #answers: Map<FrameId, Answer> | undefined;
  #bytes = 0;
  #replyBytes = 0;
  userId: string | undefined;
  /** The number of open connections of the client. */
  connections = 0;
  /** When the last connection ended; `undefined` while there is one, and for a client that cannot return. */
  absentSince: number | undefined;
  previous: ClientReceipts | undefined;
  next: ClientReceipts | undefined;
  /** It is not counted any more, and no connection gets it. */
  isForgotten = false;

  /**
   * @param name Identifies the client among all clients; not to be guessed.
   * @param claims Those of the backplane; `undefined` if no other node can receive a frame of this client.
   */
  constructor(name: string, limits: ClientReceiptLimits, claims: Claims | undefined, onGrown: OnGrown) {
    this.name = name;
    this.#limits = limits;
    this.#claims = claims;
    this.#onGrown = onGrown;
  }

  /** The bytes that the frames and their replies hold; 0 without frames. */
  get bytes(): number {
    return this.#bytes === 0 ? 0 : clientBytes + this.#bytes;
  }

  /** The number of stored answers. */
  get answers(): number {
    return this.#answers?.size ?? 0;
  }

  /** Identifies a frame among those of all clients. */
  keyOf(id: FrameId): string {
    // An integer or a string in quotes, so that `7` and `"7"` differ.
    const text = JSON.stringify(id);
    return `${this.name}:${text.length > idLengthMax ? hashOf(text) : text}`;
  }

  /** Returns the record of a frame that was received on `connection`; `undefined` if the handler has got it before. */
  receive(id: FrameId, connection: ReplyTarget): FrameRecord | undefined {
    const answer = this.#answers?.get(id);
    if (answer !== undefined) {
      answer.repeatTo(connection, id);
      return undefined;
    }
    const record = this.#pending?.get(id) ?? this.#add(id);
    record.receivedOn(connection);
    return record.hasBegun ? undefined : record;
  }

  removeConnection(connection: ReplyTarget): void {
    for (const record of this.#pending?.values() ?? []) {
      // The client may send a frame again that the handler never got; it is run then.
      if (record.removeConnection(connection)) this.#removePending(record);
    }
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
    this.#removePending(record);
    record.refuse(failure);
  }

  onResult(answered: FrameRecord, reply: string): void {
    this.#claims?.settle(this.#frameOf(answered), this.#kept(reply));
  }

  /** Applies the limits to answered frames. Frames without a reply are not limited: the client still awaits it. */
  onAnswered(record: FrameRecord, reply: string, repliedTo: string): void {
    this.#removePending(record);
    const answer = new Answer(this.#kept(reply), repliedTo);
    this.#answers ??= new Map();
    this.#answers.set(record.id, answer);
    this.#count(record.id, answer, 1);
    if (this.#answers.size > this.#limits.receiptsMax) this.forgetOldest();
    this.#forgetReplies();
    this.#onGrown(this);
  }

  /** Forgets the frame that was answered first. Returns `false` if there is none. */
  forgetOldest(): boolean {
    const [oldest] = this.#answers ?? [];
    if (oldest === undefined) return false;
    const [id, answer] = oldest;
    this.#answers?.delete(id);
    if (this.#answers?.size === 0) this.#answers = undefined;
    this.#count(id, answer, -1);
    return true;
  }

  #kept(reply: string): string | undefined {
    return bytesOf(reply) <= this.#limits.replyBytesMax ? reply : undefined;
  }

  #forgetReplies(): void {
    const { clientReceiptsBytesMax } = this.#limits;
    if (this.#replyBytes <= clientReceiptsBytesMax) return;
    for (const [id, answer] of this.#answers ?? []) {
      this.#count(id, answer, -1);
      answer.forgetReply();
      this.#count(id, answer, 1);
      if (this.#replyBytes <= clientReceiptsBytesMax) return;
    }
  }

  #add(id: FrameId): FrameRecord {
    const record = new FrameRecord(id, this);
    this.#pending ??= new Map();
    this.#pending.set(id, record);
    this.#bytes += bytesOfRecord(id);
    this.#onGrown(this);
    return record;
  }

  #removePending(record: FrameRecord): void {
    if (this.#pending?.get(record.id) !== record) return;
    this.#pending.delete(record.id);
    this.#bytes -= bytesOfRecord(record.id);
  }

  /** @param sign 1 to add the bytes of an answer, -1 to subtract them. */
  #count(id: FrameId, answer: Answer, sign: 1 | -1): void {
    this.#bytes += sign * answer.bytesWith(id);
    this.#replyBytes += sign * answer.replyBytes;
  }

  #frameOf({ id }: FrameRecord): ClaimedFrame {
    return { client: this.name, id: JSON.stringify(id), window: this.#limits };
  }
}

function bytesOfRecord(id: FrameId): number {
  return recordBytes + (typeof id === "string" ? bytesOf(id) : 0);
}
