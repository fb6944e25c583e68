import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below the ports that the system assigns to connections and to servers on port 0, so that no other test can take one
 * before the server does. The bus of a Redis cluster is 10,000 above.
 */
const ports = { first: 10_000, count: 20_000 };

export function randomPort(): number {
  return ports.first + Math.floor(ports.count * Math.random());
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomPort();
    // On every address, like a server without a host.
    const server = createServer().listen(port);
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
