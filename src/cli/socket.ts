import { WebSocket } from "ws";
import { type Clock, within } from "../connection/clock.js";

export type { WebSocket } from "ws";

/** Request headers by name. */
export type Headers = Readonly<Record<string, string>>;

/** Milliseconds for the handshake. */
const handshakeMs = 10_000;
/** Milliseconds for the peer to answer the close of a connection. */
const closeMs = 2_000;

/** The WebSockets of one command. */
export class Sockets {
  readonly #open = new Set<WebSocket>();
  readonly #headers: Headers;

  constructor(headers: Headers) {
    this.#headers = headers;
  }

  /** Opens a WebSocket. Its events follow in a later turn of the event loop. */
  open(url: string, subprotocols: readonly string[] = []): WebSocket {
    const socket = new WebSocket(url, [...subprotocols], {
      headers: { ...this.#headers },
      handshakeTimeout: handshakeMs,
      perMessageDeflate: false,
    });
    this.#open.add(socket);
    socket.on("close", () => this.#open.delete(socket));
    // Without a listener, an error would end the process. It is followed by a close.
    socket.on("error", () => undefined);
    return socket;
  }

  /** Closes all connections, and resolves when they have ended. A peer that does not answer is not awaited for long. */
  async closeAll(clock: Clock): Promise<void> {
    const ended = [...this.#open].map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.once("close", () => resolve());
          socket.close(1000);
        }),
    );
    await within(clock, closeMs, Promise.all(ended));
    for (const socket of this.#open) socket.terminate();
  }
}
