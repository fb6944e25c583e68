// Starts an engine for a program: a server of its own, on a free loopback port, pinned to the other core.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pinned } from "../machine.mjs";

/** @param {"redis" | "nats"} name @param {number | undefined} core */
export async function startEngine(name, core) {
  const folder = mkdtempSync(join(tmpdir(), "enfilade-bench-"));
  const port = await findFreePort();
  const own = name === "redis" ? redisArgs(port, folder) : natsArgs(port, folder);
  const [command, ...args] = pinned(core, own);
  const server = spawn(command, args, { stdio: "ignore" });
  while (!(await isListening(port))) {
    if (server.exitCode !== null) throw new Error(`${command} ended with exit code ${server.exitCode}`);
    await sleep(10);
  }
  process.once("exit", () => {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  return { port, url: `${name}://127.0.0.1:${port}` };
}

function redisArgs(port, folder) {
  return ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder].map(String);
}

function natsArgs(port, folder) {
  return ["/usr/sbin/nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", folder].map(String);
}

async function findFreePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function isListening(port) {
  const socket = connect(port, "127.0.0.1");
  const isOpen = await once(socket, "connect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  return isOpen;
}
