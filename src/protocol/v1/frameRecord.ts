import { type EventFailure, internalFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import { type Outcome, replyText } from "./frames.js";

/** The connection that a reply is sent to. */
export interface ReplyTarget {
  /** The id of the connection. */
  readonly id: string;
  sendFrame(text: string): void;
}

/** Stores the answers to frames. */
export interface AnswerStore {
  /** The frame is answered for this node. */
  onAnswered(record: FrameRecord): void;
  /** The handler has answered the frame. `reply` is `undefined` if it is too long to be kept. */
  onResult(record: FrameRecord, reply: string | undefined): void;
}

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
  /** Its handler has no result yet, and is not awaited any more. */
  #isAbandoned = false;
  readonly #replyBytesMax: number;
  readonly #store: AnswerStore;

  constructor(id: FrameId, replyBytesMax: number, store: AnswerStore) {
    this.id = id;
    this.#replyBytesMax = replyBytesMax;
    this.#store = store;
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
    if (this.#reply !== undefined && !this.#isAbandoned) return;
    const reply = replyText(this.id, outcome);
    if (!this.#isAbandoned) this.#conclude(reply);
    this.#isAbandoned = false;
    this.#store.onResult(this, this.#isKept(reply) ? reply : undefined);
  }

  /** Answers with the reply of another node; `undefined` if it was not kept. */
  answerWith(reply = replyText(this.id, { error: duplicate })): void {
    if (this.#reply === undefined) this.#conclude(reply);
  }

  /** Answers with an error, since the handler is not awaited any more. Other nodes still get its result. */
  abandon(): void {
    if (this.#reply !== undefined) return;
    this.#isAbandoned = true;
    this.#conclude(replyText(this.id, { error: internalFailure }));
  }

  /** Sends an error that is no answer: if the client sends the frame again, it may be run. */
  refuse(failure: EventFailure): void {
    const target = this.#target;
    this.#target = undefined;
    if (target !== undefined) this.#sendReply(target, replyText(this.id, { error: failure }));
  }

  #conclude(reply: string): void {
    const target = this.#target;
    this.#target = undefined;
    this.#reply = reply;
    if (target !== undefined) this.#sendReply(target, reply);
    if (!this.#isKept(reply)) this.forgetReply();
    this.#store.onAnswered(this);
  }

  #isKept(reply: string): boolean {
    return reply.length <= this.#replyBytesMax;
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
