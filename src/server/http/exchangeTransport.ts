import { isUtf8 } from "node:buffer";
import type { TransportEvents, TransportOptions } from "../../connection/transport.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { Message } from "../../wire/message.js";
import { AnswerTransport } from "./answerTransport.js";
import { Body, type BodyListener } from "./body.js";
import type { PlainRequest, ResponseWriter } from "./messages.js";

/** A request whose body is one message. The response is the answer to it. */
export class ExchangeTransport extends AnswerTransport implements BodyListener {
  readonly #isText: boolean;
  #messageBytesMax = 0;
  #body: Body | undefined;

  /** @param isText Whether the body is a text message; else it is a binary one. */
  constructor(request: PlainRequest, response: ResponseWriter, isText: boolean) {
    super(request, response);
    this.#isText = isText;
  }

  override get receivedBytes(): number {
    return this.#body?.bytes ?? 0;
  }

  /** A body that has not begun is unfinished, too: it must not take longer than any other message. */
  get unfinishedBytes(): number | undefined {
    return this.#body?.unfinishedBytes;
  }

  override open(options: TransportOptions): boolean {
    this.#messageBytesMax = options.messageBytesMax;
    return super.open(options);
  }

  override listen(events: TransportEvents): void {
    super.listen(events);
    this.#body = new Body(this.request, this.#messageBytesMax, this);
  }

  override close(code: number, reason: string): void {
    this.#body?.stop();
    super.close(code, reason);
  }

  onBody(bytes: Buffer): void {
    if (this.#isText && !isUtf8(bytes)) this.#fail(CloseCode.invalidPayload, "text is not UTF-8");
    else this.events?.onMessage(new Message(bytes, this.#isText));
  }

  onTooLarge(): void {
    this.#fail(CloseCode.messageTooBig, "message too big");
  }

  #fail(code: number, reason: string): void {
    this.close(code, reason);
    this.events?.onFailed(code, reason);
  }
}
