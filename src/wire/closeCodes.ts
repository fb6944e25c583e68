import { EnfiladeError } from "../errors.js";

/**
 * The close codes that this library sends, by name.
 *
 * 1000 to 1011 are RFC 6455 7.4.1. Of ours, 4000 to 4499 mean come back, 4500 to 4999 mean do not.
 */
export const CloseCode = {
  /** The handler or the client is done. */
  normal: 1000,
  /** The server shuts down. */
  goingAway: 1001,
  /** A binary message came where none is read. */
  unsupportedData: 1003,
  /** A text message is not JSON, and the handler wants such a client closed. */
  invalidPayload: 1007,
  /** A message came in too many fragments. */
  policyViolation: 1008,
  /** A message is larger than `messageBytesMax`. */
  messageTooBig: 1009,
  /** A hook of the handler threw. */
  internalError: 1011,
  /** It cannot be said now whether the client may stay. */
  tryAgainLater: 1013,
  /** The client read too slowly: more than `outboxBytesMax` waited for it. */
  slow: 4008,
  /** A client of `enfilade.v1` sent what is no frame of it. */
  badFrame: 4500,
  /** The client is refused, or the credentials that it renewed are. */
  unauthorized: 4501,
  /** There is no such room: no route for its path, or `authorize` answered 404. */
  notFound: 4504,
} as const;

/** Never sent (RFC 6455 7.4.1): the peer closed without a code. */
export const NO_CODE = 1005;
/** Never sent (RFC 6455 7.4.1): the connection broke without a close frame. */
export const ABNORMAL = 1006;

/**
 * Whether a client that is closed with `code` must not connect again (PROTOCOL.md). After an unknown code it may.
 */
export function isFinal(code: number): boolean {
  return (
    code === 1000 || code === 1003 || (code >= 1007 && code <= 1009) || (code >= 3000 && code < 4000) || code >= 4500
  );
}

/** The HTTP statuses that close codes stand for, since a page could not see them. */
const statuses: Readonly<Record<number, number>> = { 4501: 401, 4504: 404 };

/** The HTTP status that a close code stands for; `undefined` for other codes. */
export function statusOf(code: number): number | undefined {
  return statuses[code];
}

/** Whether a client that is refused with this HTTP status must not connect again: with any 4xx that does not tell it to wait. */
export function isFinalStatus(status = 0): boolean {
  return status >= 400 && status < 500 && ![408, 425, 429].includes(status);
}

/** The size of a control frame's payload, less the two bytes of the code (RFC 6455 5.5). */
const reasonBytesMax = 123;

/**
 * Checks a close code and a reason of the application, and returns the reason, cut to 123 bytes on a character boundary.
 *
 * @throws EnfiladeError `ERR_CLOSE_CODE` unless the code is 1000 or from 3000 to 4999 (RFC 6455 7.4.2), and the reason is a string.
 */
export function checkedReason(code: number, reason: string): string {
  const isCode = code === 1000 || (Number.isInteger(code) && code >= 3000 && code <= 4999);
  const wrong = isCode
    ? typeof reason !== "string" && `a string as its reason, got ${typeof reason}`
    : `1000 or a code from 3000 to 4999, got ${String(code)}`;
  if (wrong) throw new EnfiladeError("ERR_CLOSE_CODE", `close takes ${wrong}`);
  // Made here, not once for the module: a bundle that does not call this contains none of it.
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(reasonBytesMax));
  return reason.slice(0, read);
}
