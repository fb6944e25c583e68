import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { EnfiladeError } from "../errors.js";

/** Where an app listens. */
export interface Listening {
  readonly host: string;
  readonly port: number;
  /** For clients on this machine, such as `ws://localhost:8000`. */
  readonly url: string;
}

/** An HTTP server that gives a client `handshakeMs` to send its request. */
export function serverFor(handshakeMs: number): Server {
  return createServer({
    headersTimeout: handshakeMs,
    requestTimeout: handshakeMs,
    connectionsCheckingInterval: Math.max(1, handshakeMs / 10),
  });
}

/** Resolves when the server listens, or was closed before it did. Rejects with what Node says of a port in use. */
export async function listen(server: Server, port: number, host: string | undefined): Promise<void> {
  // Node takes an object too, whose host and other options would be lost here.
  if (typeof port === "object") {
    throw new EnfiladeError(
      "ERR_OPTION",
      'listen() takes a port and a host, such as listen(8000, "127.0.0.1"), got an object',
    );
  }
  const waiting = new AbortController();
  const { signal } = waiting;
  try {
    server.listen(port, host);
    await Promise.race([once(server, "listening", { signal }), once(server, "close", { signal })]);
  } finally {
    waiting.abort();
  }
}

export function listeningAt(server: Server): Listening {
  const address = server.address();
  // A string would be the path of a pipe, and null a server that does not listen; this one listens on a port.
  if (address === null || typeof address === "string")
    throw new EnfiladeError("ERR_APP_STATE", "the server has no port");
  const { address: host, port } = address;
  const name = host === "::" || host === "0.0.0.0" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return { host, port, url: `ws://${name}:${port}` };
}

/** Resolves when the server has closed every connection; it accepts no new one from now on. */
export async function stop(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeIdleConnections();
  await closed;
}
