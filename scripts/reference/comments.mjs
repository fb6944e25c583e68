// Doc comments: their text and their tags. A fence is kept whole: `@Route` in an example is not a tag.
import ts from "typescript";

/**
 * The doc comment of a declaration.
 *
 * `text` is the part before the first tag, in lines. `params` are `{ name, text }`; `throws` and `examples` are texts.
 */
export function commentOf(declaration) {
  return parseComment(rawComment(declaration.getSourceFile().text, commentStart(declaration)));
}

/** The comment of a variable precedes its statement; the comment of a union member precedes the bar. */
function commentStart(declaration) {
  if (ts.isVariableDeclaration(declaration)) return declaration.parent.parent.getFullStart();
  if (ts.isUnionTypeNode(declaration.parent)) {
    const { types } = declaration.parent;
    const index = types.indexOf(declaration);
    return index === 0 ? declaration.parent.getFullStart() : types[index - 1].end;
  }
  return declaration.getFullStart();
}

function rawComment(source, start) {
  const ranges = ts.getLeadingCommentRanges(source, start) ?? [];
  const texts = ranges.map(({ pos, end }) => source.slice(pos, end)).filter((text) => text.startsWith("/**"));
  return texts.at(-1) ?? "";
}

/** The lines between the comment's marks. */
function linesOf(raw) {
  return raw
    .replace(/^\/\*\*/, "")
    .replace(/\*\/$/, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd());
}

export function parseComment(raw) {
  const blocks = [{ tag: "", lines: [] }];
  let isFenced = false;
  for (const line of linesOf(raw)) {
    if (line.trim().startsWith("```")) isFenced = !isFenced;
    const [, tag, rest = ""] = (!isFenced && /^\s*@(\w+)\s*(.*)$/.exec(line)) || [];
    if (tag === undefined) blocks.at(-1).lines.push(line);
    else blocks.push({ tag, lines: [rest] });
  }
  const textsOf = (name) => blocks.filter(({ tag }) => tag === name).map(({ lines }) => lines.join("\n").trim());
  const [text] = textsOf("");
  return {
    text,
    params: textsOf("param").map(paramOf),
    returns: textsOf("returns")[0],
    throws: textsOf("throws"),
    examples: textsOf("example"),
    isInternal: textsOf("internal").length > 0,
    isEmpty: text === "" && blocks.length === 1,
  };
}

function paramOf(text) {
  const [, name, rest] = /^(\S+)\s*([\s\S]*)$/.exec(text) ?? [undefined, "", ""];
  return { name, text: rest.replace(/^-\s+/, "") };
}

/** One line of text: for a table cell, or a list. */
export function flat(text) {
  return text.replace(/\s+/g, " ").trim();
}

/** The first sentence. */
export function summaryOf({ text }) {
  const [paragraph] = text.split(/\n\s*\n/);
  return /^.*?[.!?](?=\s|$)/.exec(flat(paragraph))?.[0] ?? flat(paragraph).replace(/:$/, ".");
}

/** Splits `Default: 25,000.` off a description. */
export function splitDefault(text) {
  const found = /(^|\s)Default: ((?:`[^`]*`|\.(?!\s|$)|[^`.])+)\.(?=\s|$)/.exec(text);
  if (found === null) return { meaning: text, default: undefined };
  const meaning = flat(text.slice(0, found.index) + text.slice(found.index + found[0].length));
  return { meaning, default: found[2] };
}

const shortUnits = { milliseconds: "ms", seconds: "s" };

/** The unit of a number: the first word of its description, such as "Bytes"; else by its name; else what it counts. */
export function unitOf(name, description) {
  const first = /^[A-Z][a-z]+s\b/.exec(description)?.[0].toLowerCase();
  if (first !== undefined) return shortUnits[first] ?? first;
  if (/Ms(Max)?$/.test(name)) return "ms";
  if (/[bB]ytes(Max)?$/.test(name)) return "bytes";
  return (name.endsWith("Max") && /\b[a-z]+s\b/.exec(description)?.[0]) || "";
}
