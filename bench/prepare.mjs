// What has to be there before a run: the peers, the built library, and the compiled generator.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;

/** Installs the peers unless they are as the lock file says. */
export function installPeers() {
  const lock = modified(join(here, "package-lock.json"));
  const installed = modified(join(here, "node_modules/.package-lock.json"));
  if (installed === undefined || (lock !== undefined && lock > installed)) {
    run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], here);
  }
}

export function buildLibrary() {
  run("npm", ["run", "--silent", "build"], join(here, ".."));
}

/** Compiles the generator into a folder of its own, which is removed when this process ends. */
export function compileGenerator() {
  const folder = mkdtempSync(join(tmpdir(), "enfilade-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "generator");
  const { error, status } = spawnSync("cc", ["-O2", "-o", program, join(here, "generator.c")], { stdio: "inherit" });
  if (error !== undefined) {
    stop(
      "the generator is a C program, and there is no compiler `cc`: apt-get install -y --no-install-recommends gcc libc6-dev",
    );
  }
  if (status !== 0) stop("the generator did not compile; it needs Linux, and a C library with its headers (libc6-dev)");
  return program;
}

function run(command, args, cwd) {
  const { error, status } = spawnSync(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] });
  if (error !== undefined || status !== 0) stop(`${command} ${args.join(" ")} failed in ${cwd}`);
}

function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

/** @returns {never} */
function stop(why) {
  console.error(`bench: ${why}`);
  process.exit(2);
}
