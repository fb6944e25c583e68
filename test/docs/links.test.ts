import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import { anchorsOf, type Link, linksOf, type Page, parsePage, placeOf } from "./markdown.js";
import { allPages, repositoryFiles } from "./pages.js";

const pages = allPages();
const anchors = new Map(pages.map((page) => [page.path, anchorsOf(page)]));
const files = new Set(repositoryFiles());
const folders = new Set([...files].flatMap(parentsOf));

function parentsOf(path: string): string[] {
  const parent = posix.dirname(path);
  return parent === "." ? ["."] : [parent, ...parentsOf(parent)];
}

/** Why a link is broken; `undefined` if its target exists or is outside of the repository. */
function deadEnd(page: Page, { target }: Link): string | undefined {
  if (/^(?:[a-z][a-z+.-]*:|\/\/)/i.test(target)) return undefined;
  const [path = "", anchor] = decodeURIComponent(target).split("#", 2);
  const file = path === "" ? page.path : posix.join(posix.dirname(page.path), path).replace(/\/$/, "");
  if (!files.has(file) && !folders.has(file)) return `there is no ${file}`;
  if (anchor === undefined || anchors.get(file)?.has(anchor)) return undefined;
  return anchors.has(file) ? `${file} has no heading #${anchor}` : `${file} is no page`;
}

/** An ellipsis, or three dots that are neither a spread nor a rest parameter. */
const placeholder = /…|\.\.\.(?![\w$([{"'`])/;

describe("the pages", () => {
  it("link to files and headings that exist", () => {
    const dead = pages.flatMap((page) =>
      linksOf(page).flatMap((link) => {
        const why = deadEnd(page, link);
        return why === undefined ? [] : [`${page.path}:${link.line}: ${link.target}: ${why}`];
      }),
    );
    expect(dead).toEqual([]);
    expect(pages.flatMap(linksOf).length).toBeGreaterThan(10);
  });

  it("have no placeholders in code", () => {
    const blocks = pages.flatMap(({ blocks }) => blocks);
    expect(blocks.filter(({ code }) => placeholder.test(code)).map(placeOf)).toEqual([]);
    expect(blocks.length).toBeGreaterThan(10);
  });
});

describe("a parsed page", () => {
  const page = parsePage(
    "docs/x.md",
    [
      "# The `connect<Chat>()` call: a_b, *c* & d",
      "See [one](a.md#b), [two `[x]`](<c.md>), `[no](no.md)` and [",
      'three](d.md "title").',
      "[four]: e.md",
      "```text",
      "[no](no.md)",
      "# no",
      "```",
      "## Twice",
      "## [Twice](f.md)",
      '<a id="own"></a><img src="g.png">',
    ].join("\n"),
  );

  it("has every link outside of code, with its line", () => {
    expect(
      linksOf(page)
        .map(({ target, line }) => `${line} ${target}`)
        .sort(),
    ).toEqual(["10 f.md", "11 g.png", "2 a.md#b", "2 c.md", "2 d.md", "4 e.md"]);
  });

  it("has every heading under the name that GitHub gives it", () => {
    expect([...anchorsOf(page)]).toEqual(["the-connectchat-call-a_b-c--d", "twice", "twice-1", "own"]);
  });
});
