import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Finding, ok, problem, warning } from "./finding.js";

/** The members of compilerOptions, unchecked. */
type CompilerOptions = ReadonlyMap<string, unknown>;

/** Files that may extend each other. */
const extendsMax = 10;

/** Checks how TypeScript compiles decorators in the project. */
export function checkDecorators(folder: string): Finding {
  const file = join(folder, "tsconfig.json");
  if (!existsSync(file)) return ok("no tsconfig.json: in JavaScript, use static route in place of decorators");
  try {
    return decoratorsOf(readOptions(file, extendsMax));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return warning(`tsconfig.json cannot be read: ${reason}`, "check it with npx tsc --showConfig");
  }
}

function decoratorsOf(options: CompilerOptions): Finding {
  const isLegacy = options.get("experimentalDecorators") === true;
  if (options.get("emitDecoratorMetadata") === true) {
    if (isLegacy) return ok("legacy decorators; enfilade does not need emitDecoratorMetadata, which does no harm");
    const advice = "remove emitDecoratorMetadata, which enfilade does not need, or set experimentalDecorators too";
    return problem("emitDecoratorMetadata works only with experimentalDecorators", advice);
  }
  if (isLegacy) return ok("legacy decorators (experimentalDecorators)");
  if (options.get("erasableSyntaxOnly") === true) {
    return ok("erasableSyntaxOnly: Node.js cannot run decorators; use static route in place of them");
  }
  if (String(options.get("target")).toLowerCase() === "esnext") {
    const advice = 'set "target": "es2022", or use static route in place of decorators';
    return warning("with the target esnext, tsc leaves decorators in the code, and Node.js cannot run them", advice);
  }
  return ok("standard decorators; vitest needs a setting for them, see docs/testing.md");
}

/** The options of a file, after those of the files that it extends. */
function readOptions(file: string, left: number): CompilerOptions {
  if (left === 0) throw new Error(`more than ${extendsMax} files extend each other`);
  const content = parseWithComments(readFileSync(file, "utf8"));
  const bases = [membersOf(content).get("extends") ?? []].flat().map(String);
  const inherited = bases.flatMap((base) => [...readOptions(findBase(base, dirname(file)), left - 1)]);
  return new Map([...inherited, ...membersOf(membersOf(content).get("compilerOptions"))]);
}

function membersOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === "object" && value !== null ? Object.entries(value) : []);
}

/** The file that `extends` names: a path, or a file in a package. */
function findBase(name: string, folder: string): string {
  const candidates = /^\.{0,2}\//.test(name) ? [resolve(folder, name)] : inPackages(name, folder);
  const files = candidates.flatMap((path) => [path, `${path}.json`, join(path, "tsconfig.json")]);
  const found = files.find((path) => existsSync(path) && statSync(path).isFile());
  if (found === undefined) throw new Error(`it extends ${name}, which is not there`);
  return found;
}

function inPackages(name: string, folder: string): string[] {
  const parent = dirname(folder);
  return [join(folder, "node_modules", name), ...(parent === folder ? [] : inPackages(name, parent))];
}

/** Parses JSON with comments and trailing commas, as TypeScript does. */
function parseWithComments(text: string): unknown {
  const withoutComments = text.replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, "$1");
  return JSON.parse(withoutComments.replace(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, "$1"));
}
