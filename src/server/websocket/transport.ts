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
import { sharedOffers } from "./deflate.js";
import { deflateFraming, webSocketFraming } from "./framing.js";
import { type RefusalTime, type UpgradeRequest, writeRefusal } from "./upgrade.js";

/** What the errors of ws mean in close codes, as ws itself closes with; any other is a protocol error. */
const failures = new Map<string, readonly [code: number, phrase: string]>([
  ["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", [CloseCode.messageTooBig, "message too big"]],
  ["WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH", [CloseCode.messageTooBig, "message too big"]],
  ["WS_ERR_TOO_MANY_BUFFERED_PARTS", [CloseCode.policyViolation, "too many fragments"]],
  ["WS_ERR_INVALID_UTF8", [CloseCode.invalidPayload, "text is not UTF-8"]],
  ["Z_DATA_ERROR", [CloseCode.invalidPayload, "bad compressed data"]],
]);
const protocolError = [1002, "protocol error"] as const;

/**
 * A socket of ws that reports to a connection what happens, also when it is about to send its close frame.
 *
 * It does so in place of listeners, which would be a good part of what an idle connection costs.
 */
class ServerSocket extends WebSocket {
  events: TransportEvents | undefined;
  gone: GoneListener | undefined;

  override emit(name: string | symbol, first?: unknown, second?: unknown): boolean {
    const { events } = this;
    if (events === undefined) return super.emit(name, first, second);
    // What ws passes with each event is in its documentation; the types of `emit` do not tell.
    if (name === "message") events.onMessage(new Message(asBytes(first as RawData), second === false));
    else if (name === "ping" || name === "pong") events.onHeard();
    else if (name === "error") events.onFailed(...failureOf(first as Error));
    else if (name === "close") {
      events.onGone(first as number, String(second));
      this.gone?.onGone();
    }
    return true;
  }

  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === this.OPEN) this.events?.onClosing();
    super.close(code, reason);
  }
}

/**
 * A WebSocket: ws does the handshake, receives, and sends what is no message; our frames go straight to the socket, so
 * that one write carries all of a tick.
 */
export class WebSocketTransport implements Transport {
  readonly #socket: UpgradeRequest["socket"];
  /** Until it is answered. */
  #upgrade: UpgradeRequest | undefined;
  #refusalTime: RefusalTime | undefined;
  #ws: ServerSocket | undefined;
  #gone: GoneListener | undefined;
  #onSocketClose: (() => void) | undefined;

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
    return this.#socket.bytesRead ?? 0;
  }

  whenGone(listener: GoneListener): void {
    this.#gone = listener;
    // Until it is open; then ws tells.
    this.#onSocketClose = () => listener.onGone();
    this.#socket.once("close", this.#onSocketClose);
  }

  open(options: TransportOptions): boolean {
    const upgrade = this.#upgrade;
    if (upgrade === undefined) return false;
    const { incoming, socket, head } = upgrade;
    const { headers } = incoming;
    const offers = headers["sec-websocket-extensions"];
    if (offers !== undefined) headers["sec-websocket-extensions"] = sharedOffers(offers);
    // The callback is called before handleUpgrade returns, or never: then ws has answered.
    serverOf(options).handleUpgrade(incoming, socket, head, (ws) => this.#opened(ws));
    return this.#ws !== undefined;
  }

  refuse(refusal: Refusal): void {
    if (this.#upgrade === undefined || this.#refusalTime === undefined) return;
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
    // The peer's close frame is read only by a socket that is not paused.
    this.#ws?.resume();
    this.#ws?.close(code, reason);
  }

  destroy(): void {
    if (this.#ws === undefined) this.#socket.destroy();
    else this.#ws.terminate();
  }

  #opened(ws: ServerSocket): void {
    this.#ws = ws;
    ws.gone = this.#gone;
    if (this.#onSocketClose !== undefined) this.#socket.off("close", this.#onSocketClose);
    // Nothing of the request is kept while the connection lasts.
    this.#onSocketClose = undefined;
    this.#upgrade = undefined;
    this.#refusalTime = undefined;
  }
}

/** By the options of a route, each of which has its own: they differ in their limits. */
const servers = new WeakMap<TransportOptions, Server<typeof ServerSocket>>();

function serverOf(options: TransportOptions): Server<typeof ServerSocket> {
  const known = servers.get(options);
  if (known !== undefined) return known;
  const { messageBytesMax, fragmentsMax, closeMs, compression, subprotocols } = options;
  // The types of ws do not know closeTimeout yet.
  const serverOptions: ServerOptions<typeof ServerSocket> & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: messageBytesMax,
    maxFragments: fragmentsMax,
    closeTimeout: closeMs,
    WebSocket: ServerSocket,
    perMessageDeflate: compression && { serverNoContextTakeover: true },
    // Of what the client offers only what is known here is agreed on; what is none of ours may be a token.
    handleProtocols: (offered) => subprotocols.find((name) => offered.has(name)) ?? false,
  };
  const server = new WebSocketServer(serverOptions);
  servers.set(options, server);
  return server;
}

/** With the default `binaryType` of ws a message is one Buffer. */
function asBytes(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

function failureOf(error: Error): readonly [code: number, phrase: string] {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return failures.get(code) ?? protocolError;
}
