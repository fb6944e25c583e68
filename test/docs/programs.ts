import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { type Example, programOf } from "./examples.js";
import { placeOf } from "./markdown.js";

const runner = fileURLToPath(new URL("runExample.mjs", import.meta.url));
const exampleMs = 60_000;

/** The environment without the color settings of the test run: Node.js warns about them on stderr. */
function environment(): NodeJS.ProcessEnv {
  const { FORCE_COLOR: _force, NO_COLOR: _no, NODE_OPTIONS: _options, ...others } = process.env;
  return others;
}

/**
 * Runs an example in its own process until its module has finished.
 *
 * @returns the failure: an exit code other than 0, a time-out, or output to stderr; `undefined` if there is none.
 */
export function failureOf(project: string, { block, file, before }: Example): Promise<string | undefined> {
  const files = [...before, file].map((path) => join(project, programOf(path)));
  const args = [runner, ...files];
  const options = { cwd: dirname(join(project, file)), env: environment(), timeout: exampleMs } as const;
  return new Promise((resolve) => {
    execFile(process.execPath, args, { ...options, killSignal: "SIGKILL" }, (error, _stdout, stderr) => {
      const end = error?.killed === true ? `not finished after ${exampleMs} ms` : `ended with ${error?.code ?? 0}`;
      resolve(error === null && stderr === "" ? undefined : `${placeOf(block)}: ${end}\n${stderr}`);
    });
  });
}

/** How a program ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

/** An example that runs until `stop()`, or until the end of the test. */
export interface Program {
  /** Sends SIGTERM, as a container runtime does, and waits for the end. */
  stop(): Promise<Ended>;
}

/** Starts an example. Resolves when it has printed its first line. */
export async function startExample(project: string, file: string): Promise<Program> {
  const path = join(project, programOf(file));
  const child = spawn(process.execPath, [path], {
    cwd: dirname(path),
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stderr = text(child.stderr);
  const ended = once(child, "close").then(async ([code, signal]): Promise<Ended> => {
    return { code, signal, stderr: await stderr };
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    ended.then((how) => {
      throw new Error(`${file} ended before it was ready: ${JSON.stringify(how)}`);
    }),
  ]);
  return { stop: () => stop(child, ended) };
}

function stop(child: ChildProcess, ended: Promise<Ended>): Promise<Ended> {
  child.kill("SIGTERM");
  return ended;
}

/** Starts a server until the end of the test. Resolves when it has printed a line that matches `ready`. */
export async function startServer(command: string, args: readonly string[], ready: RegExp): Promise<void> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const lines: string[] = [];
  const ended = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  await new Promise<void>((resolve, reject) => {
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on("line", (line) => {
        lines.push(line);
        if (ready.test(line)) resolve();
      });
    }
    child.once("error", reject);
    child.once("close", () => reject(new Error(`${command} ended:\n${lines.join("\n")}`)));
  });
}
