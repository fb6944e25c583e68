import type { EventFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import { type Outcome, replyText } from "./frames.js";

/** The connection that a reply is sent to. */
export interface ReplyTarget {
  /** The id of the connection. */
  readonly id: string;
  sendFrame(text: string): void;
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
  readonly #replyBytesMax: number;
  readonly #onAnswered: (record: FrameRecord, reply: string | undefined) => void;

  /** @param onAnswered Called with the reply; with `undefined` if it is too long to be kept. */
  constructor(
    id: FrameId,
    replyBytesMax: number,
    onAnswered: (record: FrameRecord, reply: string | undefined) => void,
  ) {
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
    if (this.#reply === undefined) this.answerWith(replyText(this.id, outcome));
  }

  /** Answers with the reply that another node stored. */
  answerWith(reply: string | undefined): void {
    if (this.#reply !== undefined) return;
    if (reply === undefined) this.answer({ error: duplicate });
    else this.#conclude(reply);
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
    const isKept = reply.length <= this.#replyBytesMax;
    if (!isKept) this.forgetReply();
    this.#onAnswered(this, isKept ? reply : undefined);
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
