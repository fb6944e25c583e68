import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Page, parsePage } from "./markdown.js";

export const root = resolve(import.meta.dirname, "../..");

/** The files of the repository, new ones included, ignored ones excluded. */
export function repositoryFiles(): string[] {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
  const { stdout, status } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error("git could not list the files of the repository");
  return stdout.split("\0").filter((path) => path !== "");
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(join(root, path), "utf8"));
}

/** Every Markdown file of the repository. */
export function allPages(): Page[] {
  return repositoryFiles()
    .filter((path) => path.endsWith(".md"))
    .map(readPage);
}

/** The pages whose examples are compiled and run. */
export function pagesWithExamples(): Page[] {
  return allPages().filter(({ path }) => /^(?:README|CONTRIBUTING|PROTOCOL|docs\/.*)\.md$/.test(path));
}
