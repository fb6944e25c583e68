import type { EventFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import { encodeJSON } from "../../wire/payload.js";
import { lostStream } from "../../wire/stream.js";
import type { ClientReceipts } from "../receipts/clientReceipts.js";
import type { ReceiptOwner } from "../receipts/frameReceipt.js";
import type { FrameRecord } from "../receipts/frameRecord.js";
import { replyText } from "../receipts/reply.js";
import type { StreamSink } from "./clientStream.js";

/** The connection of the frames. */
export interface FrameConnection {
  /** The id of the connection. */
  readonly id: string;
  readonly hasEnded: boolean;
  readonly isLagging: boolean;
  flushed(): Promise<void>;
  sendFrame(text: string): void;
  /** See {@link ReceiptOwner.onCurrent}. */
  onCurrent(record: FrameRecord | undefined): void;
}

/** The id of the record of a stream with a key: the key names the stream, not the id of a frame. */
const keyedRecordId = 0;

/** A frame that asks for a stream, on one connection. */
export class RequestFrame implements StreamSink, ReceiptOwner {
  readonly #frameId: FrameId;
  readonly #client: ClientReceipts;
  readonly #connection: FrameConnection;
  readonly #isKeyed: boolean;
  readonly #itemStart: string;
  /** The record of the frame, if its handler has not begun with it; set by {@link awaitAnswer}. */
  unbegun: FrameRecord | undefined;

  /** @param isKeyed Whether the stream has a key, so that the frame may have another id on the next connection. */
  constructor(frameId: FrameId, client: ClientReceipts, connection: FrameConnection, isKeyed: boolean) {
    this.#frameId = frameId;
    this.#client = client;
    this.#connection = connection;
    this.#isKeyed = isKeyed;
    this.#itemStart = `{"type":"item","id":${JSON.stringify(frameId)},"seq":`;
  }

  get id(): string {
    return this.#connection.id;
  }

  get hasEnded(): boolean {
    return this.#connection.hasEnded;
  }

  get isLagging(): boolean {
    return this.#connection.isLagging;
  }

  /** Identifies the frame among those of all clients. */
  get key(): string {
    return this.#client.keyOf(this.#recordId);
  }

  flushed(): Promise<void> {
    return this.#connection.flushed();
  }

  sendItem(seq: number, json: string): void {
    this.#connection.sendFrame(`${this.#itemStart}${seq},"data":${json}}`);
  }

  awaitAnswer(): void {
    this.unbegun = this.#client.receive(this.#recordId, this);
  }

  renewAnswer(): FrameRecord | undefined {
    const record = this.unbegun;
    record?.begin();
    this.unbegun = undefined;
    return record;
  }

  /** Answers with an error, and forgets the frame. */
  refuse(failure: EventFailure): void {
    if (this.unbegun !== undefined) this.#client.refuse(this.unbegun, failure);
    this.unbegun = undefined;
  }

  onReplaced(): void {
    // Without a key, the client has sent the same frame on another connection.
    if (this.#isKeyed) this.#connection.sendFrame(replyText(this.#frameId, { error: lostStream }));
  }

  /** Sends the reply, with the id that the frame has on this connection. */
  sendFrame(reply: string): void {
    const text = this.#isKeyed ? encodeJSON({ ...JSON.parse(reply), id: this.#frameId }) : reply;
    this.#connection.sendFrame(text);
  }

  onCurrent(record: FrameRecord | undefined): void {
    this.#connection.onCurrent(record);
  }

  get #recordId(): FrameId {
    return this.#isKeyed ? keyedRecordId : this.#frameId;
  }
}
