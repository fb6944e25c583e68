import type { ApiError, CsrfHeader, SessionInfo } from "../../api.js";

/** The URL of the admin, with a slash at its end. The script of the pages is in `assets/` below it. */
export const adminURL = new URL("..", import.meta.url);

export type Params = Readonly<Record<string, string | number | undefined>>;

/** The URL of a call; parameters that are empty or `undefined` are left out. */
export function urlOf(name: string, params: Params = {}): string {
  const url = new URL(`api/${name}`, adminURL);
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined && value !== "") url.searchParams.set(key, String(value));
  }
  return url.href;
}

/** A call that the server refused, or that did not reach it (status 0). */
export class CallError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

export async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  return read<T>(fetch(url, { headers: { accept: "application/json" }, ...(signal && { signal }) }));
}

/** Changes something. Asks for the CSRF token each time, since another server may answer after a restart. */
export async function post<T>(name: string, body: unknown): Promise<T> {
  const { csrf } = await get<SessionInfo>(urlOf("session"));
  const header: CsrfHeader = "x-enfilade-csrf";
  const headers = { accept: "application/json", "content-type": "application/json", [header]: csrf };
  return read<T>(fetch(urlOf(name), { method: "POST", headers, body: JSON.stringify(body) }));
}

async function read<T>(answer: Promise<Response>): Promise<T> {
  const response = await answer.catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new CallError("unreachable", "The server cannot be reached.", 0);
  });
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok && body !== undefined) return body as T; // The server has the same version as this page.
  const { code, message } = isRefusal(body) ? body.error : unreadable(response.status);
  throw new CallError(code, message, response.status);
}

function isRefusal(body: unknown): body is ApiError {
  return typeof body === "object" && body !== null && "error" in body && typeof body.error === "object";
}

function unreadable(status: number): ApiError["error"] {
  return { code: "unreadable", message: `The server answered with the status ${status}, and gave no reason.` };
}
