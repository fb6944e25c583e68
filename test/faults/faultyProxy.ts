import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Milliseconds between two chunks of a slow connection. */
const slowStepMs = 20;
/** Bytes that wait in the proxy before it reads no more from the server. */
const slowBytesMax = 16_384;

/** A connection through the proxy, and the ways to break it. */
export class ProxiedConnection {
  readonly #client: Socket;
  readonly #server: Socket;
  /** Bytes from the server that still pass before the connection is reset. */
  #left = Number.POSITIVE_INFINITY;
  #silent = false;
  /** Bytes from the server that a slow connection still has to pass on. */
  #slowed: Buffer[] | undefined;

  constructor(client: Socket, server: Socket) {
    this.#client = client;
    this.#server = server;
    client.on("data", (chunk) => this.#silent || server.write(chunk));
    server.on("data", (chunk) => this.#toClient(chunk));
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on("error", () => other.destroy());
      socket.on("end", () => this.#silent || other.end());
      socket.on("close", () => this.#silent || other.destroy());
    }
  }

  /** Resets both sides. */
  reset(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  /** Stops all traffic without an event: each side has to detect it. */
  silence(): void {
    this.#silent = true;
  }

  /** Lets a number of bytes pass before the reset, which then probably cuts a frame. */
  cutAfter(bytes: number): void {
    this.#left = bytes;
  }

  /** Passes only so many bytes a second from the server, for a time; then all that waits. */
  slowDown(bytesPerSecond: number, ms: number): void {
    if (this.#slowed !== undefined) return;
    this.#slowed = [];
    const end = performance.now() + ms;
    const step = setInterval(() => {
      const isOver = performance.now() >= end || this.#client.destroyed;
      const waiting = Buffer.concat(this.#slowed ?? []);
      const count = isOver ? waiting.length : Math.ceil((bytesPerSecond * slowStepMs) / 1_000);
      this.#slowed = isOver ? undefined : [waiting.subarray(count)];
      if (isOver) clearInterval(step);
      // Else the proxy would take what the slow client cannot.
      if (isOver || waiting.length - count < slowBytesMax) this.#server.resume();
      else this.#server.pause();
      if (count > 0) this.#pass(waiting.subarray(0, count));
    }, slowStepMs);
  }

  #toClient(chunk: Buffer): void {
    if (this.#slowed === undefined) this.#pass(chunk);
    else this.#slowed.push(chunk);
  }

  #pass(chunk: Buffer): void {
    if (this.#silent || chunk.length === 0) return;
    this.#client.write(chunk.subarray(0, this.#left));
    this.#left -= chunk.length;
    if (this.#left <= 0) this.#client.end(() => this.reset());
  }

  destroy(): void {
    this.#client.destroy();
    this.#server.destroy();
  }
}

/** A proxy between clients and a server that breaks their connections on request. */
export class FaultyProxy {
  readonly connections = new Set<ProxiedConnection>();
  readonly #server: Server;
  port = 0;

  private constructor(target: () => number) {
    this.#server = createServer((client) => {
      const server = connect(target(), "127.0.0.1");
      const connection = new ProxiedConnection(client, server);
      this.connections.add(connection);
      client.on("close", () => this.connections.delete(connection));
    });
  }

  /** @param target The port of the server, requested for each connection. */
  static async start(target: () => number): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    // The address is a string or null only for servers that listen on a pipe, or not at all.
    proxy.port = (proxy.#server.address() as AddressInfo).port;
    return proxy;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const connection of this.connections) connection.destroy();
    await closed;
  }
}
