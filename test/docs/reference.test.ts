import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { defaultLimits } from "../../src/index.js";
import { anchorsOf, parsePage } from "./markdown.js";
import { root } from "./pages.js";

const folder = join(root, "docs/reference");

/** TypeScript 5.9 reads the declarations: TypeScript 7 has no API for this. It is in a workspace of its own. */
function compilerIsMissing(): boolean {
  if (existsSync(join(root, "scripts/reference/node_modules/typescript"))) return false;
  const complaint = "the compiler of the reference is missing; get it with: npm ci";
  if (process.env.CI) throw new Error(complaint);
  console.warn(`left out: ${complaint}`);
  return true;
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, "");
}

/** A default as comments write it: `64 KiB`, `1,000` or `no limit`. */
function numberOf(text: string): number {
  if (text === "no limit") return Number.POSITIVE_INFINITY;
  const [, digits = "", unit = ""] = /^([\d,]+)(?: (KiB|MiB))?$/.exec(text) ?? [];
  return Number(digits.replaceAll(",", "")) * ({ KiB: 1_024, MiB: 1_048_576 }[unit] ?? 1);
}

describe.skipIf(compilerIsMissing())("docs/reference", () => {
  let pages = new Map<string, string>();
  let undocumented: string[] = [];
  let deadLinks: string[] = [];

  beforeAll(async () => {
    const { makeReference } = await import("../../scripts/reference/reference.mjs");
    ({ pages, undocumented, deadLinks } = makeReference());
  }, 120_000);

  it("is up to date; `npm run reference` updates it", () => {
    const committed = readdirSync(folder).sort();
    expect(committed, "the files of docs/reference; run: npm run reference").toEqual([...pages.keys()].sort());
    for (const [name, text] of pages) {
      const isCurrent = readFileSync(join(folder, name), "utf8") === text;
      expect(isCurrent, `docs/reference/${name} differs from the doc comments; run: npm run reference`).toBe(true);
    }
  });

  it("describes every public name, member and option", () => {
    expect(undocumented).toEqual([]);
  });

  it("links only to public names and to headings that exist", () => {
    expect(deadLinks).toEqual([]);
    const anchors = new Map([...pages].map(([name, text]) => [name, anchorsOf(parsePage(name, text))]));
    const broken = [...pages].flatMap(([name, text]) =>
      [...withoutCode(text).matchAll(/\]\((\w*\.?\w*)#([^)]*)\)/g)].flatMap(([link, page, anchor = ""]) =>
        anchors.get(page || name)?.has(anchor) ? [] : [`${name}: ${link}`],
      ),
    );
    expect(broken).toEqual([]);
  });

  it("has the default of every limit as it is", () => {
    const [, table = ""] = /^### Limits\n([\s\S]*?)^### /m.exec(pages.get("enfilade.md") ?? "") ?? [];
    // A bar in a cell has a backslash before it.
    const rows = table
      .split("\n")
      .filter((line) => line.startsWith("| `"))
      .map((line) => line.split(/(?<!\\)\|/));
    const described = rows.map(([, name = "", , standard = ""]) => [
      name.replace(/[` ]/g, ""),
      numberOf(standard.trim()),
    ]);
    expect(Object.fromEntries(described)).toEqual(defaultLimits);
  });

  it("has links of every page from the index", () => {
    const index = pages.get("README.md") ?? "";
    for (const name of pages.keys()) if (name !== "README.md") expect(index).toContain(`](${name})`);
  });

  it("names no path of the machine that made it", () => {
    for (const text of pages.values()) expect(text).not.toContain(root);
  });
});
