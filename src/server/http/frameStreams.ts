import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { Refusal, TransportOptions } from "../../connection/transport.js";
import { eventBlock } from "../../protocol/http/eventStreamFraming.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { v1 } from "../../wire/frames.js";
import { Message } from "../../wire/message.js";
import type { RoomPath } from "../../wire/path.js";
import { refusal } from "../refusal.js";
import { Body } from "./body.js";
import { EventStreamTransport } from "./eventStreamTransport.js";
import { messageKindOf } from "./mediaTypes.js";
import { answerWithRefusal, hasEnded, headersOf, type PlainRequest, type ResponseWriter } from "./messages.js";

/** A client may send several frames in one request, of at least so many bytes. */
const batchBytesMin = 64 * 1024;
const lineFeed = 0x0a;

/**
 * A client that speaks `enfilade.v1` over HTTP: it gets frames as an event stream, and sends frames in requests.
 *
 * The first event has the key for these requests, 128 random bits.
 */
class FrameStreamTransport extends EventStreamTransport {
  override readonly protocol = v1;
  readonly key = randomBytes(16).toString("base64url");
  #options: Pick<TransportOptions, "messageBytesMax" | "turnMessagesMax"> = { messageBytesMax: 0, turnMessagesMax: 1 };
  #receivedBytes = 0;
  #incoming: FrameRequest | undefined;
  #isPaused = false;

  override get receivedBytes(): number {
    return this.#receivedBytes + (this.#incoming?.body.bytes ?? 0);
  }

  get unfinishedBytes(): number | undefined {
    return this.#incoming?.body.unfinishedBytes;
  }

  override open(options: TransportOptions): boolean {
    this.#options = options;
    if (!super.open(options)) return false;
    this.write(Buffer.from(eventBlock("stream", { key: this.key })));
    return true;
  }

  override pause(): void {
    this.#isPaused = true;
  }

  override resume(): void {
    this.#isPaused = false;
    if (this.#incoming?.messages !== undefined) this.#deliver(this.#incoming);
  }

  override close(code: number, reason: string): void {
    super.close(code, reason);
    this.onStreamEnd();
  }

  override destroy(): void {
    super.destroy();
    this.onStreamEnd();
  }

  /** The request that is on its way is answered: its frames have no connection any more. */
  onStreamEnd(): void {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    incoming?.body.stop();
    if (incoming !== undefined && !hasEnded(incoming.response)) {
      answerWithRefusal(incoming.request, incoming.response, streamEnded());
    }
  }

  /** Reads the frames of a request, one for each line; or one binary message. */
  receive(request: PlainRequest, response: ResponseWriter, isText: boolean): void {
    // The client waits for each answer, so that its frames have an order.
    if (this.#incoming !== undefined) {
      answerWithRefusal(request, response, refusal("request", 409, "The last request was not answered"));
      return;
    }
    const body = new Body(request, Math.max(batchBytesMin, 2 * this.#options.messageBytesMax), {
      onBody: (bytes) => this.#onBody(incoming, bytes, isText),
      onTooLarge: () => this.#fail(CloseCode.messageTooBig, "message too big"),
    });
    const incoming: FrameRequest = { request, response, body, messages: undefined, next: 0 };
    this.#incoming = incoming;
    response.on("close", () => {
      body.stop();
      if (this.#incoming === incoming) this.#incoming = undefined;
    });
  }

  #onBody(incoming: FrameRequest, bytes: Buffer, isText: boolean): void {
    this.#receivedBytes += bytes.length;
    if (isText && !isUtf8(bytes)) {
      this.#fail(CloseCode.invalidPayload, "text is not UTF-8");
      return;
    }
    incoming.messages = (isText ? linesOf(bytes) : [bytes]).map((message) => new Message(message, isText));
    this.#deliver(incoming);
  }

  /** Passes on the messages of a request, some in each turn of the event loop, and then answers it. */
  #deliver(incoming: FrameRequest): void {
    const { messages = [] } = incoming;
    for (let count = 0; count < this.#options.turnMessagesMax; count += 1) {
      if (this.#isPaused || this.#incoming !== incoming) return;
      const message = messages[incoming.next];
      incoming.next += 1;
      if (message === undefined) {
        this.#incoming = undefined;
        incoming.response.writeHead(204, { "cache-control": "no-store" });
        incoming.response.end();
        return;
      }
      if (message.size > this.#options.messageBytesMax) {
        this.#fail(CloseCode.messageTooBig, "message too big");
        return;
      }
      this.events?.onMessage(message);
    }
    setImmediate(() => this.#deliver(incoming));
  }

  #fail(code: number, reason: string): void {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    if (incoming !== undefined) {
      const status = code === CloseCode.messageTooBig ? 413 : 400;
      answerWithRefusal(incoming.request, incoming.response, refusal("request", status, reason));
    }
    this.close(code, reason);
    this.events?.onFailed(code, reason);
  }
}

/** A request with frames, until it is answered. */
interface FrameRequest {
  readonly request: PlainRequest;
  readonly response: ResponseWriter;
  readonly body: Body;
  /** `undefined` until the body is complete. */
  messages: readonly Message[] | undefined;
  /** The index of the message that is passed on next. */
  next: number;
}

interface FrameStream {
  readonly path: RoomPath;
  readonly transport: FrameStreamTransport;
}

/** The clients of an app that speak `enfilade.v1` over HTTP, by the keys for their requests. */
export class FrameStreams {
  readonly #byKey = new Map<string, FrameStream>();

  make(request: PlainRequest, response: ResponseWriter, path: RoomPath): EventStreamTransport {
    const transport = new FrameStreamTransport(request, response);
    const { key } = transport;
    this.#byKey.set(key, { path, transport });
    transport.whenEnded(() => {
      this.#byKey.delete(key);
      transport.onStreamEnd();
    });
    return transport;
  }

  /** Passes the frames of a request to its stream; 410 if the stream has ended, or is one of another room or node. */
  receive(key: string, path: RoomPath, request: PlainRequest, response: ResponseWriter): void {
    const stream = this.#byKey.get(key);
    const kind = messageKindOf(headersOf(request));
    if (stream?.path !== path || !stream.transport.isOpen) answerWithRefusal(request, response, streamEnded());
    else if (kind !== undefined) stream.transport.receive(request, response, kind === "text");
    else answerWithRefusal(request, response, refusal("request", 415, "Frames are text/plain, in UTF-8"));
  }
}

function streamEnded(): Refusal {
  return refusal("request", 410, "The stream has ended");
}

function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let begin = 0; begin < bytes.length; ) {
    const found = bytes.indexOf(lineFeed, begin);
    const end = found === -1 ? bytes.length : found;
    if (end > begin) lines.push(bytes.subarray(begin, end));
    begin = end + 1;
  }
  return lines;
}
