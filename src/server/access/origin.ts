import { EnfiladeError } from "../../errors.js";
import type { Origins } from "../../handler/route.js";

/** Returns true if a request with this `Origin` and this `Host` may connect. */
export type OriginCheck = (origin: string | undefined, host: string | undefined) => boolean;

/**
 * Makes the check for the option `origins`, once for each route.
 *
 * A request without an `Origin` does not come from a browser (RFC 6455 10.2), and passes. An `Origin` that no browser
 * sends never passes: origins are compared in their serialized form (RFC 6454 6.2), character by character.
 *
 * @throws EnfiladeError `ERR_OPTION` when `origins` has none of its four forms.
 */
export function originCheck(origins: Origins): OriginCheck {
  const isAllowed = browserOriginCheck(origins);
  return (origin, host) => origin === undefined || (isSerialized(origin) && isAllowed(origin, host));
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

/** An origin that is not `null`, and that the URL standard does not know, such as that of a browser extension. */
const otherOrigin = /^[a-z][a-z\d+.-]*:\/\/[a-z\d._-]*(?::\d+)?$/;

/** Whether a browser could send this origin: `null`, or a scheme, a host in lower case, and a port if it is special. */
export function isSerialized(origin: string): boolean {
  if (origin === "null") return true;
  const normal = URL.canParse(origin) ? new URL(origin).origin : "";
  return normal === "null" ? otherOrigin.test(origin) : normal === origin;
}

/** A host may name the default port of the origin's scheme: some proxies add it. */
function isSameHost(origin: string, host: string | undefined): boolean {
  if (host === undefined) return false;
  if (origin.startsWith("https://")) return origin === `https://${host.replace(/:443$/, "")}`;
  return origin === `http://${host.replace(/:80$/, "")}`;
}

function normalOrigin(origin: unknown): string {
  if (typeof origin !== "string" || origin.includes("*") || !URL.canParse(origin)) throw badOrigin([origin]);
  const { origin: normal, host, username, pathname, search, hash } = new URL(origin);
  const isMore = username !== "" || pathname.length > 1 || search !== "" || hash !== "";
  if (host === "" || isMore) throw badOrigin([origin]);
  // For other schemes, such as those of browser extensions, the URL standard gives the origin "null".
  return normal === "null" ? origin.replace(/\/$/, "") : normal;
}

function badOrigin(came: unknown): EnfiladeError {
  const expected = '"same-host", "*", a function, or a list of origins such as ["https://example.com"]';
  return new EnfiladeError("ERR_OPTION", `origins takes ${expected}; got ${JSON.stringify(came)}`);
}
