import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { randomPort } from "./ports.js";

/** How often another port is tried. */
const attemptsMax = 20;

export interface Launched {
  readonly port: number;
  readonly child: ChildProcess;
}

/** Starts a server on `first`, or on another port if that is taken. */
export async function launchAnywhere(
  command: string,
  argsOf: (port: number) => readonly string[],
  first = randomPort(),
): Promise<Launched> {
  let port = first;
  for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
    const child = await launch(command, argsOf(port));
    if (child !== undefined) return { port, child };
    port = randomPort();
  }
  throw new Error(`${command} did not start on any of ${attemptsMax} ports`);
}

/** Resolves when the server is ready, or with `undefined` if it ended, such as when its port is taken. */
export async function launch(command: string, args: readonly string[]): Promise<ChildProcess | undefined> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  // Read from its output, because another server may answer on the port.
  const isReady = await new Promise<boolean>((resolve) => {
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output }).on("line", (line) => readyLine.test(line) && resolve(true));
    }
    child.once("exit", () => resolve(false));
  });
  return isReady ? child : undefined;
}

/** Of Redis, of a sentinel, and of NATS. */
const readyLine = /Ready to accept connections|\+monitor master|Server is ready/;

/** Kills a process, and resolves when it has ended. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

const pollMs = 20;
const patienceMs = 30_000;

/** Asks a server until its answer is as expected: a server sends no event for its own state. */
export async function poll(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`in ${patienceMs} ms it did not come to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
