// Prepares a run: installs the peers, builds the library, and compiles the generator.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;

/** Installs the peers, unless they were installed after the last change of the lock file. */
export function installPeers() {
  const lock = modifiedMs(join(here, "package-lock.json"));
  const installed = modifiedMs(join(here, "node_modules/.package-lock.json"));
  if (installed === undefined || (lock !== undefined && lock > installed)) {
    run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], here);
  }
}

export function buildLibrary() {
  run("npm", ["run", "--silent", "build"], join(here, ".."));
}

/** Compiles the generator into a temporary folder, which is removed when this process ends. */
export function compileGenerator() {
  const folder = mkdtempSync(join(tmpdir(), "enfilade-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "generator");
  const { error, status } = spawnSync("cc", ["-O2", "-o", program, join(here, "generator.c")], { stdio: "inherit" });
  if (error !== undefined) {
    stop("the generator needs the C compiler `cc`: apt-get install -y --no-install-recommends gcc libc6-dev");
  }
  if (status !== 0) stop("the generator did not compile; it needs Linux and the headers of libc6-dev");
  return program;
}

function run(command, args, cwd) {
  const { error, status } = spawnSync(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] });
  if (error !== undefined || status !== 0) stop(`${command} ${args.join(" ")} failed in ${cwd}`);
}

function modifiedMs(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

/** @returns {never} */
function stop(reason) {
  console.error(`bench: ${reason}`);
  process.exit(2);
}
