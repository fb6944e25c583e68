import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
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

/** A socket of ws that says when it is about to send its close frame, also in answer to that of the peer. */
export class ServerSocket extends WebSocket {
  onClosing: (() => void) | undefined;

  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === this.OPEN) this.onClosing?.();
    super.close(code, reason);
  }
}

/**
 * Fits an upgraded socket to a connection: ws receives, and sends what is no message; our frames go straight to the
 * socket, so that one write carries all of a tick.
 */
export function fitSocket(ws: ServerSocket, socket: Duplex, events: TransportEvents): Transport {
  ws.on("message", (data, isBinary) => events.message(new Message(asBytes(data), !isBinary)));
  ws.onClosing = events.closing;
  ws.on("ping", events.heard);
  ws.on("pong", events.heard);
  ws.on("error", (error) => events.failed(...failureOf(error)));
  ws.on("close", (code, reason) => events.ended(code, reason.toString()));
  return new SocketTransport(ws, socket);
}

class SocketTransport implements Transport {
  readonly deflates: boolean;
  readonly #ws: ServerSocket;
  readonly #socket: Duplex & { readonly bytesRead?: number };

  constructor(ws: ServerSocket, socket: Duplex) {
    this.#ws = ws;
    this.#socket = socket;
    this.deflates = ws.extensions.includes("permessage-deflate");
  }

  get protocol(): string {
    return this.#ws.protocol;
  }

  get open(): boolean {
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
    if (this.open) this.#ws.ping();
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

  terminate(): void {
    this.#ws.terminate();
  }
}

/** With the default `binaryType` of ws a message is one Buffer. */
function asBytes(data: Buffer | ArrayBuffer | Buffer[]): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

function failureOf(error: Error): readonly [code: number, phrase: string] {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return failures.get(code) ?? protocolError;
}
