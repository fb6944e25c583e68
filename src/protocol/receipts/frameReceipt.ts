import type { ClaimResult } from "../../backplane/claims.js";
import type { EventFailure } from "../../wire/events/protocol.js";
import { internalFailure } from "../../wire/events/protocol.js";
import type { Receipt } from "../../wire/message.js";
import { duplicateReply } from "./answer.js";
import type { ClientReceipts } from "./clientReceipts.js";
import type { FrameRecord, ReplyTarget } from "./frameRecord.js";

/** The connection that a frame was received on. */
export interface ReceiptOwner extends ReplyTarget {
  /** The session has ended, so its handler gets no more messages. */
  readonly hasEnded: boolean;
  /** Called with `record` when the handler begins with the message; with `undefined` when it ends. */
  onCurrent(record: FrameRecord | undefined): void;
}

const begun: EventFailure = { code: "duplicate", message: "this was begun already, and its reply is not known" };
const unavailable: EventFailure = { code: "unavailable", message: "this cannot be run now; try again later" };

/** The receipt of a frame that was received on one connection. */
export class FrameReceipt implements Receipt {
  readonly #record: FrameRecord;
  readonly #client: ClientReceipts;
  readonly #owner: ReceiptOwner;
  readonly #begunFailure: EventFailure;

  /** @param begunFailure The error for a frame that was begun on another node. */
  constructor(record: FrameRecord, client: ClientReceipts, owner: ReceiptOwner, begunFailure = begun) {
    this.#record = record;
    this.#begunFailure = begunFailure;
    this.#client = client;
    this.#owner = owner;
  }

  get key(): string {
    return this.#client.keyOf(this.#record.id);
  }

  get hasBegun(): boolean {
    return this.#record.hasBegun;
  }

  begin(): boolean | Promise<boolean> {
    if (this.#record.hasBegun) return false;
    this.#record.begin();
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
    if (result.state === "answered") this.#record.answerWith(result.reply ?? duplicateReply(this.#record.id));
    else if (result.state === "begun") this.#client.refuse(this.#record, this.#begunFailure);
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
