import { type IncomingHttpHeaders, IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { App } from "../server/app.js";
import { type LinkedClient, LinkedTransport } from "./linkedTransport.js";
import type { ConnectOptions } from "./socket.js";

/** Connects `client` to an app in memory. Returns the transport between the two. */
export function link(
  app: App,
  path: string,
  { headers = {}, protocols = [] }: ConnectOptions,
  client: LinkedClient,
): LinkedTransport {
  const transport = new LinkedTransport(client, protocols);
  // Encodes the path as in a request target.
  const { pathname, search } = new URL(`ws://localhost${path}`);
  const lowerCased = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  const offered = protocols.length === 0 ? {} : { "sec-websocket-protocol": protocols.join(", ") };
  const url = pathname + search;
  const sent = { host: "localhost", ...offered, ...Object.fromEntries(lowerCased) };
  app.accept(transport, { url, headers: sent, raw: nodeRequest(url, sent) });
  return transport;
}

/** A request of Node without a connection: session middleware reads its method, URL and headers. */
function nodeRequest(url: string, headers: IncomingHttpHeaders): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { method: "GET", url, headers });
}
