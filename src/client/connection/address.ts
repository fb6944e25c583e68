import { secretPrefix, tokenPrefix, v1 } from "../../wire/frames.js";
import { type Position, positionText } from "../../wire/position.js";

/**
 * Returns `url` as an absolute URL with `ws` or `wss`. A relative URL is resolved against the page.
 *
 * @throws TypeError when it is not a URL, or has another scheme.
 */
export function webSocketURL(url: string | URL): URL {
  // Only a page has a location.
  const { location } = globalThis as { readonly location?: { readonly href: string } };
  const absolute = new URL(url, location?.href);
  absolute.protocol = absolute.protocol.replace("http", "ws");
  absolute.hash = "";
  if (/^wss?:$/.test(absolute.protocol)) return absolute;
  throw new TypeError(`connect takes ws, wss, http or https, got ${absolute.protocol}`);
}

/** Proxies limit the length of a request; 8 KB is usual. */
const urlLengthMax = 4_096;

/**
 * Adds the query parameters of `enfilade.v1` to `url`: the id of the client, and the positions to resume at.
 *
 * @param positions By the path of the room; `""` for the home. Those that do not fit are left out: the server then
 *   reports a loss.
 */
export function urlOf(url: URL, client: string, positions: ReadonlyMap<string, Position>): string {
  const complete = new URL(url);
  const query = complete.searchParams;
  query.set("client", client);
  for (const [room, position] of positions) {
    const text = positionText(position);
    if (!room) query.set("since", text);
    else if (complete.href.length < urlLengthMax) query.append("joined", `${text}:${room}`);
  }
  return complete.href;
}

/** The subprotocols to offer. They carry the secret and the token, since a URL would end up in logs. */
export function subprotocols(secret: string | undefined, token: string | undefined): string[] {
  const offered = [v1];
  if (secret) offered.push(secretPrefix + secret);
  if (token) offered.push(tokenPrefix + base64url(new TextEncoder().encode(token)));
  return offered;
}

/** Returns 128 random bits. */
export function newClientId(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(16)));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
