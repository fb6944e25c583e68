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
  /** The frame is answered for this node. `repliedTo` is the id of the connection that got the reply, if any. */
  onAnswered(record: FrameRecord, reply: string, repliedTo: string): void;
  /** The handler has answered the frame. */
  onResult(record: FrameRecord, reply: string): void;
}

const noHolders: readonly ReplyTarget[] = [];

/** The state of one frame with an id until it is answered, however often the client sends it. */
export class FrameRecord {
  readonly id: FrameId;
  /** The handler has got the message of the frame. */
  hasBegun = false;
  /** The connection that awaits the reply; `undefined` once it was sent, or if the connection has ended. */
  #target: ReplyTarget | undefined;
  /** The connections whose inbox may hold the message, until the handler gets it. */
  #holders = noHolders;
  #isConcluded = false;
  /** Its handler has no result yet, and is not awaited any more. */
  #isAbandoned = false;
  readonly #store: AnswerStore;

  constructor(id: FrameId, store: AnswerStore) {
    this.id = id;
    this.#store = store;
  }

  /** The frame was received on `connection`, which gets the reply, once. */
  receivedOn(connection: ReplyTarget): void {
    if (!this.hasBegun && !this.#holders.includes(connection)) this.#holders = [...this.#holders, connection];
    this.#target = connection;
  }

  /** The handler gets the message now. */
  begin(): void {
    this.hasBegun = true;
    this.#holders = noHolders;
  }

  /** Whether another connection awaits the reply. */
  isAwaitedElsewhere(connection: ReplyTarget): boolean {
    return this.#target !== undefined && this.#target !== connection;
  }

  /** The connection has ended. Returns `true` if the handler cannot get the message any more, and has not got it. */
  removeConnection(connection: ReplyTarget): boolean {
    if (this.#target === connection) this.#target = undefined;
    if (!this.#holders.includes(connection)) return false;
    this.#holders = this.#holders.filter((holder) => holder !== connection);
    return !this.hasBegun && this.#holders.length === 0;
  }

  /** Only the first answer counts. */
  answer(outcome: Outcome): void {
    if (this.#isConcluded && !this.#isAbandoned) return;
    const reply = replyText(this.id, outcome);
    if (!this.#isAbandoned) this.answerWith(reply);
    this.#isAbandoned = false;
    this.#store.onResult(this, reply);
  }

  /** Answers with a reply that is known already. */
  answerWith(reply: string): void {
    if (this.#isConcluded) return;
    const target = this.#takeTarget();
    this.#isConcluded = true;
    target?.sendFrame(reply);
    this.#store.onAnswered(this, reply, target?.id ?? "");
  }

  /** Answers with an error, since the handler is not awaited any more. Other nodes still get its result. */
  abandon(): void {
    if (this.#isConcluded) return;
    this.#isAbandoned = true;
    this.answerWith(replyText(this.id, { error: internalFailure }));
  }

  /** Sends an error that is no answer: if the client sends the frame again, it may be run. */
  refuse(failure: EventFailure): void {
    this.#takeTarget()?.sendFrame(replyText(this.id, { error: failure }));
  }

  #takeTarget(): ReplyTarget | undefined {
    const target = this.#target;
    this.#target = undefined;
    return target;
  }
}
