// The reference in memory: its pages, and the names that lack a doc comment.
import { flat, summaryOf } from "./comments.mjs";
import { declarationFiles } from "./declarations.mjs";
import { introductions, specifierOf, titles } from "./introductions.mjs";
import { kinds, Library } from "./library.mjs";
import { Marks, resolveMarks } from "./links.mjs";
import { blocks, code, list } from "./markdown.mjs";
import { inlineOf } from "./prose.mjs";
import { hasHeading, renderEntry } from "./render.mjs";
import { Signatures } from "./signatures.mjs";
import { undocumentedOf } from "./undocumented.mjs";

const generated = "`npm run reference` makes this page from the doc comments in `src/`; edit them, not this page.";

/**
 * `pages` are texts by file name; `undocumented` are names with their source files; `deadLinks` are links to names that
 * are not public.
 */
export function makeReference() {
  const library = new Library(sortedFiles());
  const deadLinks = new Set();
  const shared = { library, deadLinks, marks: new Marks(), signatures: new Signatures() };
  const texts = new Map(library.pages.map((page) => [`${page}.md`, pageText(contextOf(shared, page))]));
  texts.set("README.md", indexText(contextOf(shared, "README")));
  const linked = resolveMarks(texts);
  const pages = new Map([...linked].map(([name, text]) => [name, `${shared.signatures.fill(text)}\n`]));
  return { pages, undocumented: undocumentedOf(library), deadLinks: [...deadLinks] };
}

/** The subpaths of the package, in the order of their introductions. */
function sortedFiles() {
  const files = declarationFiles();
  for (const page of files.keys()) {
    if (!introductions.has(page)) throw new Error(`${page} has no introduction; add one to introductions.mjs`);
  }
  return new Map([...introductions.keys()].map((page) => [page, files.get(page)]));
}

/** The context of a renderer: its page, and functions that mark headings and links. */
function contextOf({ library, marks, signatures, deadLinks }, page) {
  return {
    library,
    signatures,
    page,
    heading: (level, text, entry, member) => marks.heading(level, text, targetOf(entry, member)),
    // Properties stand in the table of their owner.
    link: (text, entry, member) =>
      marks.link(text, targetOf(entry, member && hasHeading(entry, member) ? member.name : undefined)),
    deadLink: (name, entry) => deadLinks.add(`${entry.name}: {@link ${name}}`),
  };
}

function targetOf(entry, member) {
  return member === undefined ? entry.id : `${entry.id}.${member}`;
}

function pageText(context) {
  const { text, example, next } = introductions.get(context.page);
  const sections = sectionsOf(context);
  return blocks(
    `# Reference: ${code(specifierOf(context.page))}`,
    `${text}\n${generated}`,
    `\`\`\`text\n${example}\n\`\`\``,
    contentsOf(context),
    ...sections,
    exportedAgain(context),
    seeAlso(next),
  );
}

/** Names by kind. Supporting types come last, since any name may mention them, and they each other. */
function sectionsOf(context) {
  const sections = [];
  for (const [kind, title] of Object.entries(kinds)) {
    const done = new Map();
    for (let entries = todo(context, kind, done); entries.length > 0; entries = todo(context, kind, done)) {
      for (const entry of entries) done.set(entry, renderEntry(context, entry));
    }
    if (done.size === 0) continue;
    const texts = entriesOfKind(context, kind).map((entry) => done.get(entry));
    sections.push(blocks(`## ${title}`, kind === "supporting" ? supportingText : "", texts));
  }
  return sections;
}

const supportingText = "The signatures above mention these types. The package does not export them.";

function todo(context, kind, done) {
  return entriesOfKind(context, kind).filter((entry) => !done.has(entry));
}

function entriesOfKind({ library, page }, kind) {
  return library.entriesOf(page).filter((entry) => entry.kind === kind);
}

/** The names of a page by kind, as links. */
function contentsOf(context) {
  const lines = Object.entries(kinds).flatMap(([kind, title]) => {
    const links = entriesOfKind(context, kind).map((entry) => context.link(code(entry.name), entry));
    return links.length > 0 && kind !== "supporting" ? [`**${title}:** ${links.join(", ")}`] : [];
  });
  return list(lines);
}

function exportedAgain(context) {
  const entries = context.library.exportedAgain(context.page);
  if (entries.length === 0) return "";
  const links = entries.map((entry) => context.link(code(entry.name), entry));
  return blocks("## Also exported", `Described on other pages: ${links.join(", ")}.`);
}

function seeAlso(next) {
  const links = next.map((page) => `[${titles[page]}](../${page}.md)`);
  return blocks("## See also", list([...links, "[All names](README.md)"]));
}

function indexText(context) {
  const pages = context.library.pages.map((page) => {
    const { text } = introductions.get(page);
    const title = `## [${code(specifierOf(page))}](${page}.md)`;
    return blocks(title, text, namesOf({ ...context, page }));
  });
  return blocks(
    "# Reference",
    `Every public name of the package, by the subpath that exports it.\n${generated}`,
    pages,
    blocks("## See also", list(["[README](../../README.md)", "[Protocol](../../PROTOCOL.md)"])),
  );
}

/** One line for each name. */
function namesOf(context) {
  return Object.entries(kinds).flatMap(([kind, title]) => {
    const entries = entriesOfKind(context, kind);
    if (kind === "supporting" || entries.length === 0) return [];
    return [`**${title}**`, list(entries.map((entry) => nameLine(context, entry)))];
  });
}

function nameLine(context, entry) {
  const summary = inlineOf(context, flat(summaryOf(entry.comment)), entry);
  return `${context.link(code(entry.name), entry)}${summary === "" ? "" : `: ${summary}`}`;
}
