import type {
  Framing,
  GoneListener,
  Refusal,
  Transport,
  TransportEvents,
  TransportOptions,
} from "../../connection/transport.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { v1 } from "../../wire/frames.js";
import type { Message } from "../../wire/message.js";

/** The part of a shared socket that its rooms use. */
export interface RoomSocket {
  readonly framing: Framing;
  readonly isOpen: boolean;
  readonly bufferedBytes: number;
  write(bytes: Uint8Array): void;
  whenWritten(callback: () => void): void;
  /** Sends a frame about a room. */
  send(type: string, room: string, fields?: object): void;
  /** Reads nothing more of any room until {@link proceed}, since one room has received too much while it is paused. */
  hold(room: RoomTransport): void;
  proceed(room: RoomTransport): void;
  /** The room has ended on this socket. */
  forget(room: RoomTransport): void;
}

/**
 * The transport of one room on a socket that it shares with others.
 *
 * A pause asks the client to send nothing more to this room. What is on its way still arrives; beyond a bound the whole
 * socket is paused, so a client that does not listen slows down only itself.
 */
export class RoomTransport implements Transport {
  readonly protocol = v1;
  readonly showsStatus = true;
  readonly #socket: RoomSocket;
  #events: TransportEvents | undefined;
  #goneListener: GoneListener | undefined;
  #state: "waiting" | "open" | "closed" = "waiting";
  #messageBytesMax = 0;
  #receivedBytes = 0;
  /** The bytes received since the pause; `undefined` while the room is not paused. */
  #bytesSincePause: number | undefined;

  constructor(
    socket: RoomSocket,
    readonly room: string,
  ) {
    this.#socket = socket;
  }

  get framing(): Framing {
    return this.#socket.framing;
  }

  get isOpen(): boolean {
    return this.#state === "open" && this.#socket.isOpen;
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  whenGone(listener: GoneListener): void {
    this.#goneListener = listener;
  }

  open({ messageBytesMax }: TransportOptions): boolean {
    if (this.#state !== "waiting") return false;
    this.#state = "open";
    this.#messageBytesMax = messageBytesMax;
    return true;
  }

  refuse({ status, phrase, headers }: Refusal): void {
    if (this.#state !== "waiting") return;
    const seconds = Number(headers["retry-after"]);
    const retryAfterMs = seconds > 0 ? seconds * 1_000 : undefined;
    this.#socket.send("refused", this.room, { status, reason: phrase, retryAfterMs });
    this.#end(CloseCode.normal, "");
  }

  listen(events: TransportEvents): void {
    this.#events = events;
  }

  write(bytes: Uint8Array): void {
    if (this.isOpen) this.#socket.write(bytes);
  }

  whenWritten(callback: () => void): void {
    this.#socket.whenWritten(callback);
  }

  /** The socket has a heartbeat for all its rooms. */
  ping(): void {
    this.#events?.onHeard();
  }

  pause(): void {
    if (!this.isOpen) return;
    this.#bytesSincePause = 0;
    this.#socket.send("pause", this.room);
  }

  resume(): void {
    if (this.#bytesSincePause === undefined) return;
    this.#bytesSincePause = undefined;
    this.#socket.proceed(this);
    if (this.isOpen) this.#socket.send("resume", this.room);
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#events?.onClosing();
    this.#socket.send("closed", this.room, { code, reason });
    this.#end(code, reason);
  }

  destroy(): void {
    if (this.isOpen) this.#socket.send("closed", this.room, { code: CloseCode.tryAgainLater, reason: "" });
    this.#end(CloseCode.tryAgainLater, "");
  }

  /** A message for this room has arrived. Returns `false` if the client may not send to it yet. */
  receive(message: Message): boolean {
    if (this.#state !== "open") return false;
    const { length } = message.bytes;
    this.#receivedBytes += length;
    if (length > this.#messageBytesMax) {
      this.close(CloseCode.messageTooBig, "message too big");
      this.#events?.onFailed(CloseCode.messageTooBig, "message too big");
      return true;
    }
    this.#countSincePause(length);
    this.#events?.onMessage(message);
    return true;
  }

  /** The client has closed the room, or the socket has ended. */
  end(code: number, reason: string): void {
    this.#end(code, reason);
  }

  /** The client violated the protocol or a limit of the socket. */
  fail(code: number, reason: string): void {
    if (this.#state === "open") this.#events?.onFailed(code, reason);
    this.#end(code, reason);
  }

  #countSincePause(bytes: number): void {
    if (this.#bytesSincePause === undefined) return;
    const before = this.#bytesSincePause;
    this.#bytesSincePause += bytes;
    if (before <= this.#messageBytesMax && this.#bytesSincePause > this.#messageBytesMax) this.#socket.hold(this);
  }

  /** Every room ends here. Its connection learns of it later, since it may be the one that ends it. */
  #end(code: number, reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#socket.forget(this);
    process.nextTick(() => {
      this.#events?.onGone(code, reason);
      this.#goneListener?.onGone();
    });
  }
}
