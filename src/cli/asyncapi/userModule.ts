import { Console } from "node:console";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AsyncAPIDocument, AsyncAPIOptions } from "../../server/asyncapi/document.js";
import { type Context, UsageError } from "../command.js";

/** The part of an app that the command uses. The app may come from another copy of the package. */
export interface DescribedApp {
  asyncapi(options: AsyncAPIOptions): AsyncAPIDocument;
}

/** What to import. */
export interface Imports {
  /** The file that exports the app; `undefined`: the first of {@link candidates} that exists. */
  readonly module: string | undefined;
  /** Packages and files to import first, such as a loader for TypeScript. */
  readonly imports: readonly string[];
}

const candidates = ["src/app.ts", "src/app.js", "app.ts", "app.js"];

/**
 * Imports a module of the user, and returns the app that it exports.
 *
 * @throws UsageError when there is no such file.
 * @throws Error when it cannot be imported, or exports no app.
 */
export async function loadApp({ module, imports }: Imports, context: Context): Promise<DescribedApp> {
  const file = fileOf(module, context.folder);
  const { log, info, debug } = console;
  const toStderr = new Console(context.stderr, context.stderr);
  // The document must be the only output: a module may print that it has started.
  Object.assign(console, { log: toStderr.log, info: toStderr.info, debug: toStderr.debug });
  try {
    for (const name of imports) await importOf(urlOf(name, context.folder), name);
    return appOf(await importOf(pathToFileURL(file).href, file), file);
  } finally {
    Object.assign(console, { log, info, debug });
  }
}

function fileOf(module: string | undefined, folder: string): string {
  const found = module ?? candidates.find((candidate) => existsSync(join(folder, candidate)));
  if (found === undefined) {
    throw new UsageError(`there is none of ${candidates.join(", ")}; name the file that exports the app`);
  }
  const file = resolve(folder, found);
  if (!existsSync(file)) throw new UsageError(`there is no file ${file}; name the file that exports the app`);
  return file;
}

/** A package is that of the user's project, not of this one. */
function urlOf(name: string, folder: string): string {
  try {
    return pathToFileURL(createRequire(join(folder, "package.json")).resolve(name)).href;
  } catch {
    throw new UsageError(
      `--import takes an installed package or a file, got "${name}"; install it, or write ./${name}`,
    );
  }
}

async function importOf(url: string, name: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await import(url);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const problem = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
    const isTypeScript =
      code === "ERR_UNKNOWN_FILE_EXTENSION" || (/\.[mc]?ts$/.test(url) && error instanceof SyntaxError);
    const advice = isTypeScript ? "; for TypeScript, install tsx and use --import tsx" : "";
    throw new Error(`${name} cannot be imported: ${problem}${advice}`, { cause: error });
  }
}

function appOf(exports: Readonly<Record<string, unknown>>, file: string): DescribedApp {
  for (const value of [exports.app, exports.default, defaultApp(exports.default)]) if (isApp(value)) return value;
  const names = Object.keys(exports);
  const came = names.length === 0 ? "it exports nothing" : `it exports ${names.join(", ")}`;
  const isFactory = [exports.app, exports.default].some((value) => typeof value === "function");
  const advice = isFactory ? "; export the app itself, not a function or a class" : "";
  throw new Error(`${file} exports no app by the name app or as its default; ${came}${advice}`);
}

/** A CommonJS module has its exports in its default export. */
function defaultApp(value: unknown): unknown {
  return typeof value === "object" && value !== null && "app" in value ? value.app : undefined;
}

function isApp(value: unknown): value is DescribedApp {
  return typeof value === "object" && value !== null && "asyncapi" in value && typeof value.asyncapi === "function";
}
