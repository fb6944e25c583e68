import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Limits } from "../../src/index.js";
import { Mailbox } from "../support/app.js";
import type { EngineServer } from "../support/engines.js";

const script = fileURLToPath(new URL("requestNode.ts", import.meta.url));

/** A node in a process of its own that answers requests. */
export interface RequestChild {
  readonly port: number;
  /** The names of the requests that it ran. */
  readonly ran: Mailbox<string>;
  /** Kills the process; resolves when it has ended. */
  kill(): Promise<void>;
}

export async function startRequestChild(
  { name }: EngineServer,
  url: string,
  limits: Partial<Limits>,
  onRun?: (name: string) => void,
): Promise<RequestChild> {
  const args = ["--import", "tsx", script, name, url, JSON.stringify(limits)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const ran = new Mailbox<string>();
  const lines = createInterface({ input: child.stdout });
  const [port]: unknown[] = await Promise.race([once(lines, "line"), exited.then(() => [])]);
  if (port === undefined) throw new Error(`the node ended with ${child.exitCode} before it listened`);
  lines.on("line", (line) => {
    ran.put(line);
    onRun?.(line);
  });
  return {
    port: Number(port),
    ran,
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
