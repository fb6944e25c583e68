import type { Command, Option } from "./command.js";

export const common: Readonly<Record<string, Option>> = { help: { summary: "print this text" } };

/** The help of `enfilade` itself. */
export function overview(commands: readonly Command[]): string {
  const rows = commands.map(({ name, usage, summary }): Row => [`${name} ${usage}`, summary]);
  return [
    "enfilade: tools for rooms that are URL paths",
    "",
    "usage: enfilade COMMAND [OPTIONS]",
    "",
    ...table(rows),
    "",
    "enfilade COMMAND --help describes a command; enfilade --version prints the version.",
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
  ].join("\n");
}

/** The help of one command. */
export function helpOf({ name, usage, summary, options, details }: Command): string {
  const rows = Object.entries({ ...options, ...common }).map(([option, { value, summary }]): Row => {
    return [value === undefined ? `--${option}` : `--${option} ${value}`, summary];
  });
  return [`usage: enfilade ${name} ${usage} [OPTIONS]`, "", `${summary}.`, "", details, "", ...table(rows)].join("\n");
}

type Row = readonly [left: string, right: string];

function table(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
