import type { FrameId } from "../../wire/frames.js";
import type { Receipt } from "../../wire/message.js";
import type { ClientReceipts } from "./clientReceipts.js";
import { FrameReceipt, type ReceiptOwner } from "./frameReceipt.js";
import type { FrameRecord } from "./frameRecord.js";
import type { Receipts } from "./receipts.js";

/** The connection that frames are received on. */
export interface FrameReceiver {
  /** The id of the connection. */
  readonly id: string;
  /** Whether it needs the reply, even if the frame was received again elsewhere. Default: `false`. */
  readonly waitsOn?: boolean | undefined;
  sendFrame(text: string): void;
}

/** The frames with an id that one connection has received, and the one that its handler is handling. */
export class ReceivedFrames implements ReceiptOwner {
  readonly #receipts: Receipts;
  readonly #receiver: FrameReceiver;
  /** Identifies the client over its connections; `undefined` if its frames are forgotten with this connection. */
  #clientName: string | undefined;
  #client: ClientReceipts | undefined;
  #current: FrameRecord | undefined;
  #hasEnded = false;

  constructor(receipts: Receipts, receiver: FrameReceiver) {
    this.#receipts = receipts;
    this.#receiver = receiver;
  }

  get id(): string {
    return this.#receiver.id;
  }

  get waitsOn(): boolean {
    return this.#receiver.waitsOn === true;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The frame that the handler is handling; `undefined` if it has no id, or there is none. */
  get current(): FrameRecord | undefined {
    return this.#current;
  }

  start(clientName: string | undefined, userId: string | undefined): void {
    this.#clientName = clientName;
    this.#client = this.#receipts.enter(clientName, this.id, userId);
  }

  /** The frames of the client over all its connections. Call this after {@link start}. */
  get client(): ClientReceipts {
    if (this.#client === undefined) throw new Error("the session has not begun");
    return this.#client;
  }

  /** The receipt of a frame for the handler; `undefined` if the handler has got the frame before. */
  receive(id: FrameId): Receipt | undefined {
    const client = this.#client;
    const record = client?.receive(id, this);
    return client && record && new FrameReceipt(record, client, this);
  }

  /** The connection has ended, and its handler is not awaited any more. */
  end(): void {
    this.#hasEnded = true;
    // If the client awaits the reply on another connection, it still gets the result of the handler.
    if (this.#current?.isAwaitedElsewhere(this) === false) this.#current.abandon();
    if (this.#client === undefined) return;
    this.#client.removeConnection(this);
    this.#receipts.leave(this.#clientName, this.#client);
  }

  sendFrame(text: string): void {
    this.#receiver.sendFrame(text);
  }

  onCurrent(record: FrameRecord | undefined): void {
    this.#current = record;
  }
}
