import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { deferred } from "../connection/clock.js";
import { HttpError } from "../errors.js";
import type { ClientSocket, ClientSocketEvents, ConnectOptions } from "./socket.js";

/**
 * Connects to a URL over the network. Rejects with an `HttpError` when the server refuses.
 *
 * @param onOpening Called before the connection is open, so that messages that arrive with the answer are not missed.
 */
export async function openWebSocket(
  url: string,
  options: ConnectOptions,
  onOpening: (socket: ClientSocket) => ClientSocketEvents,
): Promise<void> {
  const { headers = {}, protocols = [], compression = false } = options;
  const ws = new WebSocket(url, [...protocols], { headers: { ...headers }, perMessageDeflate: compression });
  const events = onOpening(new NetworkSocket(ws));
  ws.on("message", (data: Buffer, isBinary) => events.onMessage(isBinary ? data : data.toString()));
  ws.on("close", (code, reason) => events.onClose(code, reason.toString()));
  const { promise, resolve, reject } = deferred<void>();
  ws.once("open", resolve);
  ws.on("error", reject);
  ws.once("unexpected-response", (_request, response) => {
    refusalOf(response).then(reject, reject);
  });
  await promise;
}

class NetworkSocket implements ClientSocket {
  readonly #ws: WebSocket;

  constructor(ws: WebSocket) {
    this.#ws = ws;
  }

  get protocol(): string {
    return this.#ws.protocol;
  }

  get isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  send(data: string | Uint8Array): void {
    this.#ws.send(data, { binary: typeof data !== "string" });
  }

  close(code?: number, reason?: string): void {
    this.#ws.close(code, reason);
  }

  destroy(): void {
    this.#ws.terminate();
  }
}

async function refusalOf(response: IncomingMessage): Promise<HttpError> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
  const body = Buffer.concat(chunks).toString();
  return new HttpError(response.statusCode ?? 500, body, { headers: Object.fromEntries(headers) });
}
