import { type RawData, type Server, type ServerOptions, WebSocket, WebSocketServer } from "ws";
import type { GoneListener, TransportEvents, TransportOptions } from "../../../connection/transport.js";
import { Message } from "../../../wire/message.js";
import { usableOffers } from "../deflate.js";
import { discardInput } from "../discard.js";
import { type Fault, Faults } from "../faults.js";
import { encodeFrame, Opcode } from "../frame.js";
import { piecesMaxOf } from "../limits.js";
import type { WebSocketLink } from "../link.js";
import { ReadTurns } from "../readTurns.js";
import { disown, own } from "../socketOwner.js";
import type { UpgradeRequest } from "../upgrade.js";
import { discardRest, type Receiver, receiverOf, unfinishedBytesOf } from "./receiver.js";

/** The faults for errors of ws, with the codes that ws closes with. Any other error is a protocol error. */
const faultByError = new Map<string, Fault>([
  ["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", Faults.tooBig],
  ["WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH", Faults.tooBig],
  ["WS_ERR_TOO_MANY_BUFFERED_PARTS", Faults.fragments],
  ["WS_ERR_INVALID_UTF8", Faults.notUtf8],
  ["Z_DATA_ERROR", Faults.compression],
]);

/**
 * A socket of ws that reports its events to a connection, and also when it is about to send its close frame.
 *
 * It overrides `emit`: the usual listeners would be a large part of the memory of an idle connection.
 */
class ServerSocket extends WebSocket implements WebSocketLink {
  #events: TransportEvents | undefined;
  #goneListener: GoneListener | undefined;
  #receiver: Receiver | undefined;
  #turns: ReadTurns | undefined;
  /** The socket that it reads from. */
  #source: UpgradeRequest["socket"] | undefined;

  get isDeflated(): boolean {
    return this.extensions.includes("permessage-deflate");
  }

  get isOpen(): boolean {
    return this.readyState === this.OPEN;
  }

  get unfinishedBytes(): number | undefined {
    return this.#receiver && unfinishedBytesOf(this.#receiver);
  }

  /** Called once, when the handshake is over. */
  onOpened(source: UpgradeRequest["socket"], turns: ReadTurns): void {
    this.#receiver = receiverOf(this);
    this.#turns = turns;
    this.#source = source;
  }

  whenGone(listener: GoneListener): void {
    this.#goneListener = listener;
  }

  listen(events: TransportEvents): void {
    this.#events = events;
  }

  override emit(name: string | symbol, first?: unknown, second?: unknown): boolean {
    const events = this.#events;
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
      events.onFailed(...faultOf(first as Error));
      // Later: ws resumes the socket in the next tick, to discard what follows.
      if (this.#source !== undefined) process.nextTick(discardInput, this.#source);
    } else if (name === "close") {
      if (this.#receiver !== undefined) this.#turns?.forget(this.#receiver);
      events.onGone(first as number, String(second));
      this.#goneListener?.onGone();
    }
    return true;
  }

  #countFrame(bytes: number): void {
    const receiver = this.#receiver;
    if (receiver === undefined || this.#turns === undefined) return;
    const hasToWait = this.#turns.count(receiver, bytes, !receiver._allowSynchronousEvents);
    receiver._allowSynchronousEvents = !hasToWait;
  }

  override ping(): void {
    if (this.isOpen) super.ping();
  }

  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === this.OPEN) this.#events?.onClosing();
    // A paused socket would not read the peer's close frame.
    this.resume();
    super.close(code, reason ?? this.#phraseOfError());
  }

  /** ws closes with a code only, before it reports the error. */
  #phraseOfError(): string | undefined {
    const error = this.#receiver?.errored;
    return error ? faultOf(error)[1] : undefined;
  }

  ignoreInput(): void {
    if (this.#receiver === undefined || this.#source === undefined) return;
    // ws would decompress all of it until the client has answered the close.
    discardRest(this.#receiver);
    discardInput(this.#source);
  }
}

/** What all sockets of a route share. */
interface RouteServer {
  readonly server: Server<typeof ServerSocket>;
  readonly turns: ReadTurns;
}

/** The servers of ws by the options of a route, since the limits of routes differ. */
const servers = new WeakMap<TransportOptions, RouteServer>();

/**
 * Answers a handshake, with ws. Returns `undefined` if ws has refused the client.
 *
 * @param head The bytes after the request.
 */
export function openWithWs(
  { incoming, socket }: UpgradeRequest,
  head: Buffer,
  options: TransportOptions,
): WebSocketLink | undefined {
  const { headers } = incoming;
  const offers = headers["sec-websocket-extensions"];
  if (offers !== undefined) headers["sec-websocket-extensions"] = usableOffers(offers);
  const { server, turns } = serverOf(options);
  const owner = disown(socket);
  let opened: ServerSocket | undefined;
  // ws calls the callback before handleUpgrade returns. If it does not, it has refused the client itself.
  server.handleUpgrade(incoming, socket, head, (ws) => {
    ws.onOpened(socket, turns);
    opened = ws;
  });
  if (opened === undefined && owner !== undefined) own(socket, owner);
  return opened;
}

function serverOf(options: TransportOptions): RouteServer {
  const cached = servers.get(options);
  if (cached !== undefined) return cached;
  const { messageBytesMax, fragmentsMax, closeMs, compression, subprotocols } = options;
  // The types of ws do not have closeTimeout yet.
  const serverOptions: ServerOptions<typeof ServerSocket> & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: messageBytesMax,
    maxFragments: fragmentsMax,
    maxBufferedChunks: piecesMaxOf(options),
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

function faultOf(error: Error): Fault {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  // ws has one code for both.
  if (code === "WS_ERR_TOO_MANY_BUFFERED_PARTS" && error.message.includes("chunks")) return Faults.pieces;
  return faultByError.get(code) ?? Faults.protocol;
}
