import type {
  Framing,
  GoneListener,
  Refusal,
  Transport,
  TransportEvents,
  TransportOptions,
} from "../../connection/transport.js";
import { usableOffers } from "./deflate.js";
import { DirectSocket } from "./direct/directSocket.js";
import { deflateFraming, webSocketFraming } from "./framing.js";
import { acceptUpgrade } from "./handshake.js";
import type { WebSocketLink } from "./link.js";
import { type RefusalTime, type UpgradeRequest, writeRefusal } from "./upgrade.js";
import { WaitingSocket } from "./waitingSocket.js";
import { openWithWs } from "./ws/serverSocket.js";

/** A client that waits for the answer to its handshake. */
interface Handshake {
  readonly upgrade: UpgradeRequest;
  readonly refusalTime: RefusalTime;
  goneListener: GoneListener | undefined;
  waiting: WaitingSocket | undefined;
}

/**
 * A WebSocket. Messages are written directly to the socket, so that one write carries all messages of an event-loop
 * tick. The frames of the client are read by a link: ours, or that of ws for a client with permessage-deflate.
 */
export class WebSocketTransport implements Transport {
  readonly #socket: UpgradeRequest["socket"];
  /** `undefined` as soon as the client is accepted. */
  #handshake: Handshake | undefined;
  #link: WebSocketLink | undefined;
  /** The bytes of the upgrade request. */
  #handshakeBytes = 0;

  constructor(upgrade: UpgradeRequest, refusalTime: RefusalTime) {
    this.#socket = upgrade.socket;
    this.#handshake = { upgrade, refusalTime, goneListener: undefined, waiting: undefined };
  }

  get framing(): Framing {
    return this.#link?.isDeflated === true ? deflateFraming : webSocketFraming;
  }

  get protocol(): string {
    return this.#link?.protocol ?? "";
  }

  get isOpen(): boolean {
    return this.#link?.isOpen === true;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  get receivedBytes(): number {
    return (this.#socket.bytesRead ?? 0) - this.#handshakeBytes;
  }

  get unfinishedBytes(): number | undefined {
    return this.#link?.unfinishedBytes;
  }

  whenGone(listener: GoneListener): void {
    if (this.#handshake === undefined) return;
    this.#handshake.goneListener = listener;
    // Used until the transport is open. After that the link reports the end.
    this.#handshake.waiting = new WaitingSocket(this.#socket, listener);
  }

  open(options: TransportOptions): boolean {
    if (this.#handshake === undefined) return false;
    const { upgrade, goneListener, waiting } = this.#handshake;
    const head = waiting?.takeHead(upgrade.head) ?? upgrade.head;
    this.#handshakeBytes = (upgrade.socket.bytesRead ?? 0) - head.length;
    this.#link = openLink(upgrade, head, options);
    if (this.#link === undefined) return false;
    if (goneListener !== undefined) this.#link.whenGone(goneListener);
    // Releases the memory of the request.
    this.#handshake = undefined;
    return true;
  }

  refuse(refusal: Refusal): void {
    if (this.#handshake === undefined) return;
    const { upgrade, refusalTime, waiting } = this.#handshake;
    waiting?.stopReading();
    writeRefusal(upgrade, refusal, refusalTime);
  }

  listen(events: TransportEvents): void {
    this.#link?.listen(events);
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  whenWritten(callback: () => void): void {
    if (this.#socket.writable) this.#socket.write("", callback);
    else setImmediate(callback);
  }

  ping(): void {
    this.#link?.ping();
  }

  pause(): void {
    this.#link?.pause();
  }

  resume(): void {
    this.#link?.resume();
  }

  close(code: number, reason: string): void {
    this.#link?.close(code, reason);
  }

  ignoreInput(): void {
    this.#link?.ignoreInput();
  }

  destroy(): void {
    if (this.#link === undefined) this.#socket.destroy();
    else this.#link.terminate();
  }
}

/** Answers a handshake. Returns `undefined` if the client was refused, or has gone. */
function openLink(upgrade: UpgradeRequest, head: Buffer, options: TransportOptions): WebSocketLink | undefined {
  const offers = options.compression ? upgrade.incoming.headers["sec-websocket-extensions"] : undefined;
  const isPlain = offers === undefined || usableOffers(offers) === undefined;
  if (!isPlain || options.receiver === "ws") return openWithWs(upgrade, head, options);
  const protocol = acceptUpgrade(upgrade, options.subprotocols);
  if (protocol === undefined) return undefined;
  return new DirectSocket(upgrade.socket, protocol, options, head);
}
