import type { Clock } from "../connection/clock.js";

/** The part of the process that a command uses. */
export interface Context {
  readonly stdin: NodeJS.ReadStream;
  /** Results and messages. */
  readonly stdout: NodeJS.WriteStream;
  /** Everything else: notes, progress, errors. */
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working directory. */
  readonly folder: string;
  readonly clock: Clock;
  /** Aborted by the first SIGINT or SIGTERM. A second one ends the process at once. */
  readonly interrupted: AbortSignal;
}

/** One option of a command. */
export interface Option {
  /** How the help names its value, such as `URL`; missing for an option without a value. */
  readonly value?: string;
  readonly summary: string;
}

/** What a user typed after the name of a command, checked against its options. */
export interface Input {
  readonly args: readonly string[];
  /** The value of an option with a value; the last one if it was given several times. */
  text(name: string): string | undefined;
  /** All values of an option. */
  list(name: string): readonly string[];
  /** True if an option without a value was given. */
  has(name: string): boolean;
}

/** A command of `enfilade`. */
export interface Command {
  readonly name: string;
  /** How the help names its arguments, such as `URL`. */
  readonly usage: string;
  readonly summary: string;
  /** The smallest and the largest number of arguments. */
  readonly args: readonly [min: number, max: number];
  readonly options: Readonly<Record<string, Option>>;
  /** The rest of its help: what it does, and its exit codes. */
  readonly details: string;
  /**
   * Resolves with the exit code.
   *
   * @throws UsageError when a value is wrong; the exit code is then 2.
   * @throws Error for any other failure; its message is printed in one line, and the exit code is 1.
   */
  run(input: Input, context: Context): Promise<number>;
}

/** What was typed is wrong. The message is for the user who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;
