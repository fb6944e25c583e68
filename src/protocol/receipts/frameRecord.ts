import { type EventFailure, internalFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import { type Outcome, replyText } from "./reply.js";

/** The connection that a reply is sent to. */
export interface ReplyTarget {
  /** The id of the connection. */
  readonly id: string;
  sendFrame(text: string): void;
  /** Whether it needs the reply, even if the frame was received again elsewhere. Default: only the newest one does. */
  readonly waitsOn?: boolean | undefined;
}

/** Stores the answers to frames. */
export interface AnswerStore {
  /** The frame is answered for this node. `repliedTo` is the id of the connection that got the reply, if any. */
  onAnswered(record: FrameRecord, reply: string, repliedTo: string): void;
  /** The handler has answered the frame. */
  onResult(record: FrameRecord, reply: string): void;
}

const noTargets: readonly ReplyTarget[] = [];

/** The state of one frame with an id until it is answered, however often the client sends it. */
export class FrameRecord {
  readonly id: FrameId;
  /** The handler has got the message of the frame. */
  hasBegun = false;
  /** The connections that await the reply; empty once it was sent, or if they have ended. Mostly one. */
  #targets = noTargets;
  /** The connections whose inbox may hold the message, until the handler gets it. */
  #holders = noTargets;
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
    this.#targets = [...this.#targets.filter((one) => one.waitsOn === true && one !== connection), connection];
  }

  /** The handler gets the message now. */
  begin(): void {
    this.hasBegun = true;
    this.#holders = noTargets;
  }

  /** Whether another connection awaits the reply. */
  isAwaitedElsewhere(connection: ReplyTarget): boolean {
    return this.#targets.some((one) => one !== connection);
  }

  /** The connection has ended. Returns `true` if the handler cannot get the message any more, and has not got it. */
  removeConnection(connection: ReplyTarget): boolean {
    this.#targets = this.#targets.filter((one) => one !== connection);
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
    const targets = this.#takeTargets();
    this.#isConcluded = true;
    for (const target of targets) target.sendFrame(reply);
    this.#store.onAnswered(this, reply, targets.at(-1)?.id ?? "");
  }

  /** Answers with an error, since the handler is not awaited any more. Other nodes still get its result. */
  abandon(): void {
    if (this.#isConcluded) return;
    this.#isAbandoned = true;
    this.answerWith(replyText(this.id, { error: internalFailure }));
  }

  /** Sends an error that is no answer: if the client sends the frame again, it may be run. */
  refuse(failure: EventFailure): void {
    for (const target of this.#takeTargets()) target.sendFrame(replyText(this.id, { error: failure }));
  }

  #takeTargets(): readonly ReplyTarget[] {
    const targets = this.#targets;
    this.#targets = noTargets;
    return targets;
  }
}
