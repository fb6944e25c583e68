import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "./pages.js";

const run = promisify(execFile);

/**
 * Makes a project as a reader has it: a folder with the packed library and the packages that examples import.
 *
 * It packs the current `dist/`; `npm test` builds it first.
 */
export async function makeReaderProject(): Promise<string> {
  const project = await mkdtemp(join(tmpdir(), "enfilade-docs-"));
  const modules = join(project, "node_modules");
  await linkPackages(join(root, "node_modules"), modules);
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", project];
  const { stdout } = await run("npm", pack, { cwd: root });
  const [{ filename }] = JSON.parse(stdout);
  await run("tar", ["-xzf", join(project, filename), "-C", modules]);
  await rename(join(modules, "package"), join(modules, "enfilade"));
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "reader", type: "module", private: true }));
  return project;
}

export async function removeReaderProject(project: string): Promise<void> {
  if (project !== "") await rm(project, { recursive: true, force: true });
}

async function linkPackages(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) {
    if (name.startsWith("@")) await linkPackages(join(from, name), join(to, name));
    else if (!name.startsWith(".") && name !== "enfilade") await symlink(join(from, name), join(to, name));
  }
}
