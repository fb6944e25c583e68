import { visible } from "../text.js";

/** The result of one check. A peer may have put any character into its text. */
export interface Finding {
  /** `problem`: it cannot work. `warning`: it may not work as expected. */
  readonly level: "ok" | "warning" | "problem";
  readonly text: string;
  /** What to do about it. */
  readonly advice?: string | undefined;
}

export function ok(text: string): Finding {
  return { level: "ok", text };
}

export function warning(text: string, advice: string): Finding {
  return { level: "warning", text, advice };
}

export function problem(text: string, advice: string): Finding {
  return { level: "problem", text, advice };
}

/** One line for a finding, and one for its advice. */
export function describe({ level, text, advice }: Finding): string {
  const indent = " ".repeat("problem  ".length);
  const second = advice === undefined ? "" : `\n${indent}→ ${visible(advice)}`;
  return `${level.padEnd(indent.length)}${visible(text)}${second}`;
}
