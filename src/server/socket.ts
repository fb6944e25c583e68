import type { Duplex } from "node:stream";
import { type RawData, WebSocket } from "ws";
import type { Transport, TransportEvents } from "../connection/transport.js";
import { CloseCode } from "../wire/closeCodes.js";
import { Message } from "../wire/message.js";

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
 * A socket of ws that tells a connection what happens, also when it is about to send its close frame.
 *
 * It does so in place of listeners, which would be a good part of what an idle connection costs.
 */
export class ServerSocket extends WebSocket {
  events: TransportEvents | undefined;

  override emit(name: string | symbol, first?: unknown, second?: unknown): boolean {
    const { events } = this;
    if (events === undefined) return super.emit(name, first, second);
    // What ws passes with each event is in its documentation; the types of `emit` do not tell.
    if (name === "message") events.onMessage(new Message(asBytes(first as RawData), second === false));
    else if (name === "ping" || name === "pong") events.onHeard();
    else if (name === "error") events.onFailed(...failureOf(first as Error));
    else if (name === "close") events.onGone(first as number, String(second));
    return true;
  }

  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === this.OPEN) this.events?.onClosing();
    super.close(code, reason);
  }
}

/**
 * An upgraded socket: ws receives, and sends what is no message; our frames go straight to the socket, so that one write
 * carries all of a tick.
 */
export class SocketTransport implements Transport {
  readonly deflates: boolean;
  readonly #ws: ServerSocket;
  readonly #socket: Duplex & { readonly bytesRead?: number };

  constructor(ws: ServerSocket, socket: Duplex) {
    this.#ws = ws;
    this.#socket = socket;
    this.deflates = ws.extensions.includes("permessage-deflate");
  }

  listen(events: TransportEvents): void {
    this.#ws.events = events;
  }

  get protocol(): string {
    return this.#ws.protocol;
  }

  get isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  get receivedBytes(): number {
    return this.#socket.bytesRead ?? 0;
  }

  write(frames: Uint8Array): void {
    this.#socket.write(frames);
  }

  whenWritten(callback: () => void): void {
    if (this.#socket.writable) this.#socket.write("", callback);
    else setImmediate(callback);
  }

  ping(): void {
    if (this.isOpen) this.#ws.ping();
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  close(code: number, reason: string): void {
    // The peer's close frame is read only by a socket that is not paused.
    this.#ws.resume();
    this.#ws.close(code, reason);
  }

  destroy(): void {
    this.#ws.terminate();
  }
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
