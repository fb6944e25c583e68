import { type ParseArgsConfig, parseArgs } from "node:util";
import { EnfiladeError } from "../errors.js";
import { checkName } from "../wire/options.js";
import { type Command, type Context, exitCodes, type Input, type Option, UsageError } from "./command.js";
import { common, helpOf, overview } from "./help.js";
import { ownPackage } from "./package.js";
import { visible } from "./text.js";

/** Runs what was typed after `enfilade`, and resolves with the exit code. Never rejects. */
export async function runCommandLine(
  typed: readonly string[],
  commands: readonly Command[],
  context: Context,
): Promise<number> {
  const [name = "--help", ...rest] = typed;
  try {
    if (name === "--help" || name === "-h" || name === "help") return print(context, overview(commands));
    if (name === "--version" || name === "-v") return print(context, ownPackage().version ?? "unknown");
    const command = commandOf(name, commands);
    const input = parse(command, rest);
    if (input.has("help")) return print(context, helpOf(command));
    return await command.run(input, context);
  } catch (error) {
    const isUsage = error instanceof UsageError;
    context.stderr.write(`enfilade: ${visible(error instanceof Error ? error.message : String(error))}\n`);
    return isUsage ? exitCodes.usage : exitCodes.failed;
  }
}

function print({ stdout }: Context, text: string): number {
  stdout.write(`${text}\n`);
  return exitCodes.done;
}

function commandOf(name: string, commands: readonly Command[]): Command {
  const names = commands.map((command) => command.name);
  asUsage(() => checkName("there is no command", name, names));
  const [found] = commands.filter((command) => command.name === name);
  if (found === undefined) throw new UsageError(`there is no command "${name}"`);
  return found;
}

/** @throws UsageError when an option or the number of arguments is wrong. */
function parse(command: Command, rest: readonly string[]): Input {
  const options: Readonly<Record<string, Option>> = { ...command.options, ...common };
  const known = Object.keys(options).map((name) => `--${name}`);
  const args = joinDashedValues(rest, options, known);
  const config = { args, options: configOf(options), allowPositionals: true } satisfies ParseArgsConfig;
  for (const token of parseArgs({ ...config, strict: false, tokens: true }).tokens) {
    if (token.kind !== "option") continue;
    asUsage(() => checkName(`enfilade ${command.name} has no option`, token.rawName, known));
  }
  const { values, positionals } = asUsage(() => parseArgs(config));
  const given = new Map(Object.entries(values).map(([name, value]) => [name, [value].flat()]));
  const list = (name: string) => (given.get(name) ?? []).filter((value) => typeof value === "string");
  const input: Input = {
    args: positionals,
    text: (name) => list(name).at(-1),
    list,
    has: (name) => given.get(name)?.includes(true) === true,
  };
  if (!input.has("help")) checkCount(command, positionals);
  return input;
}

/**
 * Turns `--name -value` into `--name=-value`, which is all that `parseArgs` accepts for a value that begins with a
 * dash. Positions and tokens are random and may begin so. The name of another option is never taken as a value.
 */
function joinDashedValues(
  typed: readonly string[],
  options: Readonly<Record<string, Option>>,
  known: readonly string[],
): string[] {
  const joined: string[] = [];
  for (const arg of typed) {
    const option = joined.at(-1) ?? "";
    const takesValue = known.includes(option) && options[option.slice(2)]?.value !== undefined;
    const isOption = arg === "--" || known.includes(arg.split("=", 1)[0] ?? "");
    if (takesValue && arg.startsWith("-") && !isOption) joined[joined.length - 1] = `${option}=${arg}`;
    else joined.push(arg);
  }
  return joined;
}

function configOf(options: Readonly<Record<string, Option>>): NonNullable<ParseArgsConfig["options"]> {
  const entries = Object.entries(options).map(([name, { value }]) => {
    // An option that is given several times is an error only for those that read one value: the last one counts.
    return [name, { type: value === undefined ? "boolean" : "string", multiple: true }] as const;
  });
  return Object.fromEntries(entries);
}

function checkCount({ name, usage, args: [min, max] }: Command, given: readonly string[]): void {
  if (given.length >= min && given.length <= max) return;
  const came = given.length === 0 ? "nothing" : given.map((text) => `"${text}"`).join(" ");
  throw new UsageError(`enfilade ${name} takes ${usage || "no argument"}, got ${came}; see enfilade ${name} --help`);
}

/** Turns an error of a check into one of usage, its message in one line. */
function asUsage<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    const isOfUser = error instanceof EnfiladeError || (error instanceof TypeError && "code" in error);
    if (!isOfUser) throw error;
    const message = error.message.replace(
      /^Option '(--[\w-]+) <value>' argument missing$/,
      "$1 takes a value, got nothing",
    );
    throw new UsageError(message.replaceAll("\n", " "));
  }
}
