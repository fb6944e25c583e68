import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** The command line that runs `enfilade` as `npm test` has built it. Loading its source would take most of the time. */
export const enfilade: readonly string[] = [process.execPath, main];

/** For tests that run several processes one after another, each of which may take seconds to start. */
export const patient = { timeout: 120_000 };

export interface RunOptions {
  /** What is piped in. Default: nothing, and the pipe stays open until {@link Running.end}. */
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly folder?: string;
}

/** How a command has ended. */
export interface Result {
  /** `null` if a signal ended the process. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A command in a process of its own, until the end of the test. */
export class Running {
  readonly result: Promise<Result>;
  readonly #child: ChildProcessWithoutNullStreams;
  #out = "";
  #err = "";
  #hasEnded = false;
  #waiting: { readonly isDone: () => boolean; readonly resolve: () => void; readonly reject: (e: Error) => void }[] =
    [];

  constructor([command = "", ...args]: readonly string[], { input, env, folder }: RunOptions = {}) {
    // In a process group of its own, since npm does not pass signals on to all of its children.
    this.#child = spawn(command, args, { env: { ...process.env, NO_COLOR: "", ...env }, cwd: folder, detached: true });
    const { stdin, stdout, stderr } = this.#child;
    stdout.setEncoding("utf8").on("data", (text: string) => this.#take(() => (this.#out += text)));
    stderr.setEncoding("utf8").on("data", (text: string) => this.#take(() => (this.#err += text)));
    // The command may have ended already.
    stdin.on("error", () => undefined);
    this.result = once(this.#child, "close").then(([code]) => {
      this.#hasEnded = true;
      const { out, err } = this;
      const ended = new Error(`the command ended with ${code} first:\n${out}\n${err}`);
      for (const { reject } of this.#waiting) reject(ended);
      return { code, out, err };
    });
    onTestFinished(() => this.signal("SIGKILL"));
    if (input !== undefined) stdin.end(input);
  }

  get out(): string {
    return this.#out;
  }

  get err(): string {
    return this.#err;
  }

  /** Writes to its input. */
  type(text: string): void {
    this.#child.stdin.write(text);
  }

  /** Ends its input. */
  end(): void {
    this.#child.stdin.end();
  }

  /** Sends a signal to the command and to the processes that it has started. */
  signal(name: NodeJS.Signals): void {
    if (this.#child.pid === undefined || this.#hasEnded) return;
    try {
      process.kill(-this.#child.pid, name);
    } catch (error) {
      // All of them have ended, and the event follows.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }

  /** Resolves when its output so far fulfils a condition; rejects if the command ends first. */
  until(isDone: (out: string, err: string) => boolean): Promise<void> {
    const check = () => isDone(this.#out, this.#err);
    if (check()) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ isDone: check, resolve, reject }));
  }

  #take(add: () => void): void {
    add();
    const done = this.#waiting.filter(({ isDone }) => isDone());
    this.#waiting = this.#waiting.filter((waiting) => !done.includes(waiting));
    for (const { resolve } of done) resolve();
  }
}

/** Starts `enfilade` with these arguments. */
export function start(args: readonly string[], options?: RunOptions): Running {
  return new Running([...enfilade, ...args], options);
}

/** Runs `enfilade` to its end; without input, its input has ended. */
export function run(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return start(args, { input: "", ...options }).result;
}
