import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { end } from "../../../test/support/engineProcess.js";
import { command } from "../../../test/support/parts.js";
import { freePort } from "../../../test/support/ports.js";
import type { Scene } from "../../scene.js";

/** A reverse proxy that passes targets on as they came. */
export interface ReverseProxy {
  readonly name: "nginx" | "haproxy";
  argsOf(folder: string, port: number, server: number): readonly string[];
}

const nginx: ReverseProxy = {
  name: "nginx",
  argsOf(folder, port, server) {
    const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const lines = [
      "daemon off;",
      "worker_processes 1;",
      `pid ${join(folder, "pid")};`,
      "events {}",
      "http {",
      "access_log off;",
      ...kinds.map((kind) => `${kind}_temp_path ${join(folder, kind)};`),
      `server { listen 127.0.0.1:${port}; merge_slashes off; location / { proxy_pass http://127.0.0.1:${server};`,
      'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";',
      "proxy_set_header Host $http_host; } }",
      "}",
    ];
    writeFileSync(join(folder, "nginx.conf"), lines.join("\n"));
    return ["-e", "stderr", "-c", join(folder, "nginx.conf")];
  },
};

const haproxy: ReverseProxy = {
  name: "haproxy",
  argsOf(folder, port, server) {
    const lines = [
      "defaults",
      "  mode http",
      "  timeout connect 5s",
      "  timeout client 30s",
      "  timeout server 30s",
      "frontend in",
      `  bind 127.0.0.1:${port}`,
      "  default_backend app",
      "backend app",
      `  server app 127.0.0.1:${server}`,
      "",
    ];
    writeFileSync(join(folder, "haproxy.cfg"), lines.join("\n"));
    return ["-db", "-f", join(folder, "haproxy.cfg")];
  },
};

export const reverseProxies: readonly ReverseProxy[] = [nginx, haproxy];

/** Starts a reverse proxy in front of a server. Returns its port; `undefined` if it is not installed. */
export async function startReverseProxy(
  scene: Scene,
  proxy: ReverseProxy,
  server: number,
): Promise<number | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "enfilade-hostile-"));
  const port = await freePort();
  const child = spawn(command(proxy.name), [...proxy.argsOf(folder, port, server)], { stdio: "ignore" });
  let isMissing = false;
  child.on("error", () => {
    isMissing = true;
  });
  scene.finally(async () => {
    if (!isMissing) await stop(child);
    rmSync(folder, { recursive: true, force: true });
  });
  await scene.until(`${proxy.name} accepts connections`, 10_000, async () => isMissing || (await isOpen(port)));
  if (!isMissing) return port;
  scene.skip(proxy.name, `${command(proxy.name)} is not installed`);
  return undefined;
}

/** nginx ends its workers only when it is asked to. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 2_000))]);
  await end(child);
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
