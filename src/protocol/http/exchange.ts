import type { Delivery } from "../../backplane/delivery.js";
import { EnfiladeError } from "../../errors.js";
import { CloseCode } from "../../wire/closeCodes.js";
import {
  type EventFailure,
  type EventProtocol,
  internalFailure,
  type OutgoingEvent,
} from "../../wire/events/protocol.js";
import { Message } from "../../wire/message.js";
import { encodeJSON, type Payload } from "../../wire/payload.js";
import type { StreamRequest, StreamSource } from "../../wire/stream.js";
import { base64 } from "../base64.js";
import type { Dialect, DialectSession, Member, Replies, SessionDialect } from "../dialect.js";
import { hashOf } from "../receipts/clientReceipts.js";
import type { Receipts } from "../receipts/receipts.js";
import { type FrameReceiver, ReceivedFrames } from "../receipts/receivedFrames.js";
import type { Outcome } from "../receipts/reply.js";
import { DirectStream } from "../streams/directStream.js";
import { itemBlock } from "./eventStreamFraming.js";

/** A message that the handler sent to its client. */
export type SentMessage = { readonly data: unknown } | { readonly text: string } | { readonly base64: string };

/** Why there is no answer: the handler failed or refused the event, or the connection was closed with a code. */
export interface ExchangeFailure extends EventFailure {
  /** With the code `closed`. */
  readonly closeCode?: number;
}

/** The answer to one message: the reply to an event or an error, else the messages to the client. */
export type ExchangeAnswer =
  | { readonly reply: unknown }
  | { readonly error: ExchangeFailure }
  | { readonly messages: readonly SentMessage[] };

/** The answer to a request whose message was answered with a stream before. */
const streamedBefore: EventFailure = {
  code: "duplicate",
  message: "this was answered with a stream, which is not kept",
};
/** The id of the only frame of an exchange. */
const frameId = 0;
const noBytes = new Uint8Array(0);

/**
 * The dialect of a client that sends one message and gets one answer (PROTOCOL.md). The answer has all that the handler
 * sends to this client; nothing else reaches the client, since it is in no room.
 */
export class ExchangeDialect implements Dialect, SessionDialect, Replies, FrameReceiver, StreamRequest {
  readonly clientName = undefined;
  readonly joining = undefined;
  readonly requests = undefined;
  readonly reportsLosses = false;
  /** Each request gets its own response. */
  readonly waitsOn = true;
  readonly #eventProtocol: EventProtocol;
  readonly #frames: ReceivedFrames;
  /** Identifies the message if it is sent again; chosen by the client, not to be guessed by others. */
  readonly #key: string | undefined;
  readonly #messages: SentMessage[] = [];
  #sentLength = 0;
  /** The reply to an event, or the answer that is known already. */
  #outcome: Outcome | undefined;
  #session: DialectSession | undefined;
  #isHandled = false;
  /** Begins the response with a stream; `undefined` if the client does not accept one. */
  onStream: (() => void) | undefined;
  #isStreaming = false;

  constructor(eventProtocol: EventProtocol, receipts: Receipts, key: string | undefined) {
    this.#eventProtocol = eventProtocol;
    this.#frames = new ReceivedFrames(receipts, this);
    this.#key = key;
  }

  get id(): string {
    return this.#member?.id ?? "";
  }

  get session(): SessionDialect {
    return this;
  }

  get replies(): Replies {
    return this;
  }

  get isAwaited(): boolean {
    return this.#frames.current !== undefined;
  }

  /** Whether the answer is a stream: the items were sent before it concludes. */
  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  get signal(): AbortSignal {
    return this.#member?.signal ?? AbortSignal.abort();
  }

  answerWith(source: StreamSource): void {
    const member = this.#member;
    if (member === undefined) return;
    this.#isStreaming = true;
    this.onStream?.();
    // The items cannot be sent again.
    this.#frames.current?.answer({ error: streamedBefore });
    new DirectStream(source, member, {
      onItem: (seq, value) => member.push(Buffer.from(itemBlock(seq, encodeJSON(value ?? null))), undefined),
      onReply: (value) => {
        this.#outcome = { data: { reply: JSON.parse(encodeJSON(value ?? null)) } };
      },
      onError: (error) => {
        this.#outcome = { error };
      },
      onOver: () => member.requestClose(CloseCode.normal, ""),
    });
  }

  /** Called when the connection closes. Returns the answer, and stores it for a message that is sent again. */
  conclude(code: number, reason: string): ExchangeAnswer {
    const closed = { error: { code: "closed", message: reason, closeCode: code } };
    // A stream that was closed before its end has no reply.
    const withoutReply = this.#isStreaming ? closed : this.#messagesSent;
    const outcome = code === CloseCode.normal ? (this.#outcome ?? withoutReply) : closed;
    this.#outcome = outcome;
    this.#frames.current?.answer(outcome);
    if ("error" in outcome) return outcome;
    // The data was made here, or on the node that ran the message first.
    return (outcome.data as ExchangeAnswer | null) ?? { messages: [] };
  }

  start(session: DialectSession): void {
    const { member, userId } = session;
    this.#session = session;
    const identity = this.#key && hashOf(JSON.stringify([member.home, userId ?? null, this.#key]));
    this.#frames.start(identity, userId);
  }

  end(): void {
    // The client has gone, but may ask again for the answer.
    if (this.#isHandled) this.conclude(CloseCode.normal, "");
    this.#frames.end();
  }

  receive({ bytes, isText }: Message): Message | undefined {
    const receipt = this.#frames.receive(frameId);
    if (receipt === undefined) return undefined;
    // It is settled by `conclude`: only then the answer is complete.
    const { key } = receipt;
    return new Message(bytes, isText, {
      receipt: { key, begin: () => receipt.begin(), settle: (hasFailed) => this.#finish(hasFailed) },
      stream: this.onStream && this,
    });
  }

  reply(outgoing: OutgoingEvent): boolean {
    if (outgoing.kind === "event" || outgoing.kind === "item") return false;
    if (outgoing.kind === "error") this.#outcome = { error: outgoing.error };
    // A copy, so that a value that JSON cannot encode fails here.
    else if (outgoing.data !== undefined) this.#outcome = { data: { reply: JSON.parse(encodeJSON(outgoing.data)) } };
    return true;
  }

  /** The reply is known: no more messages follow. */
  sendFrame(text: string): void {
    if (this.#isStreaming) return;
    // Written by `replyText`.
    this.#outcome ??= JSON.parse(text) as Outcome;
    this.#finish();
  }

  encode(_delivery: Delivery, _member: Member): undefined {
    return undefined;
  }

  /** Keeps the message for the answer, so there are no bytes to send now. */
  encodePayload(payload: Payload): Uint8Array {
    // A handler may send on after its end. A reply comes without other messages.
    if (this.#member?.isOpen !== true || this.#isStreaming) return noBytes;
    const { kind, data } = payload.in(this.#eventProtocol);
    this.#sentLength += data.length;
    if (typeof data !== "string") this.#messages.push({ base64: base64(data) });
    else this.#messages.push(kind === "text" ? { text: data } : { data: JSON.parse(data) });
    if (this.#sentLength > this.#member.limits.outboxBytesMax) this.#failOverflow();
    return noBytes;
  }

  encodeGap(): undefined {
    return undefined;
  }

  encodeDrain(): undefined {
    return undefined;
  }

  onSent(): void {
    // The client is not notified of losses.
  }

  onDropped(): void {
    // The client is not notified of losses.
  }

  reportLosses(): Uint8Array[] {
    return [];
  }

  get #member(): Member | undefined {
    return this.#session?.member;
  }

  get #messagesSent(): Outcome {
    return { data: this.#messages.length === 0 ? null : { messages: this.#messages } };
  }

  /** The message is handled: when its handler has returned, the connection ends. */
  #finish(hasFailed = false): void {
    if (this.#isStreaming) return;
    if (hasFailed) this.#outcome = { error: internalFailure };
    this.#isHandled = true;
    this.#member?.requestClose(CloseCode.normal, "");
  }

  #failOverflow(): void {
    this.#messages.length = 0;
    const hint = "raise outboxBytesMax of the route, or send less to the client of a POST";
    this.#session?.onError(new EnfiladeError("ERR_VALUE", `an answer has more bytes than outboxBytesMax; ${hint}`));
  }
}
