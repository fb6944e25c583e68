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

/** What happens to a client that asked to connect. */
export interface LinkedClient {
  /** Called once if the client is accepted; what it returns takes what the server sends. */
  onOpen(socket: ClientSocket): ClientSocketEvents;
  /** Called once if it is not. */
  onRefused(refusal: Refusal): void;
}

/** The close of a client, behind what it has sent. */
interface ClientClose {
  readonly code: number;
  readonly reason: string;
}

const headerBytes = 5;
const textKind = 1;
const binaryKind = 2;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A message as its kind, its length and its bytes. */
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

/** Messages of what was framed, in their order. */
function messagesOf(framed: Uint8Array): (string | Uint8Array)[] {
  const bytes = Buffer.from(framed.buffer, framed.byteOffset, framed.byteLength);
  const messages: (string | Uint8Array)[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + headerBytes + bytes.readUInt32BE(at + 1);
    // Copied: what several members share must not be changed by one of them.
    const data = Uint8Array.prototype.slice.call(bytes, at + headerBytes, end);
    messages.push(bytes[at] === textKind ? decoder.decode(data) : data);
    at = end;
  }
  return messages;
}

/** A task of the link, and the bytes that are under way until it is done. */
interface Task {
  readonly bytes: number;
  readonly run: () => void;
}

/**
 * A client that is linked to the server in memory: the server's end is a transport like any other, the client's a
 * {@link ClientSocket}. What one end does reaches the other in a later turn of the loop, in order.
 */
export class LinkedTransport implements Transport {
  readonly framing = linkedFraming;
  readonly #client: LinkedClient;
  readonly #offered: readonly string[];
  #protocol = "";
  #state: "connecting" | "open" | "closing" | "closed" = "connecting";
  #messageBytesMax = Number.POSITIVE_INFINITY;
  #server: TransportEvents | undefined;
  #clientEvents: ClientSocketEvents | undefined;
  #gone: GoneListener | undefined;
  /** What is under way to the client, and to the server. */
  #tasks: Task[] = [];
  #bufferedBytes = 0;
  #incoming: (string | Uint8Array | ClientClose)[] = [];
  #receivedBytes = 0;
  #isPaused = false;
  #isScheduled = false;

  /** @param offered Subprotocols. */
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
    this.#gone = listener;
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
    this.#later(0, () => {
      this.#client.onRefused(refusal);
      this.#gone?.onGone();
    });
  }

  listen(events: TransportEvents): void {
    this.#server = events;
  }

  write(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#later(bytes.length, () => {
      for (const message of messagesOf(bytes)) this.#clientEvents?.onMessage(message);
    });
  }

  whenWritten(callback: () => void): void {
    this.#later(0, callback);
  }

  ping(): void {
    if (this.#state === "open") this.#later(0, () => this.#server?.onHeard());
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#later(0, () => this.#handOver());
  }

  /** Takes a message of the client. */
  receive(data: string | Uint8Array): void {
    if (this.#state !== "open") return;
    // Copied: the caller may go on using the buffer.
    this.#incoming.push(typeof data === "string" ? data : Uint8Array.from(data));
    this.#later(0, () => this.#handOver());
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#later(0, () => this.#end(code, reason));
  }

  /** The client closes, behind what it has sent. */
  closeByClient(code: number, reason: string): void {
    this.#incoming.push({ code, reason });
    this.#later(0, () => this.#handOver());
  }

  /** Either end breaks the connection. */
  destroy(): void {
    if (this.#state === "closed") return;
    this.#state = "closing";
    this.#later(0, () => this.#end(ABNORMAL, ""));
  }

  #end(code: number, reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#clientEvents?.onClose(code, reason);
    this.#server?.onGone(code, reason);
    this.#gone?.onGone();
  }

  #handOver(): void {
    while (!this.#isPaused && this.#state === "open") {
      const data = this.#incoming.shift();
      if (data === undefined) return;
      if (typeof data === "object" && "code" in data) {
        this.#server?.onClosing();
        this.close(data.code, data.reason);
        return;
      }
      const bytes = typeof data === "string" ? encoder.encode(data) : data;
      this.#receivedBytes += bytes.length;
      if (bytes.length > this.#messageBytesMax) {
        this.#server?.onFailed(CloseCode.messageTooBig, "message too big");
        this.close(CloseCode.messageTooBig, "");
      } else {
        this.#server?.onMessage(new Message(bytes, typeof data === "string"));
      }
    }
  }

  #later(bytes: number, run: () => void): void {
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

/** The client's end. */
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
