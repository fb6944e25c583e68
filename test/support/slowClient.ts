import type { App, GoneListener, Transport, TransportEvents } from "../../src/index.js";
import { Message } from "../../src/wire/message.js";
import { Mailbox } from "./app.js";

/** A frame of `enfilade.v1`. */
export interface Frame {
  readonly type: string;
  readonly room?: string;
  readonly offset?: number;
  readonly data?: unknown;
  readonly missed?: number;
  readonly reason?: string;
  readonly recovered?: boolean;
  readonly position?: { readonly epoch: string; readonly offset: number };
}

/** One for all clients, so that they share the bytes of a broadcast. */
const framing = { encode: (data: string | Uint8Array) => Buffer.from(`${data}\n`) };

/** A client, of `enfilade.v1` by default, whose network accepts bytes only when the test says so. */
export class SlowClient implements Transport {
  /** All frames that were written, whether the network has accepted them or not. */
  readonly frames = new Mailbox<Frame>();
  /** The codes of the closes that the server began. */
  readonly closes = new Mailbox<number>();
  readonly framing = framing;
  readonly receivedBytes = 0;
  isOpen = true;
  /** Whether the server reads nothing at the moment. */
  isPaused = false;
  bufferedBytes = 0;
  bufferedBytesMax = 0;
  #isReading = false;
  #callbacks: (() => void)[] = [];
  #listener: GoneListener | undefined;
  #events: TransportEvents | undefined;

  constructor(
    app: App,
    url: string,
    readonly protocol = "enfilade.v1",
  ) {
    app.accept(this, { url, headers: { "sec-websocket-protocol": protocol } });
  }

  /** From now on the network accepts everything at once. */
  readAll(): void {
    this.#isReading = true;
    this.read();
  }

  /** The network accepts what was written so far. */
  read(): void {
    this.bufferedBytes = 0;
    for (const callback of this.#callbacks.splice(0)) setImmediate(callback);
  }

  /** Sends a frame to the server, whether it reads or not. */
  send(frame: object): void {
    this.#events?.onMessage(new Message(Buffer.from(JSON.stringify(frame)), true));
  }

  write(bytes: Uint8Array): void {
    this.bufferedBytes += bytes.length;
    this.bufferedBytesMax = Math.max(this.bufferedBytesMax, this.bufferedBytes);
    const lines = Buffer.from(bytes).toString().split("\n");
    for (const line of lines) if (line !== "") this.frames.put(JSON.parse(line) as Frame);
    if (this.#isReading) this.read();
  }

  whenWritten(callback: () => void): void {
    if (this.bufferedBytes === 0 || !this.isOpen) setImmediate(callback);
    else this.#callbacks.push(callback);
  }

  open(): boolean {
    return true;
  }

  close(code: number): void {
    this.isOpen = false;
    this.closes.put(code);
    this.read();
    setImmediate(() => {
      this.#events?.onGone(code, "");
      this.#listener?.onGone();
    });
  }

  destroy(): void {
    this.close(1006);
  }

  refuse(): void {
    this.close(1006);
  }

  whenGone(listener: GoneListener): void {
    this.#listener = listener;
  }

  listen(events: TransportEvents): void {
    this.#events = events;
  }

  ping(): void {
    // It answers no ping.
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }
}
