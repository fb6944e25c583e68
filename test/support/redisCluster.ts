import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineAddress } from "./engineAddress.js";
import { poll } from "./engineProcess.js";
import type { EngineServer, OpenEngine } from "./engines.js";
import { freePort } from "./ports.js";
import { engineOfMany, RedisServer } from "./redisServer.js";

const masterCount = 3;
const slots = 16_384;
/** Milliseconds until a master that does not answer is taken for lost. A failover then takes about two seconds. */
const nodeTimeoutMs = 700;

/** Three masters with one replica each. */
export interface RedisCluster extends EngineServer {
  /** The server that has the slot of a key now. */
  masterOf(key: string): Promise<RedisServer>;
  /** Kills the master of a key; resolves with it when a replica has taken over. */
  failOver(key: string): Promise<RedisServer>;
  /** Exchanges the master of a key and its replica, without a loss; resolves when it has happened. */
  switchOver(key: string): Promise<void>;
}

export async function openRedisCluster(): Promise<OpenEngine<RedisCluster>> {
  const folder = mkdtempSync(join(tmpdir(), "enfilade-redis-cluster-"));
  const servers: RedisServer[] = [];
  const remove = async () => {
    await Promise.all(servers.map((server) => server.kill()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (let n = 0; n < 2 * masterCount; n += 1) servers.push(await startMember(folder));
    await assemble(servers);
  } catch (error) {
    await remove();
    throw error;
  }
  return { engine: engineOf(servers, folder), remove };
}

async function startMember(folder: string): Promise<RedisServer> {
  // Not 10,000 above: another program may have that port.
  const busPort = String(await freePort());
  return RedisServer.start(folder, () => [
    ...["--cluster-enabled", "yes", "--cluster-node-timeout", String(nodeTimeoutMs), "--cluster-port", busPort],
    ...["--cluster-announce-ip", "127.0.0.1", "--cluster-replica-validity-factor", "0"],
    ...["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"],
  ]);
}

/** Makes one cluster of them: the first three are masters. */
async function assemble(servers: readonly RedisServer[]): Promise<void> {
  const [first] = servers;
  if (first === undefined) throw new Error("there is no server");
  const masters = servers.slice(0, masterCount);
  const share = Math.ceil(slots / masterCount);
  for (const [index, master] of masters.entries()) {
    await master.call("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
    const last = Math.min(slots, (index + 1) * share) - 1;
    await master.call("CLUSTER", "ADDSLOTSRANGE", String(index * share), String(last));
  }
  const firstBus = busPortOf(String(await first.call("CLUSTER", "NODES")));
  for (const server of servers.slice(1)) {
    await server.call("CLUSTER", "MEET", "127.0.0.1", String(first.port), firstBus);
  }
  const knowsAll = async (server: RedisServer) => (await linesOf(server)).length === servers.length;
  for (const server of servers) await poll("every server knows all", () => knowsAll(server));
  for (const [index, replica] of servers.slice(masterCount).entries()) {
    const id = String(await servers[index]?.call("CLUSTER", "MYID"));
    const replicate = () => replica.call("CLUSTER", "REPLICATE", id).then(isOk, () => false);
    await poll("the replica knows its master", replicate);
  }
  await allReady(servers);
}

const isOk = (answer: unknown) => String(answer) === "OK";

/** Resolves when every server finds the cluster in order, and every replica is in step. */
async function allReady(servers: readonly RedisServer[]): Promise<void> {
  for (const server of servers) {
    await poll("the cluster is in order", async () => {
      if (!String(await server.call("CLUSTER", "INFO")).includes("cluster_state:ok")) return false;
      const lines = await linesOf(server);
      return lines.filter(({ isMaster }) => !isMaster).length === servers.length - masterCount;
    });
  }
  for (const server of servers) {
    await poll("the replica is in step", async () => {
      const info = String(await server.call("INFO", "replication"));
      return info.includes("role:master") || info.includes("master_link_status:up");
    });
  }
}

interface ClusterLine {
  readonly port: number;
  readonly isMaster: boolean;
  readonly ranges: readonly (readonly [number, number])[];
}

async function linesOf(server: RedisServer): Promise<ClusterLine[]> {
  const text = String(await server.call("CLUSTER", "NODES"));
  return text
    .trim()
    .split("\n")
    .filter((line) => !/\b(handshake|noaddr)\b/.test(line))
    .map((line) => {
      const [, address = "", flags = "", , , , , , ...ranges] = line.split(" ");
      return {
        port: Number(/:(\d+)@/.exec(address)?.[1]),
        isMaster: flags.includes("master") && !flags.includes("fail"),
        ranges: ranges.filter((range) => !range.startsWith("[")).map(rangeOf),
      };
    });
}

function rangeOf(text: string): readonly [number, number] {
  const [from = 0, to = from] = text.split("-").map(Number);
  return [from, to];
}

function busPortOf(nodes: string): string {
  return /@(\d+)/.exec(nodes)?.[1] ?? "";
}

function engineOf(servers: readonly RedisServer[], folder: string): RedisCluster {
  const running = () => servers.filter(({ isRunning }) => isRunning);
  const address: EngineAddress = { kind: "redis-cluster", ports: servers.map(({ port }) => port) };
  const masterOf = async (key: string): Promise<RedisServer> => {
    for (const server of running()) {
      const slot = Number(await server.call("CLUSTER", "KEYSLOT", key));
      const lines = await linesOf(server);
      const master = lines.find((line) => line.isMaster && line.ranges.some(([a, b]) => slot >= a && slot <= b));
      const found = running().find(({ port }) => port === master?.port);
      if (found !== undefined) return found;
    }
    throw new Error(`no server has the slot of ${key}`);
  };
  const hasMoved = (key: string, from: RedisServer) => async () => {
    const states = await Promise.all(
      running().map(async (server) => String(await server.call("CLUSTER", "INFO")).includes("cluster_state:ok")),
    );
    return (
      states.every(Boolean) &&
      (await masterOf(key).then(
        (master) => master !== from,
        () => false,
      ))
    );
  };
  return {
    ...engineOfMany(servers, address, folder),
    restart: async () => {
      await Promise.all(servers.map((server) => server.restart()));
      await allReady(servers);
    },
    masterOf,
    failOver: async (key) => {
      const master = await masterOf(key);
      await master.kill();
      await poll("a replica has taken over", hasMoved(key, master));
      return master;
    },
    switchOver: async (key) => {
      const master = await masterOf(key);
      for (const server of running()) {
        const isReplica = String(await server.call("INFO", "replication")).includes(`master_port:${master.port}`);
        if (isReplica) await server.call("CLUSTER", "FAILOVER");
      }
      await poll("the replica has taken over", hasMoved(key, master));
    },
  };
}
