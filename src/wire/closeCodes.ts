import { EnfiladeError } from "../errors.js";

/**
 * The close codes that this library sends.
 *
 * ```ts
 * connection.close(CloseCode.normal);
 * ```
 *
 * 1000 to 1013 have the meaning of RFC 6455 7.4.1 and of its IANA registry. Clients of `enfilade.v1` reconnect after
 * 4000 to 4499, and do not after 4500 to 4999. An application may send 1000 and codes from 3000 to 4999.
 */
export const CloseCode = {
  /** The handler or the client has finished. */
  normal: 1000,
  /** The server is shutting down. */
  goingAway: 1001,
  /** The client sent a binary message, but the handler has no `onBinary`. */
  unsupportedData: 1003,
  /** The client sent a message that is not valid, such as text that is not JSON, and nothing handled the error. */
  invalidPayload: 1007,
  /** A message had more than `fragmentsMax` fragments, or too many messages arrived at once. */
  policyViolation: 1008,
  /** A message is larger than `messageBytesMax`. */
  messageTooBig: 1009,
  /** A hook of the handler threw. */
  internalError: 1011,
  /** The server is being replaced: `app.drain()` closed a plain client, which may connect again at once. */
  serviceRestart: 1012,
  /** The server cannot read the history of the room, or cannot check renewed credentials, at the moment. */
  tryAgainLater: 1013,
  /** The client read too slowly: it exceeded `outboxBytesMax`, `outboxAgeMsMax` or `earlyMessagesMax`. */
  slow: 4008,
  /** The user has `connectionsPerUserMax` connections. */
  tooManyConnections: 4009,
  /** A client of `enfilade.v1` sent a message that is not a frame of `enfilade.v1`. */
  badFrame: 4500,
  /** The client or its renewed credentials were refused (HTTP 401 or 403), or `app.revoke()` ended its access. */
  unauthorized: 4501,
  /** No route matches the path, or `authorize` answered 404. */
  notFound: 4504,
} as const;

/** The peer closed without a code. Never sent (RFC 6455 7.4.1). */
export const NO_CODE = 1005;
/** The connection broke without a close frame. Never sent (RFC 6455 7.4.1). */
export const ABNORMAL = 1006;

/** Whether a client that was closed with `code` must not reconnect (PROTOCOL.md). After an unknown code it may. */
export function isFinal(code: number): boolean {
  return (
    code === 1000 || code === 1003 || (code >= 1007 && code <= 1009) || (code >= 3000 && code < 4000) || code >= 4500
  );
}

/**
 * The HTTP status that a close code stands for, since a browser hides the status of a refused handshake; `undefined`
 * for other codes.
 */
export function statusOf(code: number): number | undefined {
  return code === 4501 ? 401 : code === 4504 ? 404 : undefined;
}

/** Whether a client that was refused with this HTTP status must not reconnect: 4xx, without those that mean "wait". */
export function isFinalStatus(status = 0): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429;
}

/** The maximum payload of a control frame, without the two bytes of the code (RFC 6455 5.5). */
const reasonBytesMax = 123;

/**
 * Checks a close code and a reason of the application. Returns the reason, cut to 123 bytes of whole characters.
 *
 * @throws EnfiladeError `ERR_CLOSE_CODE` when the code is neither 1000 nor from 3000 to 4999 (RFC 6455 7.4.2), or the
 *   reason is not a string.
 */
export function checkedReason(code: number, reason: string): string {
  const isCode = code === 1000 || (Number.isInteger(code) && code >= 3000 && code <= 4999);
  const wrong = isCode
    ? typeof reason !== "string" && `a string as its reason, got ${typeof reason}`
    : `1000 or a code from 3000 to 4999, got ${code}`;
  if (wrong) throw new EnfiladeError("ERR_CLOSE_CODE", `close takes ${wrong}`);
  // The encoder is local: with one at the top level, a bundle that does not call this function would contain it.
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(reasonBytesMax));
  return reason.slice(0, read);
}
