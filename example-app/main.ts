import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createChat } from "./server.js";

const { app, server } = createChat();

async function start(): Promise<void> {
  server.listen(portOf(process.env.PORT ?? "3000"));
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  console.log(`The chat is at http://localhost:${port}/`);
  // Once: a second Ctrl+C ends the process at once, as it would without us.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
}

/** Nothing keeps the process alive then, so it ends by itself, with 0. */
async function stop(): Promise<void> {
  server.close();
  await app.close();
  server.closeAllConnections();
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new Error(`PORT is a number from 0 to 65535, got "${text}".`);
}

/** What to tell somebody who cannot start it. */
function complaint(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? error.code : undefined;
  const port = process.env.PORT ?? "3000";
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
