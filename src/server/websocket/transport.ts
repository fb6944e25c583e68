import { type RawData, type Server, type ServerOptions, WebSocket, WebSocketServer } from "ws";
import type {
  Framing,
  GoneListener,
  Refusal,
  Transport,
  TransportEvents,
  TransportOptions,
} from "../../connection/transport.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { Message } from "../../wire/message.js";
import { usableOffers } from "./deflate.js";
import { discardInput } from "./discard.js";
import { encodeFrame, Opcode } from "./frame.js";
import { deflateFraming, webSocketFraming } from "./framing.js";
import { ReadTurns } from "./readTurns.js";
import { discardRest, type Receiver, receiverOf, unfinishedBytesOf } from "./receiver.js";
import { type RefusalTime, type UpgradeRequest, writeRefusal } from "./upgrade.js";
import { WaitingSocket } from "./waitingSocket.js";

/** The close codes for errors of ws, the same that ws closes with. Any other error is a protocol error. */
const closeByError = new Map<string, readonly [code: number, phrase: string]>([
  ["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", [CloseCode.messageTooBig, "message too big"]],
  ["WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH", [CloseCode.messageTooBig, "message too big"]],
  ["WS_ERR_TOO_MANY_BUFFERED_PARTS", [CloseCode.policyViolation, "too many fragments"]],
  ["WS_ERR_INVALID_UTF8", [CloseCode.invalidPayload, "text is not UTF-8"]],
  ["Z_DATA_ERROR", [CloseCode.invalidPayload, "bad compressed data"]],
]);
const tooManyChunks = [CloseCode.policyViolation, "message in too many pieces"] as const;
const protocolError = [1002, "protocol error"] as const;

/**
 * A socket of ws that reports its events to a connection, and also when it is about to send its close frame.
 *
 * It overrides `emit`: the usual listeners would be a large part of the memory of an idle connection.
 */
class ServerSocket extends WebSocket {
  events: TransportEvents | undefined;
  goneListener: GoneListener | undefined;
  receiver: Receiver | undefined;
  turns: ReadTurns | undefined;
  /** The socket that it reads from. */
  source: UpgradeRequest["socket"] | undefined;

  override emit(name: string | symbol, first?: unknown, second?: unknown): boolean {
    const { events } = this;
    if (events === undefined) return super.emit(name, first, second);
    // The arguments of each event are documented by ws; `emit` has no types for them.
    if (name === "message") {
      const bytes = asBytes(first as RawData);
      this.#countFrame(bytes.length);
      events.onMessage(new Message(bytes, second === false));
    } else if (name === "ping" || name === "pong") {
      const data = first as Buffer;
      this.#countFrame(data.length);
      if (name === "ping") events.onPing(encodeFrame(data, Opcode.pong));
      else events.onHeard();
    } else if (name === "error") {
      events.onFailed(...closeOf(first as Error));
      // Later: ws resumes the socket in the next tick, to discard what follows.
      if (this.source !== undefined) process.nextTick(discardInput, this.source);
    } else if (name === "close") {
      if (this.receiver !== undefined) this.turns?.forget(this.receiver);
      events.onGone(first as number, String(second));
      this.goneListener?.onGone();
    }
    return true;
  }

  #countFrame(bytes: number): void {
    if (this.receiver !== undefined) this.turns?.count(this.receiver, bytes);
  }

  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === this.OPEN) this.events?.onClosing();
    super.close(code, reason ?? this.#phraseOfError());
  }

  /** ws closes with a code only, before it reports the error. */
  #phraseOfError(): string | undefined {
    const error = this.receiver?.errored;
    return error ? closeOf(error)[1] : undefined;
  }
}

/**
 * A WebSocket. ws performs the handshake, receives, and sends control frames. Messages are written directly to the
 * socket, so that one write carries all messages of an event-loop tick.
 */
export class WebSocketTransport implements Transport {
  readonly #socket: UpgradeRequest["socket"];
  /** The upgrade request, until it is accepted. */
  #upgrade: UpgradeRequest | undefined;
  #refusalTime: RefusalTime | undefined;
  #ws: ServerSocket | undefined;
  /** The bytes of the upgrade request. */
  #handshakeBytes = 0;
  #goneListener: GoneListener | undefined;
  /** The socket of a client that waits for its answer. */
  #waiting: WaitingSocket | undefined;

  constructor(upgrade: UpgradeRequest, refusalTime: RefusalTime) {
    this.#upgrade = upgrade;
    this.#socket = upgrade.socket;
    this.#refusalTime = refusalTime;
  }

  get framing(): Framing {
    return this.#ws?.extensions.includes("permessage-deflate") === true ? deflateFraming : webSocketFraming;
  }

  get protocol(): string {
    return this.#ws?.protocol ?? "";
  }

  get isOpen(): boolean {
    return this.#ws !== undefined && this.#ws.readyState === this.#ws.OPEN;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  get receivedBytes(): number {
    return (this.#socket.bytesRead ?? 0) - this.#handshakeBytes;
  }

  get unfinishedBytes(): number | undefined {
    const receiver = this.#ws?.receiver;
    return receiver && unfinishedBytesOf(receiver);
  }

  whenGone(listener: GoneListener): void {
    this.#goneListener = listener;
    // Used until the transport is open. After that ws reports the end.
    this.#waiting = new WaitingSocket(this.#socket, listener);
  }

  open(options: TransportOptions): boolean {
    const upgrade = this.#upgrade;
    if (upgrade === undefined) return false;
    const { incoming, socket } = upgrade;
    const head = this.#waiting?.takeHead(upgrade.head) ?? upgrade.head;
    this.#handshakeBytes = (socket.bytesRead ?? 0) - head.length;
    const { headers } = incoming;
    const offers = headers["sec-websocket-extensions"];
    if (offers !== undefined) headers["sec-websocket-extensions"] = usableOffers(offers);
    // ws calls the callback before handleUpgrade returns. If it does not, it has refused the client itself.
    const { server, turns } = serverOf(options);
    server.handleUpgrade(incoming, socket, head, (ws) => this.#onOpened(ws, turns));
    return this.#ws !== undefined;
  }

  refuse(refusal: Refusal): void {
    if (this.#upgrade === undefined || this.#refusalTime === undefined) return;
    this.#waiting?.stopReading();
    writeRefusal(this.#upgrade, refusal, this.#refusalTime);
  }

  listen(events: TransportEvents): void {
    if (this.#ws !== undefined) this.#ws.events = events;
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  whenWritten(callback: () => void): void {
    if (this.#socket.writable) this.#socket.write("", callback);
    else setImmediate(callback);
  }

  ping(): void {
    if (this.isOpen) this.#ws?.ping();
  }

  pause(): void {
    this.#ws?.pause();
  }

  resume(): void {
    this.#ws?.resume();
  }

  close(code: number, reason: string): void {
    // A paused socket would not read the peer's close frame.
    this.#ws?.resume();
    this.#ws?.close(code, reason);
  }

  ignoreInput(): void {
    const receiver = this.#ws?.receiver;
    if (receiver === undefined) return;
    // ws would decompress all of it until the client has answered the close.
    discardRest(receiver);
    discardInput(this.#socket);
  }

  destroy(): void {
    if (this.#ws === undefined) this.#socket.destroy();
    else this.#ws.terminate();
  }

  #onOpened(ws: ServerSocket, turns: ReadTurns): void {
    this.#ws = ws;
    ws.receiver = receiverOf(ws);
    ws.turns = turns;
    ws.source = this.#socket;
    ws.goneListener = this.#goneListener;
    this.#waiting?.detach();
    // Releases the memory of the request.
    this.#waiting = undefined;
    this.#upgrade = undefined;
    this.#refusalTime = undefined;
  }
}

/** What all sockets of a route share. */
interface RouteServer {
  readonly server: Server<typeof ServerSocket>;
  readonly turns: ReadTurns;
}

/** The servers of ws by the options of a route, since the limits of routes differ. */
const servers = new WeakMap<TransportOptions, RouteServer>();

/** A full TCP segment has at least 536 bytes (RFC 9293 3.7.1), so a message in full segments is always received. */
const bytesPerChunkMin = 512;

function serverOf(options: TransportOptions): RouteServer {
  const cached = servers.get(options);
  if (cached !== undefined) return cached;
  const { messageBytesMax, fragmentsMax, bufferedChunksMax, closeMs, compression, subprotocols } = options;
  // The types of ws do not have closeTimeout yet.
  const serverOptions: ServerOptions<typeof ServerSocket> & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: messageBytesMax,
    maxFragments: fragmentsMax,
    maxBufferedChunks: Math.max(bufferedChunksMax, Math.ceil(messageBytesMax / bytesPerChunkMin)),
    // The connection answers pings, with its messages: one write carries all pongs of a tick.
    autoPong: false,
    closeTimeout: closeMs,
    WebSocket: ServerSocket,
    perMessageDeflate: compression && { serverNoContextTakeover: true },
    // Never answers with an unknown name: a client may send a token as a subprotocol.
    handleProtocols: (offered) => subprotocols.find((name) => offered.has(name)) ?? false,
  };
  const server = new WebSocketServer(serverOptions);
  const routeServer = { server, turns: new ReadTurns(options) };
  servers.set(options, routeServer);
  return routeServer;
}

/** With the default `binaryType` of ws every message is one Buffer. */
function asBytes(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

function closeOf(error: Error): readonly [code: number, phrase: string] {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  // ws has one code for both.
  if (code === "WS_ERR_TOO_MANY_BUFFERED_PARTS" && error.message.includes("chunks")) return tooManyChunks;
  return closeByError.get(code) ?? protocolError;
}
