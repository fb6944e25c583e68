import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CloseCode, defaultLimits } from "../../src/index.js";
import { readPage, root } from "./pages.js";

/** The rows of all tables of a page. */
function rowsOf(path: string): string[] {
  return readPage(path).prose.filter((line) => line.startsWith("|"));
}

describe("docs/errors.md", () => {
  const rows = rowsOf("docs/errors.md");
  const source = readFileSync(join(root, "src/errors.ts"), "utf8");
  const codes = new Set(source.match(/(?<=\| ")ERR_\w+(?=")/g));

  it("has a row for each error code", () => {
    expect(codes.size).toBeGreaterThan(25);
    expect([...codes].filter((code) => !rows.some((row) => row.startsWith(`| \`${code}\``)))).toEqual([]);
  });

  it("has a row for each close code", () => {
    const missing = Object.values(CloseCode).filter((code) => !rows.some((row) => row.includes(`| ${code}`)));
    expect(missing).toEqual([]);
  });
});

it("docs/limits.md has a row for each limit", () => {
  const rows = rowsOf("docs/limits.md");
  expect(Object.keys(defaultLimits).filter((name) => !rows.some((row) => row.includes(`\`${name}\``)))).toEqual([]);
});
