import { EnfiladeError } from "../../errors.js";
import type { Origins } from "../../handler/route.js";

/** Decides on the `Origin` and the `Host` of a request. */
export type OriginCheck = (origin: string | undefined, host: string | undefined) => boolean;

/**
 * The check that `origins` stands for, chosen once for a route.
 *
 * A request without an `Origin` is not from a browser (RFC 6455 10.2), and passes.
 *
 * @throws EnfiladeError `ERR_OPTION` when it is none of the four forms.
 */
export function originCheck(origins: Origins): OriginCheck {
  const allowed = allowedBy(origins);
  return (origin, host) => origin === undefined || allowed(origin, host);
}

function allowedBy(origins: Origins): (origin: string, host: string | undefined) => boolean {
  if (origins === "*") return () => true;
  if (origins === "same-host") return isSameHost;
  // Compared, so that a promise, which is no decision, does not let anybody in.
  if (typeof origins === "function") return (origin) => origins(origin) === true;
  if (!Array.isArray(origins)) throw badOrigin(origins);
  const known = new Set(origins.map(normalOrigin));
  return (origin) => known.has(origin);
}

/** Compared as URLs, so that case and a default port make no difference. */
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
  // Other schemes, such as those of browser extensions, have no origin in the sense of the URL standard.
  return normal === "null" ? origin.replace(/\/$/, "") : normal;
}

function badOrigin(came: unknown): EnfiladeError {
  return new EnfiladeError(
    "ERR_OPTION",
    `origins takes "same-host", "*", a function, or a list of origins such as "https://example.com"; got ${JSON.stringify(came)}`,
  );
}
