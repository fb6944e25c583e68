import type { Clock, Timer } from "../../connection/clock.js";
import { type RateLimit, type RateOwner, rateLimitOf } from "../../connection/rate/rateLimit.js";
import type { Framing, Transport, TransportEvents } from "../../connection/transport.js";
import type { Watch, Watches, WatchOwner } from "../../connection/watch/watch.js";
import type { SocketRooms } from "../../protocol/dialect.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { Message } from "../../wire/message.js";
import { encodeJSON } from "../../wire/payload.js";
import type { Limits } from "../limits.js";
import { type OpenFrame, type RoomFrame, readRoomFrame } from "./roomFrames.js";
import { type RoomSocket, RoomTransport } from "./roomTransport.js";
import { SocketWriter } from "./socketWriter.js";

export interface SharedSocketDeps {
  readonly limits: Limits;
  /** The attentive clock of the app. */
  readonly clock: Clock;
  readonly watches: Watches;
  /** Connects a client to a room, or refuses it. */
  readonly connect: (transport: RoomTransport, frame: OpenFrame, socket: SharedSocket) => void;
  /** Whether sockets without rooms are closed at once, since no client is accepted any more. */
  readonly isEnding: () => boolean;
  readonly onEnd: (socket: SharedSocket) => void;
}

/** The reasons to pause the socket. */
const rate = Symbol("rate");

/** A WebSocket with many rooms. Each room is a connection of its own; heartbeat, rate and slowness are those of all. */
export class SharedSocket implements TransportEvents, WatchOwner, RateOwner, RoomSocket {
  /** The rooms of all its connections, those that they joined included. */
  readonly socketRooms: SocketRooms = { count: 0 };
  readonly #transport: Transport;
  readonly #deps: SharedSocketDeps;
  readonly #writer: SocketWriter;
  readonly #watch: Watch;
  readonly #rate: RateLimit | undefined;
  /** The rooms that are open or wait for `authorize`, by path. */
  readonly #rooms = new Map<string, RoomTransport>();
  /** Why the socket is paused. */
  readonly #holds = new Set<RoomTransport | typeof rate>();
  #state: "open" | "closing" | "closed" = "open";
  #timer: Timer | undefined;

  constructor(transport: Transport, deps: SharedSocketDeps) {
    this.#transport = transport;
    this.#deps = deps;
    this.#writer = new SocketWriter(transport, deps.limits.highWaterBytes);
    this.#rate = rateLimitOf(this, deps.clock, deps.limits, transport.framing.isDeflated === true);
    this.#watch = deps.watches.watch(this);
    this.#expectRoom();
    transport.listen(this);
    this.#sendText(encodeJSON({ type: "welcome", heartbeatMs: deps.limits.heartbeatMs || 0 }));
  }

  /** How many rooms its connections are in, or wait for. */
  get roomCount(): number {
    // Rooms that wait for `authorize` are not in `socketRooms` yet.
    return Math.max(this.#rooms.size, this.socketRooms.count);
  }

  get framing(): Framing {
    return this.#transport.framing;
  }

  get isOpen(): boolean {
    return this.#state === "open" && this.#transport.isOpen;
  }

  get bufferedBytes(): number {
    return this.#writer.bufferedBytes;
  }

  get receivedBytes(): number {
    return this.#transport.receivedBytes;
  }

  get unfinishedBytes(): number | undefined {
    return this.#transport.unfinishedBytes;
  }

  write(bytes: Uint8Array): void {
    this.#writer.write(bytes);
  }

  whenWritten(callback: () => void): void {
    this.#writer.whenWritten(callback);
  }

  send(type: string, room: string, fields: object = {}): void {
    this.#sendText(encodeJSON({ type, room, ...fields }));
  }

  hold(room: RoomTransport): void {
    this.#hold(room);
  }

  proceed(room: RoomTransport): void {
    if (this.#holds.delete(room)) this.#resumeIfFree();
  }

  forget(room: RoomTransport): void {
    if (this.#rooms.get(room.room) === room) this.#rooms.delete(room.room);
    this.proceed(room);
    if (this.#rooms.size === 0) this.#expectRoom();
  }

  /** Closes the socket if it has no room. */
  endIfEmpty(): void {
    if (this.#rooms.size === 0) this.#close(CloseCode.goingAway, "server shutting down");
  }

  onMessage(message: Message): void {
    this.#watch.onMessage();
    this.#rate?.count(message.bytes.length);
    if (this.#state !== "open") return;
    const frame = readRoomFrame(message);
    if (frame === undefined || !this.#take(frame)) this.#fail(CloseCode.badFrame, "bad frame");
  }

  onHeard(): void {
    this.#watch.onControlFrame();
    this.#rate?.count(0);
  }

  onPing(pong: Uint8Array): void {
    this.#watch.onControlFrame();
    this.#rate?.count(pong.length);
    this.#answerPing(pong);
  }

  onClosing(): void {
    this.#writer.flush();
  }

  onFailed(code: number, reason: string): void {
    this.#startClosing();
    this.#failRooms(code, reason);
  }

  onGone(code: number, reason: string): void {
    this.#state = "closed";
    this.#timer?.cancel();
    this.#rate?.stop();
    this.#deps.watches.unwatch(this.#watch);
    for (const room of [...this.#rooms.values()]) room.end(code, reason);
    this.#deps.onEnd(this);
  }

  onRateExceeded(): void {
    this.#hold(rate);
  }

  onRateKept(): void {
    if (this.#holds.delete(rate)) this.#resumeIfFree();
  }

  ping(): void {
    this.#transport.ping();
  }

  onLost(): void {
    this.#transport.destroy();
  }

  onMessageOverdue(): void {
    this.#fail(CloseCode.policyViolation, "message took too long");
  }

  /** Returns `false` for a frame that no client may send now. */
  #take(frame: RoomFrame): boolean {
    if (frame.type === "ping") this.#answerPing(this.framing.encode('{"type":"pong"}'));
    else if (frame.type === "open") return this.#open(frame);
    else if (frame.type === "close") this.#rooms.get(frame.room)?.end(frame.code, frame.reason);
    // The server may have closed the room when the client sent this.
    else return this.#rooms.get(frame.room)?.receive(frame.message) ?? true;
    return true;
  }

  #open(frame: OpenFrame): boolean {
    if (this.#rooms.has(frame.room)) return false;
    this.#timer?.cancel();
    const transport = new RoomTransport(this, frame.room);
    this.#rooms.set(frame.room, transport);
    this.#deps.connect(transport, frame, this);
    return true;
  }

  /** For a client that lags, a pong would only wait. */
  #answerPing(pong: Uint8Array): void {
    if (this.isOpen && this.bufferedBytes < this.#deps.limits.highWaterBytes) this.#writer.write(pong);
  }

  #sendText(text: string): void {
    if (!this.isOpen) return;
    this.#writer.write(this.framing.encode(text));
    if (this.bufferedBytes > this.#deps.limits.outboxBytesMax) this.#fail(CloseCode.slow, "slow");
  }

  #hold(reason: RoomTransport | typeof rate): void {
    this.#holds.add(reason);
    if (this.#holds.size > 1) return;
    this.#watch.setPaused(true);
    this.#transport.pause();
  }

  #resumeIfFree(): void {
    if (this.#holds.size > 0) return;
    this.#watch.setPaused(false);
    this.#transport.resume();
  }

  /** A socket without rooms is of no use, and no handler has accepted its client. */
  #expectRoom(): void {
    const { clock, limits, isEnding } = this.#deps;
    if (this.#state !== "open") return;
    this.#timer?.cancel();
    const ms = isEnding() ? 0 : limits.handshakeMs;
    this.#timer = clock.setTimeout(
      () => this.#close(isEnding() ? CloseCode.goingAway : CloseCode.normal, "no room"),
      ms,
    );
  }

  #fail(code: number, reason: string): void {
    this.#failRooms(code, reason);
    this.#close(code, reason);
  }

  #failRooms(code: number, reason: string): void {
    for (const room of [...this.#rooms.values()]) room.fail(code, reason);
  }

  #close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#writer.flush();
    this.#startClosing();
    this.#transport.close(code, reason);
  }

  #startClosing(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    const { clock, limits } = this.#deps;
    this.#timer?.cancel();
    this.#timer = clock.setTimeout(() => this.#transport.destroy(), limits.closeMs);
  }
}
