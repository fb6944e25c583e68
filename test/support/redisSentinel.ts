import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineAddress } from "./engineAddress.js";
import { end, launchAnywhere, poll } from "./engineProcess.js";
import type { EngineServer, OpenEngine } from "./engines.js";
import { command } from "./parts.js";
import { callRedis, engineOfMany, RedisServer } from "./redisServer.js";

const master = "mymaster";
const sentinelCount = 3;
/** Milliseconds until a master that does not answer is taken for lost. */
const downMs = 500;

/** One master and one replica, watched by three sentinels. */
export interface RedisSentinel extends EngineServer {
  /** The server that is the master now. */
  master(): Promise<RedisServer>;
  /** Kills the master; resolves with it when the replica has taken over. */
  failOver(): Promise<RedisServer>;
}

interface Sentinel {
  readonly port: number;
  readonly child: ChildProcess;
}

export async function openRedisSentinel(): Promise<OpenEngine<RedisSentinel>> {
  const folder = mkdtempSync(join(tmpdir(), "enfilade-redis-sentinel-"));
  const servers: RedisServer[] = [];
  const sentinels: Sentinel[] = [];
  const remove = async () => {
    await Promise.all([...sentinels.map(({ child }) => end(child)), ...servers.map((server) => server.kill())]);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const own = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];
    const first = await RedisServer.start(folder, () => own);
    servers.push(first);
    const replica = [...own, "--replicaof", "127.0.0.1", String(first.port)];
    // A server that starts again is told by the sentinels whom to follow.
    servers.push(await RedisServer.start(folder, () => replica));
    await poll("the replica is in step", async () => {
      const info = String(await servers[1]?.call("INFO", "replication"));
      return info.includes("master_link_status:up");
    });
    for (let n = 0; n < sentinelCount; n += 1) sentinels.push(await startSentinel(folder, n, first.port));
    for (const { port } of sentinels) await poll("every sentinel knows all", () => knowsAll(port));
  } catch (error) {
    await remove();
    throw error;
  }
  return { engine: engineOf(servers, sentinels, folder), remove };
}

async function startSentinel(folder: string, n: number, masterPort: number): Promise<Sentinel> {
  const own = join(folder, `sentinel-${n}`);
  mkdirSync(own);
  const file = join(own, "sentinel.conf");
  return launchAnywhere(command("redis"), (port) => {
    const lines = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${own}`,
      `sentinel monitor ${master} 127.0.0.1 ${masterPort} 2`,
      `sentinel down-after-milliseconds ${master} ${downMs}`,
      `sentinel failover-timeout ${master} 3000`,
      `sentinel parallel-syncs ${master} 1`,
    ];
    writeFileSync(file, lines.join("\n"));
    return [file, "--sentinel"];
  });
}

/** Whether a sentinel knows the other ones and the replica. */
async function knowsAll(port: number): Promise<boolean> {
  const answer = await callRedis(port, "SENTINEL", "MASTER", master);
  const fields = Array.isArray(answer) ? answer.map(String) : [];
  const field = (name: string) => Number(fields[fields.indexOf(name) + 1]);
  return field("num-other-sentinels") === sentinelCount - 1 && field("num-slaves") === 1;
}

function engineOf(servers: readonly RedisServer[], sentinels: readonly Sentinel[], folder: string): RedisSentinel {
  const [asked] = sentinels;
  if (asked === undefined) throw new Error("there is no sentinel");
  const address: EngineAddress = { kind: "redis-sentinel", ports: sentinels.map(({ port }) => port), master };
  const masterNow = async (): Promise<RedisServer> => {
    const answer = await callRedis(asked.port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", master);
    const port = Array.isArray(answer) ? Number(answer[1]) : 0;
    const found = servers.find((server) => server.port === port);
    if (found === undefined) throw new Error(`no server is the master on ${port}`);
    return found;
  };
  return {
    ...engineOfMany(servers, address, folder),
    restart: async () => {
      await Promise.all(servers.filter(({ isRunning }) => !isRunning).map((server) => server.restart()));
    },
    master: masterNow,
    failOver: async () => {
      const lost = await masterNow();
      await lost.kill();
      await poll("the replica has taken over", async () => {
        const now = await masterNow();
        return now !== lost && String(await now.call("INFO", "replication")).includes("role:master");
      });
      return lost;
    },
  };
}
