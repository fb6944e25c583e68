import { tokenPrefix, v1 } from "../../wire/frames.js";
import type { Position } from "../../wire/position.js";

/**
 * `url` for a WebSocket: `http` becomes `ws`, and what is relative begins at the page.
 *
 * @throws TypeError when it is no URL, or one of another scheme.
 */
export function webSocketURL(url: string | URL): URL {
  // There is a location where there is a page.
  const { location } = globalThis as { readonly location?: { readonly href: string } };
  const absolute = new URL(url, location?.href);
  absolute.protocol = absolute.protocol.replace("http", "ws");
  absolute.hash = "";
  if (/^wss?:$/.test(absolute.protocol)) return absolute;
  throw new TypeError(`connect takes ws(s) or http(s), got ${absolute.protocol}`);
}

/** `url` with what the server has to know of a connection. */
export function urlOf(url: URL, client: string, since: Position | undefined): string {
  const complete = new URL(url);
  complete.searchParams.set("client", client);
  if (since) complete.searchParams.set("since", `${since.epoch}:${since.offset}`);
  return complete.href;
}

/** What a handshake offers. A token goes here since a URL ends up in logs. */
export function subprotocols(token: string | undefined): string[] {
  return token ? [v1, tokenPrefix + base64url(new TextEncoder().encode(token))] : [v1];
}

/** 128 random bits that nobody guesses: whoever knows the id of a client could have its frames taken for duplicates. */
export function newClientId(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(16)));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
