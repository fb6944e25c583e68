import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { connectURL } from "../../src/testing/index.js";
import { historySize, until } from "../backplane/cluster.js";
import { hasty, type Load, path } from "./clusterRun.js";

const script = fileURLToPath(new URL("clusterNode.ts", import.meta.url));

/** A node of the same cluster, in a process of its own. */
export interface ChildNode {
  /** A client of this node, in the room. */
  open(user: string): Promise<void>;
  /** Resolves when the node has reported the join of a user. */
  reported(user: string): Promise<void>;
  /** Kills the process. */
  kill(): void;
}

export async function startChild({ engine: { name, url } }: Load): Promise<ChildNode> {
  const args = ["--import", "tsx", script, name, url, JSON.stringify(hasty), path, String(historySize)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const lines = createInterface({ input: child.stdout });
  const joined = new Set<string>();
  lines.on("line", (line) => joined.add(line));
  const [port]: unknown[] = await Promise.race([once(lines, "line"), once(child, "exit").then(() => [])]);
  if (port === undefined) throw new Error(`the node ended with ${child.exitCode} before it listened`);
  return {
    open: async (user) => {
      const client = await connectURL(`ws://127.0.0.1:${port}${path}?user=${user}`);
      onTestFinished(() => client.terminate());
      while ((await client.readJSON()) !== "hello");
    },
    reported: (user) => until(() => joined.has(`join ${user}`)),
    kill: () => child.kill("SIGKILL"),
  };
}
