// A program that measures, in a process of its own, and the lines that it writes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/**
 * Runs a program that tells what it does in lines of JSON, and its result in the last one; `tell` hears each of them,
 * and while what it returns is pending no further one.
 *
 * @param {string[]} command
 * @param {(event: Record<string, unknown>, proceed: () => void) => unknown} tell `proceed` ends a run that waits.
 * @param {number} [maxMs] for a program that has no bound of its own
 * @returns {Promise<Record<string, unknown>>} the result; rejects when a check failed
 */
export async function resultOf([program, ...args], tell, maxMs) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], timeout: maxMs });
  const exited = once(child, "exit");
  exited.catch(() => undefined);
  let last;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      last = JSON.parse(line);
      await tell(last, () => child.stdin.end("\n"));
    }
    const [code, signal] = await exited;
    if (last?.event === "result" && code === 0) return last;
    throw new Error(last?.why ?? `the program ended with ${code ?? signal} and without a result`);
  } finally {
    child.kill();
  }
}
