import type { App } from "../server/app.js";
import { type LinkedClient, LinkedTransport } from "./linkedTransport.js";
import type { ConnectOptions } from "./socket.js";

/** Has `client` ask an app to connect, and returns the transport between the two. */
export function link(
  app: App,
  path: string,
  { headers = {}, protocols = [] }: ConnectOptions,
  client: LinkedClient,
): LinkedTransport {
  const transport = new LinkedTransport(client, protocols);
  // As a request target: what a URL would encode is encoded.
  const { pathname, search } = new URL(`ws://localhost${path}`);
  const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  const offered = protocols.length === 0 ? {} : { "sec-websocket-protocol": protocols.join(", ") };
  app.accept(transport, {
    url: pathname + search,
    headers: { host: "localhost", ...offered, ...Object.fromEntries(named) },
  });
  return transport;
}
