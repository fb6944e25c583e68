import { STATUS_CODES } from "node:http";
import type { Refusal } from "../connection/transport.js";
import { HttpError } from "../errors.js";

/** RFC 9110 15.5.22: a 426 names the protocol that is wanted. */
export const upgradeHeaders = { upgrade: "websocket", connection: "Upgrade" } as const;

/** A refusal in plain text; without a text it is the standard phrase of the status. */
export function refusal(status: number, text = "", headers: Readonly<Record<string, string>> = {}): Refusal {
  const body = text === "" ? (STATUS_CODES[status] ?? "Refused") : text;
  return { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers }, body };
}

export async function refusalOfResponse(response: Response): Promise<Refusal> {
  const headers: Record<string, string | string[]> = Object.fromEntries(response.headers);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers["set-cookie"] = cookies;
  return { status: response.status, headers, body: new Uint8Array(await response.arrayBuffer()) };
}

/** `undefined` for an error that is none of the client's business. */
export function refusalOfError(error: unknown): Refusal | undefined {
  return error instanceof HttpError ? refusal(error.status, error.message, error.headers) : undefined;
}

/** A refusal that a client may come back after. */
export function busy(text: string): Refusal {
  return refusal(503, text, { "retry-after": "5" });
}
