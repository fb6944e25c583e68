import { EnfiladeError } from "../../errors.js";
import type { Origins } from "../../handler/route.js";

/** Returns true if a request with this `Origin` and this `Host` may connect. */
export type OriginCheck = (origin: string | undefined, host: string | undefined) => boolean;

/**
 * Makes the check for the option `origins`, once for each route.
 *
 * A request without an `Origin` does not come from a browser (RFC 6455 10.2), and passes.
 *
 * @throws EnfiladeError `ERR_OPTION` when `origins` has none of its four forms.
 */
export function originCheck(origins: Origins): OriginCheck {
  const isAllowed = browserOriginCheck(origins);
  return (origin, host) => origin === undefined || isAllowed(origin, host);
}

function browserOriginCheck(origins: Origins): (origin: string, host: string | undefined) => boolean {
  if (origins === "*") return () => true;
  if (origins === "same-host") return isSameHost;
  // Compared with `true`: a promise is truthy, but is not a decision.
  if (typeof origins === "function") return (origin) => origins(origin) === true;
  if (!Array.isArray(origins)) throw badOrigin(origins);
  const allowed = new Set(origins.map(normalOrigin));
  return (origin) => allowed.has(origin);
}

/** Compares the hosts as URLs, so that case and a default port do not matter. */
function isSameHost(origin: string, host: string | undefined): boolean {
  const from = URL.canParse(origin) ? new URL(origin) : undefined;
  if (from === undefined || host === undefined || !/^https?:$/.test(from.protocol)) return false;
  const to = `${from.protocol}//${host}`;
  return URL.canParse(to) && new URL(to).host === from.host;
}

function normalOrigin(origin: unknown): string {
  if (typeof origin !== "string" || origin.includes("*") || !URL.canParse(origin)) throw badOrigin([origin]);
  const { origin: normal, host } = new URL(origin);
  if (host === "") throw badOrigin([origin]);
  // For other schemes, such as those of browser extensions, the URL standard gives the origin "null".
  return normal === "null" ? origin.replace(/\/$/, "") : normal;
}

function badOrigin(came: unknown): EnfiladeError {
  const expected = '"same-host", "*", a function, or a list of origins such as ["https://example.com"]';
  return new EnfiladeError("ERR_OPTION", `origins takes ${expected}; got ${JSON.stringify(came)}`);
}
