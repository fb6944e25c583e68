// The generator's process, and the lines that it writes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { cores, pinned } from "./machine.mjs";

/**
 * Runs the generator; `tell` hears each of its events, and while what it returns is pending no further one.
 *
 * @param {string} program
 * @param {Record<string, string | number>} settings
 * @param {(event: Record<string, unknown>, proceed: () => void) => unknown} tell `proceed` ends a run that waits.
 * @returns {Promise<Record<string, unknown>>} the result; rejects when a check failed
 */
export async function generate(program, settings, tell) {
  const given = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const [command, ...args] = pinned(cores?.generator, [program, ...given]);
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
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
    throw new Error(last?.why ?? `the generator ended with ${code ?? signal} and without a result`);
  } finally {
    child.kill();
  }
}
