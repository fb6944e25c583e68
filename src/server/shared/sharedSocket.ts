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
  /** The bytes of a frame of the client; the transport fails above. */
  readonly frameBytesMax: number;
  /** The attentive clock of the app. */
  readonly clock: Clock;
  readonly watches: Watches;
  /** Connects a client to a room, or refuses it. */
  readonly connect: (transport: RoomTransport, frame: OpenFrame, socket: SharedSocket) => void;
  /** Whether sockets without rooms are closed at once, since no client is accepted any more. */
  readonly isEnding: () => boolean;
  readonly onEnd: (socket: SharedSocket) => void;
}

/** Why the socket is paused: for its rate, or since the client sends to rooms that are paused. */
type Hold = "rate" | "paused rooms";

/** A WebSocket with many rooms. Each room is a connection of its own; heartbeat, rate and slowness are those of all. */
export class SharedSocket implements TransportEvents, WatchOwner, RateOwner, RoomSocket {
  /** The rooms of all its connections, those that they joined and those that wait for `authorize` included. */
  readonly socketRooms: SocketRooms = { count: 0 };
  readonly #transport: Transport;
  readonly #deps: SharedSocketDeps;
  readonly #writer: SocketWriter;
  readonly #watch: Watch;
  readonly #rate: RateLimit | undefined;
  /** The rooms that are open or wait for `authorize`, by path. */
  readonly #rooms = new Map<string, RoomTransport>();
  /** The rooms that have ended. Until their handlers have finished, their connections are still in rooms. */
  readonly #leaving = new Set<RoomTransport>();
  readonly #holds = new Set<Hold>();
  /** The bytes that rooms have received while they are paused. */
  #pausedBytes = 0;
  /** The rooms that have accepted the client. */
  #openCount = 0;
  /** No room has accepted the client in time, and some have not decided yet. */
  #isOverdue = false;
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
    const { frameBytesMax, limits } = deps;
    this.#sendText(encodeJSON({ type: "welcome", heartbeatMs: limits.heartbeatMs || 0, frameBytesMax }));
  }

  /** Whether the client may open the room that it has asked for, which is counted already. */
  mayOpen(joinsMax: number): boolean {
    return this.socketRooms.count - this.#leavingCount() <= joinsMax && !this.#isOverdue;
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

  countPaused(bytes: number): void {
    this.#pausedBytes += bytes;
    if (this.#pausedBytes > this.#deps.limits.messageBytesMax) this.#hold("paused rooms");
    else this.#release("paused rooms");
  }

  onOpened(): void {
    // From here on, its connection counts its rooms itself.
    this.socketRooms.count -= 1;
    this.#openCount += 1;
    this.#isOverdue = false;
    this.#timer?.cancel();
  }

  forget(transport: RoomTransport, wasOpen: boolean): void {
    this.#rooms.delete(transport.room);
    if (wasOpen) this.#onClosed(transport);
    else this.socketRooms.count -= 1;
    // Later, since the socket may be closing with another code.
    if (this.#rooms.size === 0) process.nextTick(() => this.#onEmpty());
  }

  /** Closes the socket if it has no room. */
  endIfEmpty(reason = "server shutting down"): void {
    // Not 1000, which is final: the client may just be opening a room.
    if (this.#rooms.size === 0) this.#close(CloseCode.goingAway, reason);
  }

  onMessage(message: Message): void {
    this.#watch.onMessage();
    if (this.#state !== "open") return;
    this.#rate?.count(message.size);
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
    this.#hold("rate");
  }

  onRateKept(): void {
    this.#release("rate");
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
    this.socketRooms.count += 1;
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

  #hold(reason: Hold): void {
    if (this.#state !== "open" || this.#holds.has(reason)) return;
    this.#holds.add(reason);
    if (this.#holds.size > 1) return;
    this.#watch.setPaused(true);
    this.#transport.pause();
  }

  #release(reason: Hold): void {
    if (!this.#holds.delete(reason) || this.#holds.size > 0) return;
    this.#watch.setPaused(false);
    this.#transport.resume();
  }

  /** The rooms of connections that are about to leave them. Forgets those that have. */
  #leavingCount(): number {
    let count = 0;
    for (const room of this.#leaving) {
      const { roomCount } = room;
      if (roomCount === 0) this.#leaving.delete(room);
      count += roomCount;
    }
    return count;
  }

  #onClosed(transport: RoomTransport): void {
    this.#leaving.add(transport);
    this.#openCount -= 1;
    if (this.#openCount === 0) this.#expectRoom();
  }

  /** No room has accepted the client: the socket is of no use, and it is not known who holds it. */
  #expectRoom(): void {
    if (this.#state !== "open") return;
    const { clock, limits } = this.#deps;
    this.#timer?.cancel();
    this.#timer = clock.setTimeout(() => this.#onOverdue(), limits.handshakeMs);
  }

  /** Rooms that wait for `authorize` may still accept the client. */
  #onOverdue(): void {
    this.#isOverdue = true;
    this.#onEmpty();
  }

  #onEmpty(): void {
    if (this.#deps.isEnding()) this.endIfEmpty();
    else if (this.#isOverdue) this.endIfEmpty("no room");
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
