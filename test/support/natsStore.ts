import { cpSync, existsSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { EngineServer } from "./engines.js";

/** Bytes that a power failure takes: what the server wrote, and the disk did not. */
const tailBytes = 20_000;

/** Removes the last bytes of each stream of a stopped server. Returns how many bytes were removed. */
export function cutTail({ folder }: EngineServer, bytes = tailBytes): number {
  let removed = 0;
  for (const blocks of blockFolders(folder)) {
    let left = bytes;
    for (const name of blocksOf(blocks)) {
      const file = join(blocks, name);
      const { size } = statSync(file);
      const cut = Math.min(left, size);
      truncateSync(file, size - cut);
      left -= cut;
    }
    removed += bytes - left;
  }
  return removed;
}

/** Copies what a stopped server has stored. Returns a function that puts the copy back, also while it is stopped. */
export function copyStore({ folder }: EngineServer): () => void {
  const copy = `${folder}-copy-${performance.now()}`;
  cpSync(folder, copy, { recursive: true });
  return () => {
    rmSync(folder, { recursive: true });
    cpSync(copy, folder, { recursive: true });
    rmSync(copy, { recursive: true });
  };
}

/** Removes the settings of each stream of a stopped server, as a crash can while it writes them. Messages stay. */
export function loseSettings({ folder }: EngineServer): number {
  const files = blockFolders(folder).flatMap((blocks) =>
    ["meta.inf", "meta.sum"].map((name) => join(blocks, "..", name)),
  );
  for (const file of files) rmSync(file);
  return files.length;
}

/** Deletes everything that a stopped server has stored. */
export function wipe({ folder }: EngineServer): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
}

/** The names of the blocks in a folder, the last one first. */
function blocksOf(folder: string): string[] {
  const number = (name: string) => Number.parseInt(name, 10);
  const names = readdirSync(folder).filter((name) => name.endsWith(".blk"));
  return names.sort((a, b) => number(b) - number(a));
}

function blockFolders(folder: string): string[] {
  const streams = join(folder, "jetstream", "$G", "streams");
  if (!existsSync(streams)) return [];
  return readdirSync(streams)
    .map((name) => join(streams, name, "msgs"))
    .filter((path) => existsSync(path));
}
