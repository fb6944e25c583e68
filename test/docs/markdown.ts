/** A fenced code block of a page. */
export interface CodeBlock {
  readonly page: string;
  /** The line of the page on which its code begins, from 1. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** The HTML comments on the lines before it. */
  readonly comments: readonly string[];
}

/** A Markdown file. */
export interface Page {
  /** From the root of the repository, such as `docs/rooms.md`. */
  readonly path: string;
  readonly blocks: readonly CodeBlock[];
  /** Its lines, with empty lines in place of code blocks. */
  readonly prose: readonly string[];
}

export interface Link {
  readonly target: string;
  readonly line: number;
}

const fence = /^( *)(`{3,}|~{3,}) *([\w.+-]*)[^`]*$/;
const comment = /^ *<!-- *(.*?) *-->$/;

interface Fence {
  readonly indent: string;
  readonly marker: string;
  readonly language: string;
  readonly line: number;
}

function fenceOf(text: string, line: number): Fence | undefined {
  const [, indent = "", marker, language = ""] = fence.exec(text) ?? [];
  return marker === undefined ? undefined : { indent, marker, language, line: line + 1 };
}

/** @throws Error when a code block has no end. */
export function parsePage(path: string, text: string): Page {
  const blocks: CodeBlock[] = [];
  const prose: string[] = [];
  let open: Fence | undefined;
  let code: string[] = [];
  let comments: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (open === undefined) {
      open = fenceOf(line, index + 1);
      const [, said] = comment.exec(line) ?? [];
      if (said !== undefined) comments.push(said);
      else if (open === undefined && line.trim() !== "") comments = [];
      prose.push(open === undefined ? line : "");
    } else {
      prose.push("");
      if (endsBlock(line, open.marker)) {
        const { language, line: first } = open;
        blocks.push({ page: path, line: first, language, code: `${code.join("\n")}\n`, comments });
        open = undefined;
        code = [];
        comments = [];
      } else {
        code.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line.trimStart());
      }
    }
  }
  if (open !== undefined) throw new Error(`${path}:${open.line} has a code block without an end`);
  return { path, blocks, prose };
}

function endsBlock(line: string, marker: string): boolean {
  const text = line.trim();
  return text.length >= marker.length && text === (marker[0] ?? "").repeat(text.length);
}

/** The place of a block, for messages. */
export function placeOf({ page, line }: CodeBlock): string {
  return `${page}:${line}`;
}

const inlineCode = /(`+)(?:(?!\n\n)[\s\S])*?[^`]\1(?!`)/g;
const inlineLink = /\[(?:[^[\]]|\[[^[\]]*\])*\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)/g;
const linkDefinition = /^ {0,3}\[[^\]]+\]: +<?([^\s>]+)>?/gm;
const htmlLink = /\b(?:href|src)="([^"]+)"/g;

/** The links of a page. */
export function linksOf({ prose }: Page): Link[] {
  // Code has no links. Spaces replace it, so that line numbers stay.
  const text = prose.join("\n").replace(inlineCode, (code) => code.replace(/[^\n]/g, " "));
  return [inlineLink, linkDefinition, htmlLink].flatMap((pattern) =>
    [...text.matchAll(pattern)].map(({ 1: target = "", index }) => {
      return { target, line: text.slice(0, index).split("\n").length };
    }),
  );
}

/** The fragments of a page: the headings under the names that GitHub gives them, and explicit anchors. */
export function anchorsOf({ prose }: Page): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const line of prose) {
    const [, title] = /^ {0,3}#{1,6} +(.+?)(?: +#+)? *$/.exec(line) ?? [];
    if (title !== undefined) {
      const slug = slugOf(title);
      let anchor = slug;
      for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`;
      anchors.add(anchor);
    }
    for (const [, name = ""] of line.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(name);
  }
  return anchors;
}

/** The fragment that GitHub makes of a heading: its visible letters, digits, hyphens and underscores. */
function slugOf(title: string): string {
  const shown = title
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/`([^`]*)`|<[^>]+>/g, (_match, code: string | undefined) => code ?? "");
  return shown
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "")
    .replaceAll(" ", "-");
}
