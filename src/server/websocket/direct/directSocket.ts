import type { Duplex } from "node:stream";
import type { Timer } from "../../../connection/clock.js";
import type { GoneListener, TransportEvents, TransportOptions } from "../../../connection/transport.js";
import { ABNORMAL, NO_CODE } from "../../../wire/closeCodes.js";
import type { Message } from "../../../wire/message.js";
import { discardInput } from "../discard.js";
import type { Fault } from "../faults.js";
import { encodeFrame, Opcode } from "../frame.js";
import { piecesMaxOf } from "../limits.js";
import type { WebSocketLink } from "../link.js";
import { ReadTurns } from "../readTurns.js";
import { own, type SocketOwner } from "../socketOwner.js";
import { type FrameLimits, type FrameListener, FrameParser } from "./frameParser.js";

/** What all sockets of a route share. */
interface RouteReading {
  readonly options: TransportOptions;
  readonly limits: FrameLimits;
  readonly turns: ReadTurns;
}

const readings = new WeakMap<TransportOptions, RouteReading>();

function readingOf(options: TransportOptions): RouteReading {
  const cached = readings.get(options);
  if (cached !== undefined) return cached;
  const limits = { ...options, piecesMax: piecesMaxOf(options) };
  const reading = { options, limits, turns: new ReadTurns(options) };
  readings.set(options, reading);
  return reading;
}

const pingFrame = encodeFrame("", Opcode.ping);

/** The turn of the event loop in which frames are read. */
const Turn = {
  /** The next frame may be read. */
  open: 0,
  /** It has to wait for the next turn. */
  over: 1,
  /** It is the first frame of a turn that it had to wait for. */
  new: 2,
} as const;
type Turn = (typeof Turn)[keyof typeof Turn];

/** The closing handshake (RFC 6455 7.1). */
class Closing {
  /** Whether our close frame has left this process. */
  hasSent = false;
  timer: Timer | undefined;
  /** Those of the client's close frame. */
  code: number = ABNORMAL;
  reason = "";
}

/** An open WebSocket without extensions, that reads frames directly from its socket. */
export class DirectSocket implements WebSocketLink, FrameListener, SocketOwner {
  readonly protocol: string;
  readonly #socket: Duplex;
  readonly #reading: RouteReading;
  readonly #parser: FrameParser;
  #events: TransportEvents | undefined;
  #goneListener: GoneListener | undefined;
  #isOpen = true;
  #isPaused = false;
  #turn: Turn = Turn.open;
  /** What is read in the next turn. */
  #rest: Buffer | undefined;
  /** `undefined` until one side closes. */
  #closing: Closing | undefined;

  /** @param head The bytes that arrived with the handshake. */
  constructor(socket: Duplex, protocol: string, options: TransportOptions, head: Buffer) {
    this.#socket = socket;
    // Before the next chunk of the socket, and after `listen`.
    if (head.length > 0) process.nextTick(() => this.onChunk(head));
    this.protocol = protocol;
    this.#reading = readingOf(options);
    this.#parser = new FrameParser(this.#reading.limits, this);
  }

  get isDeflated(): boolean {
    return false;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get unfinishedBytes(): number | undefined {
    return this.#parser.unfinishedBytes;
  }

  whenGone(listener: GoneListener): void {
    this.#goneListener = listener;
  }

  listen(events: TransportEvents): void {
    this.#events = events;
    own(this.#socket, this);
  }

  ping(): void {
    if (this.#isOpen) this.#socket.write(pingFrame);
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#rest === undefined) this.#socket.resume();
  }

  close(code: number, reason: string): void {
    // A paused socket would not read the peer's close frame.
    this.resume();
    if (!this.#isOpen) return;
    this.#events?.onClosing();
    this.#isOpen = false;
    this.#closing ??= new Closing();
    const closing = this.#closing;
    this.#socket.write(closeFrame(code, reason), () => {
      closing.hasSent = true;
      this.#endIfClosed();
    });
    const { clock, closeMs } = this.#reading.options;
    closing.timer = clock.setTimeout(() => this.#socket.destroy(), closeMs);
  }

  ignoreInput(): void {
    this.#parser.end();
    discardInput(this.#socket);
  }

  terminate(): void {
    this.#isOpen = false;
    this.#socket.destroy();
  }

  onMessage(message: Message): boolean {
    const mayRead = this.#count(message.size);
    this.#events?.onMessage(message);
    return mayRead;
  }

  onPing(data: Buffer): boolean {
    const mayRead = this.#count(data.length);
    this.#events?.onPing(encodeFrame(data, Opcode.pong));
    return mayRead;
  }

  onPong(data: Buffer): boolean {
    const mayRead = this.#count(data.length);
    this.#events?.onHeard();
    return mayRead;
  }

  onCloseFrame(code: number, reason: string): void {
    this.#closing ??= new Closing();
    this.#closing.code = code;
    this.#closing.reason = reason;
    this.close(code, reason);
    this.#endIfClosed();
    discardInput(this.#socket);
  }

  onFault([code, phrase]: Fault): void {
    this.close(code, phrase);
    this.#endIfClosed();
    this.#events?.onFailed(code, phrase);
    discardInput(this.#socket);
  }

  onChunk(chunk: Buffer): void {
    const next = this.#turn === Turn.over || this.#rest !== undefined ? 0 : this.#parser.read(chunk);
    if (next < chunk.length) this.#readLater(chunk.subarray(next));
  }

  /** The client has closed its side: it does not wait for anything more. */
  onEnd(): void {
    this.#isOpen = false;
    this.#socket.end();
  }

  onSocketClose(): void {
    this.#isOpen = false;
    this.#closing?.timer?.cancel();
    // A paused socket may have chunks that were received before the end.
    const left: Buffer | null = this.#socket.readableLength > 0 ? this.#socket.read() : null;
    if (left !== null) this.onChunk(left);
    if (this.#rest === undefined) this.#reportGone();
  }

  /** Counts a frame; returns whether the next one may be read in this turn. */
  #count(bytes: number): boolean {
    const isOver = this.#reading.turns.count(this, bytes, this.#turn === Turn.new);
    this.#turn = isOver ? Turn.over : Turn.open;
    return !isOver;
  }

  #readLater(rest: Buffer): void {
    if (this.#rest === undefined) {
      this.#socket.pause();
      setImmediate(() => this.#readOn());
    }
    this.#rest = this.#rest === undefined ? rest : Buffer.concat([this.#rest, rest]);
  }

  #readOn(): void {
    const rest = this.#rest;
    this.#rest = undefined;
    this.#turn = Turn.new;
    if (rest !== undefined) this.onChunk(rest);
    if (this.#rest !== undefined) return;
    if (this.#socket.closed) this.#reportGone();
    else if (!this.#isPaused) this.#socket.resume();
  }

  #reportGone(): void {
    this.#reading.turns.forget(this);
    const { code = ABNORMAL, reason = "" } = this.#closing ?? {};
    this.#events?.onGone(code, reason);
    this.#goneListener?.onGone();
  }

  /** RFC 6455 7.1.1: the server closes the TCP connection when both have sent a close frame, or after a fault. */
  #endIfClosed(): void {
    if (this.#closing?.hasSent === true && this.#parser.hasEnded) this.#socket.end();
  }
}

function closeFrame(code: number, reason: string): Uint8Array {
  if (code === NO_CODE) return encodeFrame("", Opcode.close);
  const body = Buffer.allocUnsafe(2 + Buffer.byteLength(reason));
  body.writeUInt16BE(code);
  body.write(reason, 2);
  return encodeFrame(body, Opcode.close);
}
