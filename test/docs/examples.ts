import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { transform } from "esbuild";
import { type CodeBlock, type Page, placeOf } from "./markdown.js";

/** A code block as a file of the project of a reader. */
export interface Example {
  readonly block: CodeBlock;
  /** From the project's folder, such as `docs/rooms/server.ts`. */
  readonly file: string;
  /** Files to import first, in the same process. */
  readonly before: readonly string[];
  /** Whether it is run, and not only compiled. */
  readonly isRun: boolean;
}

/** Languages of blocks that become files of the project. */
const runnable = ["ts", "tsx", "js"];
/** Languages of all blocks. No test would check a block in another language. */
const languages = [...runnable, "sh", "json", "nginx", "haproxy", "html", "dockerfile", "text"];

/** Breaches of the conventions for code blocks (CONTRIBUTING.md). */
export function mistakesOf({ path, blocks }: Page): string[] {
  const mistakes: string[] = [];
  const names = new Set<string>();
  for (const block of blocks) {
    const say = (text: string) => mistakes.push(`${placeOf(block)}: ${text}`);
    const { language, comments, code } = block;
    if (!languages.includes(language)) say(`"${language}" is none of ${languages.join(", ")}`);
    if (path === "PROTOCOL.md" && runnable.includes(language)) say("the protocol is for every language");
    if (language === "json" && !isJSON(code)) say("this is not JSON");
    for (const comment of comments) {
      const { with: files } = directive(comment) ?? {};
      if (directive(comment) === undefined) say(`<!-- ${comment} --> is neither "with: file" nor "no-run: reason"`);
      for (const file of files ?? []) if (!names.has(file)) say(`no earlier block of this page is named ${file}`);
    }
    const name = nameOf(block);
    if (name === undefined) continue;
    if (names.has(name)) say(`an earlier block of this page is named ${name} too`);
    names.add(name);
  }
  return mistakes;
}

function isJSON(code: string): boolean {
  try {
    JSON.parse(code);
    return true;
  } catch {
    return false;
  }
}

/** The file name in the first line of a block. */
function nameOf({ language, code }: CodeBlock): string | undefined {
  if (!runnable.includes(language)) return undefined;
  const [, name] = /^\/\/ ([\w./-]+\.(?:tsx?|js))\n/.exec(code) ?? [];
  return name;
}

function directive(comment: string): { readonly with?: readonly string[] } | undefined {
  const [, files] = /^with: (.+)$/.exec(comment) ?? [];
  if (files !== undefined) return { with: files.split(/[, ]+/) };
  return /^no-run: ./.test(comment) ? {} : undefined;
}

/** The examples of a page, in order. */
export function examplesOf({ path, blocks }: Page): Example[] {
  const folder = path.replace(/\.md$/, "");
  return blocks
    .filter(({ language }) => runnable.includes(language))
    .map((block) => ({
      block,
      file: join(folder, nameOf(block) ?? `line-${block.line}.${block.language}`),
      before: block.comments.flatMap((comment) => directive(comment)?.with ?? []).map((name) => join(folder, name)),
      isRun: !block.comments.some((comment) => comment.startsWith("no-run:")),
    }));
}

/** Free ports by the ports that examples use. */
export type Ports = Readonly<Record<number, number>>;

/** Replaces ports in a text. */
export function withPorts(text: string, ports: Ports): string {
  let replaced = text;
  for (const [named, free] of Object.entries(ports)) {
    replaced = replaced.replace(new RegExp(`\\b${named}\\b`, "g"), String(free));
  }
  return replaced;
}

/**
 * Writes examples into a project, those in TypeScript and JSX also as the JavaScript that runs. Each line keeps the
 * line number of the page.
 */
export async function writeExamples(project: string, examples: readonly Example[], ports: Ports = {}): Promise<void> {
  for (const { block, file } of examples) {
    const path = join(project, file);
    const text = "\n".repeat(block.line - 1) + withPorts(block.code, ports);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    const { language } = block;
    if (isTypeScript(language)) await writeFile(programOf(path), await asJavaScript(text, language));
  }
}

/** Whether a compiler checks the block. */
export function isTypeScript(language: string): language is "ts" | "tsx" {
  return language === "ts" || language === "tsx";
}

/** The file that runs for an example: Node.js 20 cannot load TypeScript. */
export function programOf(file: string): string {
  return file.replace(/\.tsx?$/, ".js");
}

/** As tsx does it at run time. Here it needs no compiler in each process. */
async function asJavaScript(text: string, loader: "ts" | "tsx"): Promise<string> {
  const { code } = await transform(text, { loader, format: "esm", target: "node20", jsx: "automatic" });
  return code;
}

/** Whether the code has a decorator, which compiles differently with `experimentalDecorators`. */
export function hasDecorators({ block }: Example): boolean {
  return /^\s*@[A-Z]\w*\(/m.test(block.code);
}

/** Whether the code adds to the types of the library. Other pages must not see that. */
export function augmentsTypes({ block }: Example): boolean {
  return /^declare (?:global|module "enfilade)/m.test(block.code);
}
