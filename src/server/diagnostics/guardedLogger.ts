import { inspect } from "node:util";
import type { Logger } from "../options.js";

/**
 * Calls the logger of the application, which cannot harm the app: if it throws, rejects or lacks a method, the line is
 * written to `console.error` in its place. The methods never throw.
 */
export class GuardedLogger implements Logger {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  warn(message: string): void {
    this.#log("warn", [message]);
  }

  error(message: string, error: unknown): void {
    this.#log("error", [message, error]);
  }

  #log(level: keyof Logger, args: readonly unknown[]): void {
    const onFailed = () => writeLine(args);
    try {
      const written: unknown = Reflect.apply(Reflect.get(this.#logger, level), this.#logger, args);
      if (written !== undefined) Promise.resolve(written).then(undefined, onFailed);
    } catch {
      onFailed();
    }
  }
}

/** Writes plain text, since the value that the logger could not write may be one that cannot be inspected. */
function writeLine(args: readonly unknown[]): void {
  try {
    console.error(args.map(textOf).join(" "));
  } catch {
    // Nothing is left to write to.
  }
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return inspect(value);
  } catch {
    return "(an error that cannot be inspected)";
  }
}
