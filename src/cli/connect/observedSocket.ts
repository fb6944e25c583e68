import type { SocketEvent, WebSocketConstructor, WebSocketLike } from "../../client/connection/socket.js";
import { messageOf } from "../failure.js";
import type { Sockets } from "../socket.js";
import type { Unanswered } from "./unanswered.js";

/** Makes a WebSocket class for the client whose frames are observed. */
export function observedSockets(sockets: Sockets, unanswered: Unanswered): WebSocketConstructor {
  return class ObservedSocket implements WebSocketLike {
    readonly #socket;

    constructor(url: string, subprotocols: string[]) {
      this.#socket = sockets.open(url, subprotocols);
      this.#socket.on("message", (data) => unanswered.onReceived(String(data)));
    }

    send(data: string | Uint8Array): void {
      if (typeof data === "string") unanswered.onSent(data);
      this.#socket.send(data);
    }

    close(code?: number, reason?: string): void {
      this.#socket.close(code, reason);
    }

    addEventListener(type: "message" | "close" | "error", listener: (event: SocketEvent) => void): void {
      if (type === "error") this.#socket.on("error", (error) => listener({ type, message: messageOf(error) }));
      else if (type === "message") this.#socket.on("message", (data) => listener({ type, data: String(data) }));
      else this.#socket.on("close", (code, reason) => listener({ type, code, reason: String(reason) }));
    }
  };
}
