import { STATUS_CODES } from "node:http";
import { EnfiladeError, HttpError, isInstance } from "../../errors.js";
import type { ApiError } from "../api.js";

/** Pages take everything from this host, run no inline code, and are shown in no frame. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The headers of every response. */
export const safeHeaders: Readonly<Record<string, string>> = {
  "content-security-policy": contentSecurityPolicy,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

export function jsonResponse(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return Response.json(value, { status, headers: { ...headers, ...safeHeaders } });
}

/** Adds the headers that every response has to one of the application. */
export function madeSafe(response: Response): Response {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(safeHeaders)) headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}

/** The code and the status of an error that the caller may see; `undefined` for any other error. */
function publicError(error: unknown): { status: number; code: string } | undefined {
  if (isInstance(error, HttpError)) return { status: error.status, code: error.code };
  if (!isInstance(error, EnfiladeError)) return undefined;
  const { code } = error;
  // The application has made a mistake, not the caller.
  if (code === "ERR_USER" && error.message.startsWith("authorize of")) return undefined;
  return { status: code === "ERR_BACKPLANE" || code === "ERR_APP_STATE" ? 503 : 400, code };
}

/** The code of an error for an audit line. */
export function codeOf(error: unknown): string {
  return publicError(error)?.code ?? "failed";
}

/** The response for an error; `undefined` if its message must not reach the caller. */
export function errorResponse(error: unknown): Response | undefined {
  const known = publicError(error);
  if (known === undefined) return undefined;
  const { status, code } = known;
  const message = (isInstance(error, Error) && error.message) || (STATUS_CODES[status] ?? "Refused");
  const body: ApiError = { error: { code, message } };
  return jsonResponse(body, status, isInstance(error, HttpError) ? error.headers : {});
}
