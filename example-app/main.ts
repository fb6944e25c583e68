import cluster from "node:cluster";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { redis } from "enfilade/redis";
import { createChat } from "./server.js";

const { PORT: port = "3000", REDIS_URL: redisURL } = process.env;

async function start(): Promise<void> {
  const { app, server } = createChat(redisURL === undefined ? undefined : redis(redisURL));
  server.listen(portOf(port));
  await once(server, "listening");
  const { port: taken } = server.address() as AddressInfo;
  // Of many workers, the one that leads them says it, once.
  if (cluster.isPrimary) console.log(`The chat is at http://localhost:${taken}/`);
  const stop = async () => {
    // Nothing keeps the process alive then, so it ends by itself, with 0.
    server.close();
    await app.close();
    server.closeAllConnections();
    cluster.worker?.disconnect();
  };
  // Once: a second Ctrl+C ends the process at once, as it would without us.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
}

function portOf(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= 65_535) return number;
  throw new Error(`PORT is a number from 0 to 65535, got "${text}".`);
}

/** What to tell somebody who cannot start it. */
function complaint(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") return `Port ${port} is taken. Choose another one: PORT=${Number(port) + 1} npm start`;
  if (code === "EACCES") return `Port ${port} is not allowed here. Choose one above 1023: PORT=3000 npm start`;
  return error.message;
}

try {
  await start();
} catch (error) {
  console.error(complaint(error));
  process.exitCode = 1;
}
