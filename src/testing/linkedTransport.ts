import type {
  Framing,
  GoneListener,
  Refusal,
  Transport,
  TransportEvents,
  TransportOptions,
} from "../connection/transport.js";
import { ABNORMAL, CloseCode, NO_CODE } from "../wire/closeCodes.js";
import { Message } from "../wire/message.js";
import { type ClientSocket, type ClientSocketEvents, checkClientCode } from "./socket.js";

/** Notified if the app accepts or refuses a client. */
export interface LinkedClient {
  /** Called once if the client is accepted. The result receives the messages of the server. */
  onOpen(socket: ClientSocket): ClientSocketEvents;
  /** Called once if the client is refused. */
  onRefused(refusal: Refusal): void;
}

/** A close by the client, queued after its messages. */
interface ClientClose {
  readonly code: number;
  readonly reason: string;
}

const headerBytes = 5;
const textKind = 1;
const binaryKind = 2;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Encodes a message as its kind, its length and its bytes. */
const linkedFraming: Framing = {
  encode(data) {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const framed = Buffer.allocUnsafe(headerBytes + bytes.length);
    framed.writeUInt8(typeof data === "string" ? textKind : binaryKind, 0);
    framed.writeUInt32BE(bytes.length, 1);
    framed.set(bytes, headerBytes);
    return framed;
  },
};

/** Decodes the messages in `framed`, in order. */
function decodeMessages(framed: Uint8Array): (string | Uint8Array)[] {
  const bytes = Buffer.from(framed.buffer, framed.byteOffset, framed.byteLength);
  const messages: (string | Uint8Array)[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + headerBytes + bytes.readUInt32BE(at + 1);
    // Copied, since several clients share these bytes, and one of them may change its copy.
    const data = Uint8Array.prototype.slice.call(bytes, at + headerBytes, end);
    messages.push(bytes[at] === textKind ? decoder.decode(data) : data);
    at = end;
  }
  return messages;
}

/** A delivery to one end, and the number of bytes that are buffered until it has run. */
interface Task {
  readonly bytes: number;
  readonly run: () => void;
}

/**
 * A connection in memory. The server's end is this transport, the client's end a {@link ClientSocket}. Each end
 * receives the messages and the close of the other in a later turn of the event loop, in order.
 */
export class LinkedTransport implements Transport {
  readonly framing = linkedFraming;
  readonly #client: LinkedClient;
  readonly #offered: readonly string[];
  #protocol = "";
  #state: "connecting" | "open" | "closing" | "closed" = "connecting";
  #messageBytesMax = Number.POSITIVE_INFINITY;
  #serverEvents: TransportEvents | undefined;
  #clientEvents: ClientSocketEvents | undefined;
  #goneListener: GoneListener | undefined;
  /** Deliveries in both directions. */
  #tasks: Task[] = [];
  #bufferedBytes = 0;
  #incoming: (string | Uint8Array | ClientClose)[] = [];
  #receivedBytes = 0;
  #isPaused = false;
  #isScheduled = false;

  /** @param offered The subprotocols that the client offers. */
  constructor(client: LinkedClient, offered: readonly string[]) {
    this.#client = client;
    this.#offered = offered;
  }

  get protocol(): string {
    return this.#protocol;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  whenGone(listener: GoneListener): void {
    this.#goneListener = listener;
  }

  open({ messageBytesMax, subprotocols }: TransportOptions): boolean {
    if (this.#state !== "connecting") return false;
    this.#state = "open";
    this.#messageBytesMax = messageBytesMax;
    this.#protocol = subprotocols.find((name) => this.#offered.includes(name)) ?? "";
    this.#clientEvents = this.#client.onOpen(new LinkedSocket(this));
    return true;
  }

  refuse(refusal: Refusal): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#schedule(0, () => {
      this.#client.onRefused(refusal);
      this.#goneListener?.onGone();
    });
  }

  listen(events: TransportEvents): void {
    this.#serverEvents = events;
  }

  write(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#schedule(bytes.length, () => {
      for (const message of decodeMessages(bytes)) this.#clientEvents?.onMessage(message);
    });
  }

  whenWritten(callback: () => void): void {
    this.#schedule(0, callback);
  }

  ping(): void {
    if (this.#state === "open") this.#schedule(0, () => this.#serverEvents?.onHeard());
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#schedule(0, () => this.#deliverIncoming());
  }

  /** Called with each message of the client. */
  receive(data: string | Uint8Array): void {
    if (this.#state !== "open") return;
    // Copied, since the caller may reuse the buffer.
    this.#incoming.push(typeof data === "string" ? data : Uint8Array.from(data));
    this.#schedule(0, () => this.#deliverIncoming());
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#schedule(0, () => this.#end(code, reason));
  }

  /** Called when the client closes. The server receives the close after the client's messages. */
  closeByClient(code: number, reason: string): void {
    this.#incoming.push({ code, reason });
    this.#schedule(0, () => this.#deliverIncoming());
  }

  /** Breaks the connection; called by either end. */
  destroy(): void {
    if (this.#state === "closed") return;
    this.#state = "closing";
    this.#schedule(0, () => this.#end(ABNORMAL, ""));
  }

  #end(code: number, reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#clientEvents?.onClose(code, reason);
    this.#serverEvents?.onGone(code, reason);
    this.#goneListener?.onGone();
  }

  #deliverIncoming(): void {
    while (!this.#isPaused && this.#state === "open") {
      const data = this.#incoming.shift();
      if (data === undefined) return;
      if (typeof data === "object" && "code" in data) {
        this.#serverEvents?.onClosing();
        this.close(data.code, data.reason);
        return;
      }
      const bytes = typeof data === "string" ? encoder.encode(data) : data;
      this.#receivedBytes += bytes.length;
      if (bytes.length > this.#messageBytesMax) {
        this.#serverEvents?.onFailed(CloseCode.messageTooBig, "message too big");
        this.close(CloseCode.messageTooBig, "");
      } else {
        this.#serverEvents?.onMessage(new Message(bytes, typeof data === "string"));
      }
    }
  }

  #schedule(bytes: number, run: () => void): void {
    this.#tasks.push({ bytes, run });
    this.#bufferedBytes += bytes;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#runTasks());
  }

  #runTasks(): void {
    this.#isScheduled = false;
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const { bytes, run } of tasks) {
      this.#bufferedBytes -= bytes;
      run();
    }
  }
}

/** The client's end of a {@link LinkedTransport}. */
class LinkedSocket implements ClientSocket {
  readonly #transport: LinkedTransport;

  constructor(transport: LinkedTransport) {
    this.#transport = transport;
  }

  get protocol(): string {
    return this.#transport.protocol;
  }

  get isOpen(): boolean {
    return this.#transport.isOpen;
  }

  send(data: string | Uint8Array): void {
    this.#transport.receive(data);
  }

  close(code?: number, reason = ""): void {
    checkClientCode(code);
    this.#transport.closeByClient(code ?? NO_CODE, reason);
  }

  destroy(): void {
    this.#transport.destroy();
  }
}
