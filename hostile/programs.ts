import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";

const names = ["server", "neighbour"] as const;
export type ProgramName = (typeof names)[number];

const results = join(import.meta.dirname, "results");
let folder: string | undefined;

/** The file of a program for a child process. All are compiled at the first call, since tsx would do it at each start. */
export function programFile(name: ProgramName): string {
  folder ??= compile();
  return join(folder, `${name}.mjs`);
}

/** Below `results`, so that the packages of the project are found. */
function compile(): string {
  mkdirSync(results, { recursive: true });
  const made = mkdtempSync(join(results, "programs-"));
  process.on("exit", () => rmSync(made, { recursive: true, force: true }));
  buildSync({
    entryPoints: names.map((name) => join(import.meta.dirname, `${name}.ts`)),
    outdir: made,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    keepNames: true,
  });
  return made;
}
