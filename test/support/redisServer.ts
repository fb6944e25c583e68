import type { ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { backplaneOf, type EngineAddress } from "./engineAddress.js";
import { end, launch, launchAnywhere } from "./engineProcess.js";
import { command } from "./parts.js";

/** One Redis server of several. */
export class RedisServer {
  #child: ChildProcess;

  private constructor(
    readonly port: number,
    readonly argsOf: (port: number) => readonly string[],
    child: ChildProcess,
  ) {
    this.#child = child;
  }

  /** @param argsOf Arguments besides the port, the address and the folder. */
  static async start(folder: string, argsOf: (port: number) => readonly string[]): Promise<RedisServer> {
    const all = (port: number) => {
      const own = join(folder, String(port));
      mkdirSync(own, { recursive: true });
      return ["--port", String(port), "--bind", "127.0.0.1", "--dir", own, ...argsOf(port)];
    };
    const { port, child } = await launchAnywhere(command("redis"), all);
    return new RedisServer(port, all, child);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** One command over a connection of its own. */
  async call(name: string, ...args: string[]): Promise<unknown> {
    return callRedis(this.port, name, ...args);
  }

  kill(): Promise<void> {
    return end(this.#child);
  }

  async restart(): Promise<void> {
    const child = await launch(command("redis"), this.argsOf(this.port));
    if (child === undefined) throw new Error(`redis could not start again on port ${this.port}`);
    this.#child = child;
  }
}

/** What engines of many servers have in common. `url` and `port` are those of the first server. */
export function engineOfMany(servers: readonly RedisServer[], address: EngineAddress, folder: string) {
  const [first] = servers;
  if (first === undefined) throw new Error("there is no server");
  return {
    name: "redis" as const,
    port: first.port,
    url: `redis://127.0.0.1:${first.port}`,
    address,
    folder,
    backplane: (_url?: string, options?: object) => backplaneOf(address, options),
    kill: async () => {
      await Promise.all(servers.map((server) => server.kill()));
    },
  };
}

/** One command to the server on a port. Rejects if there is none. */
export async function callRedis(port: number, name: string, ...args: string[]): Promise<unknown> {
  const client = new Redis({ port, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  // The command rejects with it.
  client.on("error", () => undefined);
  try {
    return await client.call(name, ...args);
  } finally {
    client.disconnect();
  }
}
