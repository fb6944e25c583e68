import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { startEngine, startRedisCluster, startRedisSentinel } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startCluster, until } from "./cluster.js";

/** A server that accepts connections; `serve` handles them. */
async function occupyPort(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    serve(socket);
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a server on a port has an address");
  return address.port;
}

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `starting ${name}`))(`starting ${name} for a test`, () => {
    it.each([
      ["never answers", (socket: Socket) => void socket.resume()],
      ["answers something else", (socket: Socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ])("uses another port if a server has the port that %s", async (_what, serve) => {
      const port = await occupyPort(serve);
      const engine = await startEngine(name, { port });
      expect(engine.port).not.toBe(port);
    });

    it("resolves when nodes can connect to it", async () => {
      const { nodes } = await startCluster(name, 2);
      await until(() => nodes.every(({ app }) => app.status().backplane.nodes === 2));
    });
  });
}

describe.skipIf(missing("redis", "starting Redis of many servers"))("starting Redis of many servers for a test", () => {
  it("makes a cluster whose master of a key can be killed, and exchanged for its replica", async () => {
    const cluster = await startRedisCluster();
    const key = "enfilade:{/kept/a}";
    const first = await cluster.masterOf(key);
    await cluster.switchOver(key);
    const second = await cluster.masterOf(key);
    expect(second).not.toBe(first);
    expect(await cluster.failOver(key)).toBe(second);
    expect(await cluster.masterOf(key)).toBe(first);
  });

  it("makes a master that sentinels replace when it is killed", async () => {
    const sentinel = await startRedisSentinel();
    const first = await sentinel.master();
    expect(await sentinel.failOver()).toBe(first);
    expect((await sentinel.master()).port).not.toBe(first.port);
  });
});
