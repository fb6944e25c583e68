import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import type { EngineServer } from "../support/engines.js";

/** Deletes all data of an engine, as an operator could. */
export async function forget({ name, url }: EngineServer): Promise<void> {
  if (name === "redis") await flush(url);
  else await deleteStreams(url);
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url);
  await client.flushall();
  await client.quit();
}

async function deleteStreams(url: string): Promise<void> {
  const connection = await connect({ servers: url });
  const { streams } = await jetstreamManager(connection);
  for await (const name of streams.names()) await streams.delete(name);
  await connection.close();
}
