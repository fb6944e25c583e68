import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The part of a package.json that commands use. */
export interface PackageFile {
  readonly name?: string;
  readonly version?: string;
  readonly type?: string;
  readonly engines?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** The folder of this package: this file is two folders below it, in `src` and in `dist`. */
export const packageFolder = fileURLToPath(new URL("../..", import.meta.url));

/** The package.json of this package. */
export function ownPackage(): PackageFile {
  return readPackage(packageFolder) ?? {};
}

/** The package.json in a folder; `undefined` if there is none, or it is not JSON. */
export function readPackage(folder: string): PackageFile | undefined {
  const file = join(folder, "package.json");
  if (!existsSync(file)) return undefined;
  try {
    const content: unknown = JSON.parse(readFileSync(file, "utf8"));
    // All members are optional; only their types are not checked.
    return typeof content === "object" && content !== null ? (content as PackageFile) : undefined;
  } catch {
    return undefined;
  }
}

/** The folder of an installed package as Node finds it from `folder`: in a node_modules of this or a higher folder. */
export function findPackage(name: string, folder: string): string | undefined {
  const candidate = join(folder, "node_modules", name);
  if (existsSync(join(candidate, "package.json"))) return candidate;
  const parent = dirname(folder);
  return parent === folder ? undefined : findPackage(name, parent);
}
