import { ABNORMAL, CloseCode, statusOf } from "../../wire/closeCodes.js";
import { secretPrefix, tokenPrefix } from "../../wire/frames.js";
import { pathOfTarget, type RoomPath } from "../../wire/path.js";
import type { SocketEvent, WebSocketLike } from "../connection/socket.js";
import type { ReceivedFrame } from "../messages/readFrame.js";

/** The part of a socket with many rooms that one of them uses. */
export interface RoomCarrier {
  /** Sends the text of a frame of this room, once it is open. */
  send(connection: RoomConnection, text: string): void;
  /** As {@link send}, for the last frame of the room. */
  sendClose(connection: RoomConnection, text: string): void;
  /** The room has ended on this socket. */
  forget(connection: RoomConnection): void;
}

type Listener = (event: SocketEvent) => void;

/** The connection to one room on a socket with many rooms, in the form of a WebSocket. */
export class RoomConnection implements WebSocketLike {
  readonly room: RoomPath;
  /** The frame that opens the room. */
  readonly open: string;
  readonly #listeners: [type: string, listener: Listener][] = [];
  #carrier: RoomCarrier | undefined;
  /** The frames that wait while the server has paused the room. */
  #paused: string[] | undefined;

  /** @param offered The subprotocols of a WebSocket: they have the secret and the token. */
  constructor(url: string, offered: readonly string[]) {
    const { pathname, search } = new URL(url);
    this.room = pathOfTarget(pathname);
    const secret = offerOf(offered, secretPrefix);
    const token = offerOf(offered, tokenPrefix);
    this.open = JSON.stringify({
      type: "open",
      room: this.room,
      query: search.slice(1),
      secret,
      token: token && textOf(token),
    });
  }

  start(carrier: RoomCarrier): void {
    this.#carrier = carrier;
  }

  send(data: string | Uint8Array): void {
    const fields = typeof data === "string" ? data.slice(1) : `"type":"message","base64":"${base64(data)}"}`;
    const text = `{"room":${JSON.stringify(this.room)},${fields}`;
    if (this.#paused) this.#paused.push(text);
    else this.#carrier?.send(this, text);
  }

  close(code?: number, reason?: string): void {
    for (const text of this.#paused ?? []) this.#carrier?.send(this, text);
    this.#carrier?.sendClose(this, JSON.stringify({ type: "close", room: this.room, code, reason }));
    this.end(code ?? 1000, reason ?? "");
  }

  addEventListener(type: "message" | "close" | "error", listener: Listener): void {
    this.#listeners.push([type, listener]);
  }

  /** A frame for this room. */
  onFrame(frame: ReceivedFrame, text: string): void {
    this.#emit({ type: "message", data: text, frame });
  }

  onPaused(isPaused: boolean): void {
    const waiting = this.#paused ?? [];
    this.#paused = isPaused ? waiting : undefined;
    if (!isPaused) for (const text of waiting) this.#carrier?.send(this, text);
  }

  /** The server has refused the room. */
  refuse(status: number, reason = ""): void {
    // As on a socket with one room, which is closed with a code in place of these statuses.
    const shown = status === 403 ? 401 : status;
    const code = [CloseCode.unauthorized, CloseCode.notFound].find((one) => statusOf(one) === shown);
    if (code) this.end(code, reason);
    // In the form in which the WebSocket of `ws` reports the status of a refusal.
    else this.fail(`${reason}; Unexpected server response: ${status}`);
  }

  /** The room could not be opened. */
  fail(message: string): void {
    this.#emit({ type: "error", message });
    this.end(ABNORMAL, "");
  }

  end(code: number, reason: string): void {
    const carrier = this.#carrier;
    this.#carrier = undefined;
    carrier?.forget(this);
    if (carrier) this.#emit({ type: "close", code, reason });
  }

  #emit(event: SocketEvent): void {
    for (const [type, listener] of this.#listeners) if (type === event.type) listener(event);
  }
}

function offerOf(offered: readonly string[], prefix: string): string | undefined {
  return offered.find((one) => one.startsWith(prefix))?.slice(prefix.length);
}

/** Decodes UTF-8 in base64url. */
function textOf(encoded: string): string {
  const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
