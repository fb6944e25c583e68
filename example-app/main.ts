import cluster from "node:cluster";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { redis } from "enfilade/redis";
import { Redis } from "ioredis";
import { RedisTodos } from "./corners/todoStore.js";
import { createExample, type ExampleOptions } from "./example.js";
import type { ProviderOptions } from "./sign-in/provider.js";

const { PORT: port = "3000" } = process.env;

async function start(): Promise<void> {
  const { app, server } = createExample(readOptions(process.env));
  server.listen(parsePort(port));
  await once(server, "listening");
  const { port: actualPort } = server.address() as AddressInfo;
  // For workers, the primary process prints the address: see cluster.ts.
  if (cluster.isPrimary) console.log(`The example is at http://localhost:${actualPort}/`);
  // All processes stop together, so there is no other one that clients could move to.
  app.handleSignals({ withinMs: 0 });
}

/** An empty variable counts as one that is not set. */
function readOptions(env: NodeJS.ProcessEnv): ExampleOptions {
  const redisURL = env.REDIS_URL || undefined;
  return {
    ...(redisURL && { backplane: redis(redisURL), todos: new RedisTodos(new Redis(redisURL)) }),
    secret: env.SESSION_SECRET || undefined,
    publicURL: env.PUBLIC_URL || undefined,
    operationsToken: env.OPERATIONS_TOKEN || undefined,
    provider: readProvider(env),
  };
}

/** @throws Error if only some of its three variables are set. */
function readProvider(env: NodeJS.ProcessEnv): ProviderOptions | undefined {
  const { OIDC_ISSUER: issuer = "", OIDC_CLIENT_ID: clientId = "", OIDC_CLIENT_SECRET: clientSecret = "" } = env;
  if (issuer + clientId + clientSecret === "") return undefined;
  if (issuer !== "" && clientId !== "" && clientSecret !== "") return { issuer, clientId, clientSecret };
  throw new Error("Set all of OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET, or none of them.");
}

function parsePort(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= 65_535) return number;
  throw new Error(`PORT must be an integer from 0 to 65535, got "${text}".`);
}

/** The text to print when the example cannot start. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") return `Port ${port} is taken. Choose another one: PORT=${Number(port) + 1} npm start`;
  if (code === "EACCES") return `Port ${port} is not allowed here. Choose one above 1023: PORT=3000 npm start`;
  return error.message;
}

try {
  await start();
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
