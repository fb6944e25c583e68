import type {
  Framing,
  GoneListener,
  Refusal,
  Transport,
  TransportEvents,
  TransportOptions,
} from "../../connection/transport.js";
import { runSession, type Session } from "../../handler/session/session.js";
import { CloseCode, NO_CODE } from "../../wire/closeCodes.js";
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
  /** Counts bytes that a paused room has received: above a bound the socket is paused. Negative: it is resumed. */
  countPaused(bytes: number): void;
  /** A client has been accepted in the room. */
  onOpened(): void;
  /** The room has ended on this socket. */
  forget(room: RoomTransport, wasOpen: boolean): void;
}

/**
 * The transport of one room on a socket that it shares with others.
 *
 * A pause asks the client to send nothing more to this room. What is on its way still arrives; beyond a bound the whole
 * socket is paused, so a client that does not listen slows down only itself.
 *
 * Each room ends with exactly one frame, `refused` or `closed`, also if its client has closed it: a client that opens
 * the room again knows which frames are those of the last connection.
 */
export class RoomTransport implements Transport {
  readonly protocol = v1;
  readonly showsStatus = true;
  /** The socket has a heartbeat for all its rooms. */
  readonly isWatched = true;
  readonly #socket: RoomSocket;
  #events: TransportEvents | undefined;
  #goneListener: GoneListener | undefined;
  #state: "waiting" | "open" | "closed" = "waiting";
  #messageBytesMax = 0;
  #receivedBytes = 0;
  /** The bytes received since the pause; `undefined` while the room is not paused. */
  #bytesSincePause: number | undefined;
  #session: Session | undefined;

  constructor(
    socket: RoomSocket,
    readonly room: string,
  ) {
    this.#socket = socket;
  }

  /** The number of rooms that its connection is in. */
  get roomCount(): number {
    if (this.#session === undefined) return 0;
    const { config, member } = this.#session;
    return config.registry.memberships.roomsOf(member.id).length;
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

  /** Serves an accepted client. Calls `onEnded` when its connection has ended. */
  serve(session: Session, onEnded: () => void): void {
    this.#session = session;
    runSession(session, onEnded);
  }

  whenGone(listener: GoneListener): void {
    this.#goneListener = listener;
  }

  open({ messageBytesMax }: TransportOptions): boolean {
    if (this.#state !== "waiting") return false;
    this.#state = "open";
    this.#messageBytesMax = messageBytesMax;
    this.#socket.onOpened();
    return true;
  }

  refuse({ status, phrase, body, headers }: Refusal): void {
    if (this.#state !== "waiting") return;
    const seconds = Number(headers["retry-after"]);
    const retryAfterMs = seconds > 0 ? seconds * 1_000 : undefined;
    // As over HTTP, where the body has it.
    const reason = phrase ?? (typeof body === "string" ? body : undefined);
    this.#socket.send("refused", this.room, { status, reason, retryAfterMs });
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

  ping(): void {
    // The socket is pinged.
  }

  pause(): void {
    if (!this.isOpen) return;
    this.#bytesSincePause = 0;
    this.#socket.send("pause", this.room);
  }

  resume(): void {
    if (this.#bytesSincePause === undefined) return;
    this.#endPause();
    if (this.isOpen) this.#socket.send("resume", this.room);
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#events?.onClosing();
    this.#socket.send("closed", this.room, { code, reason });
    this.#end(code, reason);
  }

  destroy(): void {
    if (this.#state === "closed") return;
    this.#socket.send("closed", this.room, { code: CloseCode.tryAgainLater, reason: "" });
    this.#end(CloseCode.tryAgainLater, "");
  }

  /** A message for this room has arrived. Returns `false` if the client may not send to it yet. */
  receive(message: Message): boolean {
    if (this.#state !== "open") return false;
    const { size: length } = message;
    this.#receivedBytes += length;
    if (length > this.#messageBytesMax && length > this.#frameBytesMax(message)) {
      this.close(CloseCode.messageTooBig, "message too big");
      this.#events?.onFailed(CloseCode.messageTooBig, "message too big");
      return true;
    }
    if (this.#bytesSincePause !== undefined) {
      this.#bytesSincePause += length;
      this.#socket.countPaused(length);
    }
    this.#events?.onMessage(message);
    return true;
  }

  /** The client has closed the room, or the socket has ended. */
  end(code: number, reason: string): void {
    if (this.#state === "closed") return;
    this.#socket.send("closed", this.room, { code: code === NO_CODE ? CloseCode.normal : code, reason });
    this.#end(code, reason);
  }

  /** The client violated the protocol or a limit of the socket. */
  fail(code: number, reason: string): void {
    if (this.#state === "open") this.#events?.onFailed(code, reason);
    this.#end(code, reason);
  }

  /** The field of a text frame that has the room is not a part of the message. */
  #frameBytesMax({ isText }: Message): number {
    return this.#messageBytesMax + (isText ? Buffer.byteLength(`"room":${JSON.stringify(this.room)},`) : 0);
  }

  #endPause(): void {
    const bytes = this.#bytesSincePause ?? 0;
    this.#bytesSincePause = undefined;
    this.#socket.countPaused(-bytes);
  }

  /** Every room ends here. Its connection learns of it later, since it may be the one that ends it. */
  #end(code: number, reason: string): void {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#state = "closed";
    this.#endPause();
    this.#socket.forget(this, wasOpen);
    process.nextTick(() => {
      this.#events?.onGone(code, reason);
      this.#goneListener?.onGone();
    });
  }
}
