import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Refusal } from "../../connection/transport.js";

/** A request of `node:http`, or of `node:http2` with its compatibility API. */
export type PlainRequest = IncomingMessage | Http2ServerRequest;

/** A response of `node:http`, or of `node:http2` with its compatibility API. */
export type PlainResponse = ServerResponse | Http2ServerResponse;

/** The part of a response that both kinds have. Their own types cannot be called without knowing which one it is. */
export interface ResponseWriter {
  readonly headersSent: boolean;
  readonly writableLength: number;
  readonly writableEnded: boolean;
  readonly destroyed?: boolean | undefined;
  /** Only with HTTP/2. */
  readonly stream?: { readonly destroyed: boolean } | undefined;
  getHeader(name: string): unknown;
  setHeader(name: string, value: string): unknown;
  removeHeader(name: string): void;
  writeHead(status: number, headers?: OutgoingHttpHeaders): unknown;
  write(bytes: Uint8Array, onWritten?: (error?: Error | null) => void): boolean;
  end(body?: string | Uint8Array): unknown;
  destroy(): unknown;
  on(event: "close" | "error", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

/**
 * The headers as a WebSocket client sends them: without the pseudo-headers of HTTP/2 (RFC 9113 8.3), and with the
 * subprotocols of a client that speaks `enfilade.v1` over HTTP. A page cannot set their own header.
 */
export function headersOf({ headers }: PlainRequest): IncomingHttpHeaders {
  const { ":authority": authority, "enfilade-protocol": protocols } = headers;
  const fields = Object.entries(headers).filter(([name]) => !name.startsWith(":"));
  return {
    ...(typeof authority === "string" && { host: authority }),
    ...Object.fromEntries(fields),
    ...(typeof protocols === "string" && { "sec-websocket-protocol": protocols }),
  };
}

/**
 * Whether a body follows that was not read to its end. The next request on a connection of HTTP/1.1 cannot be found
 * before it.
 */
export function hasUnreadBody({ httpVersionMajor, complete, headers }: PlainRequest): boolean {
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  return httpVersionMajor < 2 && hasBody && !complete;
}

/** Header fields of a connection. RFC 9113 8.2.2: HTTP/2 has none of them, and Node throws for them. */
const connectionHeaders = ["connection", "upgrade"];
/** They follow from the body that is sent. An application may have copied them from another response. */
const bodyHeaders = ["content-length", "keep-alive", "proxy-connection", "transfer-encoding"];

/** Answers a request with a refusal. Throws for a header that HTTP does not allow. */
export function answerWithRefusal(
  request: PlainRequest,
  response: ResponseWriter,
  { status, headers, body }: Refusal,
): void {
  const left = request.httpVersionMajor < 2 ? bodyHeaders : [...bodyHeaders, ...connectionHeaders];
  const allowed = Object.entries(headers).filter(([name]) => !left.includes(name.toLowerCase()));
  if (hasUnreadBody(request)) response.setHeader("connection", "close");
  response.writeHead(status, { ...Object.fromEntries(allowed), "content-length": Buffer.byteLength(body) });
  response.end(body);
}

/** Whether nothing can be sent any more. */
export function hasEnded(response: ResponseWriter): boolean {
  // Http2ServerResponse has no `destroyed`.
  return response.destroyed === true || response.stream?.destroyed === true || response.writableEnded;
}
