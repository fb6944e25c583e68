import type { CloseInfo } from "../../errors.js";
import { CloseCode, isFinal } from "../../wire/closeCodes.js";
import type { FrameId } from "../../wire/frames.js";
import type { Receipt } from "../../wire/message.js";
import { lostStream, type StreamFields, type StreamRequest, tooManyStreams } from "../../wire/stream.js";
import type { DialectSession, Member } from "../dialect.js";
import { type ClientReceipts, hashOf } from "../receipts/clientReceipts.js";
import { FrameReceipt } from "../receipts/frameReceipt.js";
import type { FrameRecord } from "../receipts/frameRecord.js";
import type { Receipts } from "../receipts/receipts.js";
import type { ReceivedFrames } from "../receipts/receivedFrames.js";
import { replyText } from "../receipts/reply.js";
import { ClientStream } from "./clientStream.js";
import { type FrameConnection, RequestFrame } from "./requestFrame.js";
import { StreamReceipt } from "./streamReceipt.js";
import type { Streams } from "./streams.js";

export interface ConnectionStreamsDeps {
  readonly streams: Streams;
  readonly receipts: Receipts;
  /** All frames with an id of the connection. */
  readonly frames: ReceivedFrames;
  readonly session: DialectSession;
}

/** A stream that the client reads on this connection, with the frame that asked for it. */
interface Entry {
  readonly frame: RequestFrame;
  readonly client: ClientReceipts;
  /** The name of the client in the receipts, if the stream has its own. */
  readonly name: string | undefined;
  readonly stream: ClientStream | undefined;
}

/** What the handler gets with a frame that asks for a stream. */
export interface StreamOrigin {
  readonly receipt: Receipt;
  readonly stream: StreamRequest;
}

/** The streams that one client reads on one connection. */
export class ConnectionStreams implements FrameConnection {
  readonly #deps: ConnectionStreamsDeps;
  readonly #entries = new Map<FrameId, Entry>();
  #hasEnded = false;

  constructor(deps: ConnectionStreamsDeps) {
    this.#deps = deps;
    void this.#member.ended.then((info) => this.#detach(info));
  }

  get id(): string {
    return this.#member.id;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isLagging(): boolean {
    const { bufferedBytes, limits } = this.#member;
    return bufferedBytes >= limits.highWaterBytes;
  }

  flushed(): Promise<void> {
    return this.#member.flushed();
  }

  sendFrame(text: string): void {
    this.#deps.frames.sendFrame(text);
  }

  onCurrent(record: FrameRecord | undefined): void {
    this.#deps.frames.onCurrent(record);
  }

  /** Called for an event that asks for a stream; `undefined` if the handler need not get it. */
  request(id: FrameId, fields: StreamFields): StreamOrigin | undefined {
    this.#prune();
    // The client awaits the answer here already.
    if (this.#entries.has(id)) return undefined;
    if (this.#entries.size >= this.#member.limits.streamsMax) {
      this.sendFrame(replyText(id, { error: tooManyStreams }));
      return undefined;
    }
    const { name, client } = this.#clientOf(fields.key);
    const frame = new RequestFrame(id, client, this, name !== undefined);
    const stream = this.#streamOf(frame, fields);
    this.#entries.set(id, { frame, client, name, stream });
    const record = frame.unbegun;
    if (stream === undefined || record === undefined) return undefined;
    const receipt = new FrameReceipt(record, client, frame, lostStream);
    return { stream, receipt: new StreamReceipt(receipt, stream, frame) };
  }

  /** The client has read the items before `seq`. */
  acknowledge(id: FrameId, seq: number): void {
    const entry = this.#entries.get(id);
    entry?.stream?.acknowledge(entry.frame, seq);
  }

  /** The client does not want the stream any more. */
  cancel(id: FrameId): void {
    const entry = this.#entries.get(id);
    entry?.stream?.cancel(entry.frame);
  }

  /** The connection has ended, and its handler is not awaited any more. */
  end(): void {
    this.#hasEnded = true;
    this.#detach(this.#member.closeInfo);
    for (const { frame, stream } of this.#entries.values()) {
      // The handler will never get it. The client may send it again.
      if (frame.unbegun?.hasBegun === false && stream?.isAbsent === true) stream.drop();
    }
    for (const id of [...this.#entries.keys()]) this.#remove(id);
  }

  get #member(): Member {
    return this.#deps.session.member;
  }

  /** A stream with a key has receipts of its own, which each client of the user finds that knows the key. */
  #clientOf(key: string | undefined): { readonly name: string | undefined; readonly client: ClientReceipts } {
    const { receipts, frames, session } = this.#deps;
    if (key === undefined) return { name: undefined, client: frames.client };
    const { member, userId } = session;
    const name = hashOf(JSON.stringify([member.home, userId ?? null, "stream", key]));
    return { name, client: receipts.enter(name, member.id, userId) };
  }

  /** The stream that a frame continues or starts; `undefined` if it is answered otherwise. */
  #streamOf(frame: RequestFrame, fields: StreamFields): ClientStream | undefined {
    const { streams, session } = this.#deps;
    const known = streams.get(frame.key);
    if (known !== undefined) {
      known.attach(frame, fields);
      return known;
    }
    frame.awaitAnswer();
    const answer = frame.unbegun;
    if (answer === undefined) return undefined;
    if (fields.from > 0) {
      frame.refuse(lostStream);
      return undefined;
    }
    const { limits } = this.#member;
    const stream = new ClientStream(frame.key, session.userId, frame, { store: streams, limits, fields, answer });
    streams.add(stream);
    return stream;
  }

  #detach(info: CloseInfo | undefined): void {
    const isForGood = info !== undefined && isEndForGood(info);
    for (const { frame, stream } of this.#entries.values()) {
      if (isForGood) stream?.cancel(frame);
      else stream?.detach(frame);
    }
  }

  /** Forgets the streams that are over, or are read elsewhere. */
  #prune(): void {
    for (const [id, { frame, stream }] of this.#entries) {
      if (stream?.isReadBy(frame) !== true) this.#remove(id);
    }
  }

  #remove(id: FrameId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    entry.client.removeConnection(entry.frame);
    if (entry.name !== undefined) this.#deps.receipts.leave(entry.name, entry.client);
  }
}

/** Whether the client does not connect again. */
function isEndForGood({ code, by }: CloseInfo): boolean {
  // A page that is left closes with 1000, and may come back.
  return isFinal(code) && !(by === "client" && code === CloseCode.normal);
}
