import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { EnfiladeError } from "../errors.js";
import { refusal } from "./refusal.js";
import { type RefusalTime, writeRefusal } from "./websocket/upgrade.js";

/** The address that an app listens on. */
export interface Listening {
  /** The IP address, such as `127.0.0.1`, or `::` for all addresses. */
  readonly host: string;
  /** The port; the free one that was found, for `listen(0)`. */
  readonly port: number;
  /** The URL for clients on this machine, such as `ws://localhost:8000`. */
  readonly url: string;
}

/** The HTTP server of `app.listen`. */
export class OwnServer {
  readonly #handshakeMs: number;
  readonly #refusalTime: RefusalTime;
  #server: Server | undefined;

  /** @param handshakeMs Milliseconds for a client to send its request. */
  constructor(handshakeMs: number, refusalTime: RefusalTime) {
    this.#handshakeMs = handshakeMs;
    this.#refusalTime = refusalTime;
  }

  /** Resolves when the server listens and `onListening` has returned. A call that rejects may be repeated. */
  async listen(port: number, host: string | undefined, onListening: (server: Server) => void): Promise<Listening> {
    if (this.#server !== undefined) {
      throw new EnfiladeError("ERR_APP_STATE", "the app is already listening; use attach(server) for a second server");
    }
    checkPort(port);
    const server = createHttpServer(this.#handshakeMs, this.#refusalTime);
    this.#server = server;
    try {
      await listen(server, port, host);
      onListening(server);
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
    return listeningAt(server);
  }

  /** Stops accepting connections. Resolves when every connection of the server is closed. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    server.closeIdleConnections();
    await closed;
  }

  closeAllConnections(): void {
    this.#server?.closeAllConnections();
  }
}

/**
 * Checks a port. Text of digits is one, as an environment variable has it.
 *
 * @throws EnfiladeError `ERR_OPTION`: Node would take an object for options, and other text for the path of a socket.
 */
function checkPort(port: unknown): void {
  const number = typeof port === "string" && /^\d+$/.test(port) ? Number(port) : port;
  if (Number.isInteger(number) && Number(number) >= 0 && Number(number) <= 65_535) return;
  const came = typeof port === "object" ? "an object" : typeof port === "string" ? JSON.stringify(port) : String(port);
  throw new EnfiladeError(
    "ERR_OPTION",
    `listen() takes a port from 0 to 65535 and a host, such as listen(8000, "127.0.0.1"), got ${came}`,
  );
}

function createHttpServer(handshakeMs: number, refusalTime: RefusalTime): Server {
  const server = createServer({
    headersTimeout: handshakeMs,
    requestTimeout: handshakeMs,
    connectionsCheckingInterval: Math.max(1, handshakeMs / 10),
  });
  // Without a listener, Node closes the socket of a CONNECT request without an answer.
  server.on("connect", (incoming, socket, head) => {
    // A broken socket also emits "close".
    socket.on("error", () => undefined);
    writeRefusal({ incoming, socket, head }, refusal("request", 405, "", { allow: "GET" }), refusalTime);
  });
  return server;
}

/** Resolves when the server listens, or is closed first. Rejects with the error of Node, such as `EADDRINUSE`. */
async function listen(server: Server, port: number, host: string | undefined): Promise<void> {
  const waiting = new AbortController();
  const { signal } = waiting;
  try {
    server.listen(port, host);
    await Promise.race([once(server, "listening", { signal }), once(server, "close", { signal })]);
  } finally {
    waiting.abort();
  }
}

function listeningAt(server: Server): Listening {
  const address = server.address();
  // A server on a pipe has a string here, and a server that does not listen has null.
  if (address === null || typeof address === "string") {
    throw new EnfiladeError("ERR_APP_STATE", "the server is not listening on a TCP port");
  }
  const { address: host, port } = address;
  const name = host === "::" || host === "0.0.0.0" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return { host, port, url: `ws://${name}:${port}` };
}
