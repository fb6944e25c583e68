import cluster from "node:cluster";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { redis } from "enfilade/redis";
import { createChat } from "./server.js";

const { PORT: port = "3000", REDIS_URL: redisURL } = process.env;

async function start(): Promise<void> {
  const { app, server } = createChat(redisURL === undefined ? undefined : redis(redisURL));
  server.listen(parsePort(port));
  await once(server, "listening");
  const { port: actualPort } = server.address() as AddressInfo;
  // For workers, the primary process prints the address: see cluster.ts.
  if (cluster.isPrimary) console.log(`The chat is at http://localhost:${actualPort}/`);
  // All processes stop together, so there is no other one that clients could move to.
  app.handleSignals({ withinMs: 0 });
}

function parsePort(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= 65_535) return number;
  throw new Error(`PORT must be an integer from 0 to 65535, got "${text}".`);
}

/** The text to print when the chat cannot start. */
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
