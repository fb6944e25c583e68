// The machine: its cores for pinning, and its facts for the report.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, release, totalmem } from "node:os";
import { peers } from "./peers.mjs";

/** One core for the server and one for the generator; `undefined` with a single core or without `taskset`. */
export const cores = findCores();

/** `command` pinned to `core`. @param {number | undefined} core @param {string[]} command */
export function pinned(core, command) {
  return core === undefined ? command : ["taskset", "-c", String(core), ...command];
}

function findCores() {
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
    const list = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    const [server, generator] = list.split(",").flatMap(parseRange);
    return generator === undefined ? undefined : { server, generator };
  } catch {
    return undefined;
  }
}

/** @param {string} text such as "0-3" or "5" */
function parseRange(text) {
  const [first, last = first] = text.split("-").map(Number);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** @returns {Record<string, string>} */
export function machineFacts() {
  const pins = cores ? `server on core ${cores.server}, generator on core ${cores.generator}` : "not pinned";
  const names = [...new Set(peers.flatMap((peer) => peer.package ?? []))];
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  return {
    date: new Date().toISOString(),
    commit: currentCommit(),
    machine: `${cpus()[0]?.model ?? "unknown CPU"}, ${cpus().length} cores, ${memoryGiB} GiB; ${pins}`,
    system: `Linux ${release()}, Node ${process.version}, load ${loadavg()[0].toFixed(2)} before`,
    peers: names.map((name) => `${name} ${installedVersion(name)}`).join(", "),
  };
}

function currentCommit() {
  try {
    const git = (...args) => execFileSync("git", args, { cwd: import.meta.dirname, encoding: "utf8" }).trim();
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "--", "../src") ? ", src changed" : "");
  } catch {
    return "unknown";
  }
}

function installedVersion(name) {
  const places = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const file = places.map((place) => `${place}/${name}/package.json`).find((path) => existsSync(path));
  return file === undefined ? "unknown" : JSON.parse(readFileSync(file, "utf8")).version;
}
