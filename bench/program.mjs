// Runs a measuring program as a child process and reads the lines that it writes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/**
 * Runs a program that writes its events as lines of JSON, the result last. `onEvent` is called with each event, and the
 * next one waits until the returned promise has settled. `proceed` lets a waiting program continue.
 *
 * @param {string[]} command
 * @param {(event: Record<string, unknown>, proceed: () => void) => unknown} onEvent
 * @param {number} [maxMs] Time limit, for a program that has none of its own.
 * @returns {Promise<Record<string, unknown>>} The result; rejects when a check failed.
 */
export async function runProgram([program, ...args], onEvent, maxMs) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], timeout: maxMs });
  const exited = once(child, "exit");
  exited.catch(() => undefined);
  let last;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      last = JSON.parse(line);
      await onEvent(last, () => child.stdin.end("\n"));
    }
    const [code, signal] = await exited;
    if (last?.event === "result" && code === 0) return last;
    throw new Error(last?.why ?? `the program ended with ${code ?? signal} before it printed a result`);
  } finally {
    child.kill();
  }
}
