import { STATUS_CODES } from "node:http";
import type { Refusal, RefusalReason } from "../connection/transport.js";
import { HttpError, isInstance } from "../errors.js";

/** RFC 9110 15.5.22: a 426 names the required protocol. */
export const upgradeHeaders = { upgrade: "websocket", connection: "Upgrade" } as const;

/** A refusal in plain text. The default text is the standard phrase of the status. */
export function refusal(
  reason: RefusalReason,
  status: number,
  text = "",
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  const body = text === "" ? (STATUS_CODES[status] ?? "Refused") : text;
  return { reason, status, headers: { "content-type": "text/plain; charset=utf-8", ...headers }, body };
}

/** Accepts a `Response` of any library: an installed undici has its own class, which is not the global one. */
export function isResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === "[object Response]";
}

/** Reads a `Response` that `authorize` returned. */
export async function refusalOfResponse(response: Response): Promise<Refusal> {
  const headers: Record<string, string | string[]> = Object.fromEntries(response.headers);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers["set-cookie"] = cookies;
  return { reason: "authorize", status: response.status, headers, body: new Uint8Array(await response.arrayBuffer()) };
}

/**
 * The refusal of an `HttpError`; `undefined` for any other error, whose message must not reach the client, and for an
 * `HttpError` of a subclass whose getters throw.
 */
export function refusalOfError(error: unknown): Refusal | undefined {
  if (!isInstance(error, HttpError)) return undefined;
  try {
    const { status, message, headers } = error;
    return { ...refusal("authorize", status, message, headers), phrase: message === "" ? undefined : message };
  } catch {
    return undefined;
  }
}

/** A 503 with `Retry-After`: the client may try again after these seconds. */
export function busy(reason: RefusalReason, text: string, retryAfterSeconds = 5): Refusal {
  return refusal(reason, 503, text, { "retry-after": String(retryAfterSeconds) });
}
