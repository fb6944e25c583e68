import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { command, type PartName } from "../support/parts.js";
import { freePort } from "../support/ports.js";
import { withPorts } from "./examples.js";
import { readPage } from "./pages.js";
import { startServer } from "./programs.js";

export const page = readPage("docs/deployment.md");

/** The only block of the page in a language. */
export function blockOf(language: string): string {
  const [block, ...others] = page.blocks.filter((one) => one.language === language);
  if (block === undefined || others.length > 0) throw new Error(`the page has to have one ${language} block`);
  return block.code;
}

async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "enfilade-proxy-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

export interface ReverseProxy {
  readonly name: PartName & ("nginx" | "haproxy");
  /** The time after which it closes an idle connection, in its configuration. */
  readonly timeout: RegExp;
  /** Starts it in front of `port`, with a changed configuration, and returns its own port. */
  start(port: number, change?: (config: string) => string): Promise<number>;
}

export const nginx: ReverseProxy = {
  name: "nginx",
  timeout: /\bproxy_read_timeout (\d+)m;/,
  start: async (app, change = (config) => config) => {
    const [path, port] = [await temporaryFolder(), await freePort()];
    const config = withPorts(blockOf("nginx"), { 8000: app }).replace(/\blisten 80;/, `listen ${port};`);
    await writeFile(join(path, "site.conf"), change(config));
    const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const around = [
      "daemon off;",
      "worker_processes 1;",
      "error_log stderr notice;",
      `pid ${join(path, "pid")};`,
      "events {}",
      "http {",
      "access_log off;",
      ...kinds.map((kind) => `${kind}_temp_path ${join(path, kind)};`),
      `include ${join(path, "site.conf")};`,
      "}",
    ];
    await writeFile(join(path, "nginx.conf"), around.join("\n"));
    await startServer(command("nginx"), ["-e", "stderr", "-c", join(path, "nginx.conf")], /start worker process \d/);
    return port;
  },
};

export const haproxy: ReverseProxy = {
  name: "haproxy",
  timeout: /\btimeout tunnel (\d+)m\n/,
  start: async (app, change = (config) => config) => {
    const [path, port] = [await temporaryFolder(), await freePort()];
    const config = withPorts(blockOf("haproxy"), { 8000: app }).replace(/\bbind :80\n/, `bind :${port}\n`);
    // HAProxy prints nothing when it listens. With this line of the backend it prints that the app passed a check.
    await writeFile(join(path, "haproxy.cfg"), `${change(config)}  option log-health-checks\n`);
    await startServer(command("haproxy"), ["-db", "-f", join(path, "haproxy.cfg")], /Health check .* succeeded/);
    return port;
  },
};
