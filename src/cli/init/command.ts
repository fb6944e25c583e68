import { existsSync } from "node:fs";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { type Command, type Context, exitCodes, type Input } from "../command.js";
import { ownPackage } from "../package.js";
import { visible } from "../text.js";
import { javaScriptFiles, typeScriptFiles } from "./files.js";

/** Names of existing files that the refusal lists. */
const namesMax = 10;

export const initCommand: Command = {
  name: "init",
  usage: "[FOLDER]",
  summary: "create a small project that runs and has a test",
  args: [0, 1],
  options: {
    js: { summary: "JavaScript in place of TypeScript" },
    enfilade: { value: "SPEC", summary: "the version of enfilade, or file:PATH of a package (default: this version)" },
  },
  details: [
    "Creates package.json, a server with one handler, a test and a README, in TypeScript unless --js is given.",
    "Without FOLDER, in the current one. The folder is created if it is missing, and must be empty, except for .git:",
    "no file is ever replaced. Installs nothing.",
    "",
    "Exit codes: 0 the project is created; 1 the folder is not empty, or cannot be written; 2 wrong usage.",
  ].join("\n"),
  run,
};

async function run(input: Input, { folder, stdout }: Context): Promise<number> {
  const target = resolve(folder, input.args[0] ?? ".");
  await checkEmpty(target);
  const { version = "latest", engines, devDependencies } = ownPackage();
  const options = {
    name: packageName(basename(target)),
    enfilade: input.text("enfilade") ?? `^${version}`,
    node: engines?.node ?? ">=20.19",
    tools: new Map(Object.entries(devDependencies ?? {})),
  };
  const files = input.has("js") ? javaScriptFiles(options) : typeScriptFiles(options);
  for (const [path, text] of files) {
    const file = join(target, path);
    await mkdir(dirname(file), { recursive: true });
    // Fails if the file has appeared in the meantime.
    await writeFile(file, text, { flag: "wx" });
  }
  const place = relative(folder, target);
  const next = [...(place === "" ? [] : [`cd ${quoted(visible(place))}`]), "npm install", "npm test", "npm start"];
  const created = [...files.keys()].map((path) => `  ${path}`);
  stdout.write(`${["created:", ...created, "next:", ...next.map((step) => `  ${step}`)].join("\n")}\n`);
  return exitCodes.done;
}

/** A path as the shell of this system reads it. */
function quoted(path: string): string {
  if (/^[\p{L}\p{N}_./\\:-]+$/u.test(path)) return path;
  return process.platform === "win32" ? `"${path}"` : `'${path.replaceAll("'", "'\\''")}'`;
}

/** @throws Error when the folder has files, or is a file. */
async function checkEmpty(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is a file; choose a folder`);
  const names = (await readdir(folder)).filter((name) => name !== ".git").toSorted();
  if (names.length === 0) return;
  const more = names.length > namesMax ? ` and ${names.length - namesMax} more` : "";
  const listed = names.slice(0, namesMax).join(", ");
  throw new Error(`${folder} is not empty: it has ${listed}${more}; choose an empty folder`);
}

/** The name of a package: lower case, and only characters that npm allows. */
function packageName(name: string): string {
  const allowed = name
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[._-]+|-+$/g, "");
  return allowed === "" || allowed === "enfilade" ? "enfilade-app" : allowed.slice(0, 200);
}
