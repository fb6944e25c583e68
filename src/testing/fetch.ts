import { createServer, type IncomingMessage, request as requestOf } from "node:http";
import { Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EnfiladeError } from "../errors.js";
import type { App } from "../server/app.js";

/** One end of a connection in memory. */
class LinkEnd extends Duplex {
  other: LinkEnd | undefined;
  #onRead: (() => void) | undefined;

  override _read(): void {
    const onRead = this.#onRead;
    this.#onRead = undefined;
    onRead?.();
  }

  override _write(chunk: Uint8Array, _encoding: string, onDone: () => void): void {
    this.other?.receive(chunk, onDone);
  }

  override _final(onDone: () => void): void {
    this.other?.receive(null, onDone);
  }

  override _destroy(error: Error | null, onDone: (error: Error | null) => void): void {
    // As a socket does, the other end notices it later.
    setImmediate(() => this.other?.destroy());
    onDone(error);
  }

  /** Receives what the other end writes, which may continue when this end has room again. */
  receive(chunk: Uint8Array | null, onDone: () => void): void {
    if (this.destroyed || this.push(chunk) || chunk === null) onDone();
    else this.#onRead = onDone;
  }
}

function linkEnds(): [LinkEnd, LinkEnd] {
  const [one, other] = [new LinkEnd(), new LinkEnd()];
  one.other = other;
  other.other = one;
  return [one, other];
}

/** A function like `fetch`, for the paths of an app: the result of {@link fetchOf}. */
export type AppFetch = (path: string, init?: RequestInit) => Promise<Response>;

/**
 * Returns a function like `fetch` that sends plain HTTP requests to an app in memory, without a port: to its rooms with
 * the option `http`, and to its extensions. It takes a path, such as `/chat/general?limit=10`.
 *
 * ```ts
 * const fetch = fetchOf(app);
 * const response = await fetch("/chat/general", { method: "POST", body: "hello" });
 * ```
 *
 * @throws EnfiladeError (as a rejection of the returned function) `ERR_PATH` when the path does not begin with a slash.
 */
export function fetchOf(app: App): AppFetch {
  const server = createServer((request, response) => app.requestListener(request, response));
  return async (path, init) => {
    if (typeof path !== "string" || !path.startsWith("/")) {
      throw new EnfiladeError("ERR_PATH", `fetch takes a path such as "/chat/x", got ${JSON.stringify(path)}`);
    }
    const asked = new Request(`http://localhost${path}`, init);
    const [clientEnd, serverEnd] = linkEnds();
    server.emit("connection", serverEnd);
    return send(path, asked, clientEnd);
  };
}

async function send(path: string, asked: Request, socket: Duplex): Promise<Response> {
  const { method, signal } = asked;
  const headers = { ...Object.fromEntries(asked.headers), host: "localhost" };
  const request = requestOf({ method, path, headers, signal, createConnection: () => socket });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.on("response", resolve).on("error", reject);
  });
  // A server may answer before it has read the body.
  if (asked.body === null) request.end();
  else pipeline(Readable.fromWeb(asked.body), request).catch((error) => request.destroy(error));
  const response = await answered;
  const hasBody = response.statusCode !== 204 && method !== "HEAD";
  return new Response(hasBody ? (Readable.toWeb(response) as ReadableStream) : null, {
    status: response.statusCode ?? 0,
    headers: Object.entries(response.headersDistinct).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    ),
  });
}
