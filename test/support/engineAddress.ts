import { Cluster } from "ioredis";
import { type Backplane, MemoryBackplane } from "../../src/backplane/index.js";
import { nats } from "../../src/nats/index.js";
import { redis } from "../../src/redis/index.js";

/** Where an engine is, as JSON, so that a process of its own can connect to it. */
export type EngineAddress =
  | { readonly kind: "memory" }
  | { readonly kind: "redis" | "nats"; readonly url: string }
  | { readonly kind: "redis-cluster"; readonly ports: readonly number[] }
  | { readonly kind: "redis-sentinel"; readonly ports: readonly number[]; readonly master: string };

/** A backplane over the engine at this address. */
export function backplaneOf(address: EngineAddress, options: object = {}): Backplane {
  if (address.kind === "memory") return new MemoryBackplane();
  if ("url" in address) return address.kind === "redis" ? redis(address.url, options) : nats(address.url, options);
  const servers = address.ports.map((port) => ({ host: "127.0.0.1", port }));
  if (address.kind === "redis-sentinel") return redis({ sentinels: servers, name: address.master }, options);
  // Never connects: the library copies it.
  return redis(new Cluster(servers, { lazyConnect: true }), options);
}

/** The same engine behind a proxy on this port. An engine of many servers has no single way to it. */
export function addressThrough(address: EngineAddress, port: number): EngineAddress {
  if (!("url" in address)) return address;
  const url = new URL(address.url);
  url.port = String(port);
  return { ...address, url: String(url) };
}
