import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Limits } from "../../src/index.js";
import { end } from "../support/engineProcess.js";
import type { MemoryAnswer, MemoryQuestion } from "./memoryServer.js";

const script = fileURLToPath(new URL("memoryServer.ts", import.meta.url));

/** A server in a process of its own, with 256 MiB of heap. */
export interface MemoryChild {
  readonly port: number;
  readonly url: string;
  /** Rejects if the process has ended. */
  ask(question: MemoryQuestion): Promise<MemoryAnswer>;
}

/** Starts a server that runs until the end of the test. */
export async function startMemoryChild(limits: Partial<Limits> = {}): Promise<MemoryChild> {
  const child = fork(script, [JSON.stringify(limits)], {
    execArgv: ["--max-old-space-size=256", "--expose-gc", "--import", "tsx"],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  onTestFinished(() => end(child));
  const ended = once(child, "exit").then(([code, signal]) => {
    throw new Error(`the server has ended: ${code ?? signal}`);
  });
  ended.catch(() => undefined);
  // The server sends its port first, and then an answer to each question.
  const next = async () => ((await Promise.race([once(child, "message"), ended])) as unknown[])[0];
  const port = (await next()) as number;
  const ask = async (question: MemoryQuestion) => {
    const answer = next();
    child.send(question);
    return (await answer) as MemoryAnswer;
  };
  return { port, url: `ws://127.0.0.1:${port}`, ask };
}
