import type { IncomingHttpHeaders } from "node:http";
import type { Route } from "../router.js";
import type { ResponseWriter } from "./messages.js";

/** The headers that a page may send to a room. */
const allowedHeaders =
  "authorization, content-type, enfilade-protocol, enfilade-stream, idempotency-key, last-event-id";
/** Seconds for which a browser need not ask again. */
const maxAgeSeconds = 600;

/** Whether a request without an `Origin` was made by a page of another origin, as a browser says (Fetch Metadata). */
export function isHiddenPage(headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  return headers.origin === undefined && (site === "cross-site" || site === "same-site");
}

/**
 * Lets the page of an allowed origin read the response (Fetch standard, 3.2). With `origins: "*"`, it is read without
 * cookies, and the same for all pages.
 *
 * @param allowed `undefined` if no page may read it.
 */
export function addOriginHeaders(response: ResponseWriter, allowed: string | undefined, { origins }: Route): void {
  if (origins !== "*") response.setHeader("vary", varyOf(response.getHeader("vary")));
  if (allowed === undefined) return;
  response.setHeader("access-control-allow-origin", origins === "*" ? "*" : allowed);
  response.setHeader("access-control-expose-headers", "retry-after");
  if (origins !== "*") response.setHeader("access-control-allow-credentials", "true");
}

/** Middleware may have set the header. */
function varyOf(known: unknown): string {
  const names = Array.isArray(known) ? known.join(", ") : String(known ?? "");
  return names === "" ? "origin" : `${names}, origin`;
}

/** Answers a preflight request, or another `OPTIONS`. */
export function answerOptions(response: ResponseWriter, methods: string, isAllowed: boolean): void {
  if (isAllowed) {
    response.setHeader("access-control-allow-methods", methods);
    response.setHeader("access-control-allow-headers", allowedHeaders);
    response.setHeader("access-control-max-age", String(maxAgeSeconds));
  }
  response.writeHead(204, { allow: methods });
  response.end();
}
