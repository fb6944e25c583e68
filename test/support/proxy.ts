import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A proxy in front of a server that a test can cut, stall and slow down. */
export interface Proxy {
  readonly port: number;
  /** Ends every connection, and refuses new ones until {@link open}. */
  cut(): void;
  /** Stops all traffic in both directions, without closing a connection. */
  stall(): void;
  /** Lets everything pass from now on, held bytes included. */
  open(): void;
  /** Delays each chunk by this number of milliseconds. */
  delay(ms: number): void;
}

export async function startProxy(target: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const held: (() => void)[] = [];
  let state: "open" | "cut" | "stalled" = "open";
  let delayMs = 0;
  const pass = (to: Socket, chunk: Buffer) => {
    const write = () => to.writable && to.write(chunk);
    if (state === "stalled") held.push(write);
    else if (delayMs > 0) setTimeout(write, delayMs);
    else write();
  };
  const server = createServer((near) => {
    if (state === "cut") {
      near.destroy();
      return;
    }
    const far = connect(target, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk) => pass(to, chunk));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a server on a port has an address");
  const cut = () => {
    state = "cut";
    held.length = 0;
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  return {
    port: address.port,
    cut,
    stall: () => {
      state = "stalled";
    },
    open: () => {
      state = "open";
      for (const write of held.splice(0)) write();
    },
    delay: (ms) => {
      delayMs = ms;
    },
  };
}
