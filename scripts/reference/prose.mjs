// Doc comments as Markdown: links, parameters, errors, examples.
import { flat } from "./comments.mjs";
import { mapProse } from "./links.mjs";
import { blocks, code, list } from "./markdown.mjs";

/** A comment whole; `entry` is the name it belongs to, or that of its class. */
export function describe(context, comment, entry) {
  const inline = (text) => inlineOf(context, text, entry);
  return blocks(
    withFences(linked(context, comment.text, entry)),
    comment.params.length > 0 ? list(comment.params.map(({ name, text }) => `${code(name)}: ${inline(text)}`)) : "",
    comment.returns === undefined ? "" : `Returns ${inline(comment.returns)}`,
    errorsOf(context, comment, entry),
    comment.examples.map((example) => linked(context, example, entry)),
  );
}

const fence = /^```[\s\S]*?^```$/gm;

/** A comment in one line, for a cell, which has no room for code: its text, and the errors after it. */
export function inlineComment(context, comment, entry) {
  const errors = comment.throws.map((text) => errorText(context, inlineOf(context, text, entry), entry));
  return [inlineOf(context, comment.text.replace(fence, ""), entry), ...errors].filter((text) => text !== "").join(" ");
}

/** The blocks of code that a cell leaves out. */
export function codeOf({ text }) {
  return [...withFences(text).matchAll(fence)].map(([block]) => block);
}

/** A text in one line. */
export function inlineOf(context, text, entry) {
  return flat(linked(context, text, entry));
}

function errorsOf(context, { throws }, entry) {
  const texts = throws.map((text) => errorText(context, inlineOf(context, text, entry), entry));
  return texts.length > 1 ? list(texts) : texts[0];
}

/** ``EnfiladeError (as a rejection) `ERR_PATH` `` as a sentence. */
function errorText(context, text, entry) {
  const [, name, isRejection, rest = ""] = /^(\w+)\s*(\(as a rejection\))?\s*(.*)$/s.exec(text) ?? [];
  if (name === undefined) return `Throws ${text}`;
  const found = context.library.find(name, entry);
  const type = found === undefined ? code(name) : context.link(code(name), found.entry, found.member);
  const sentence = `${isRejection ? "Rejects with" : "Throws"} ${type}${rest === "." || rest === "" ? "" : " "}${rest}`;
  return /[.:!]$/.test(sentence) ? sentence : `${sentence}.`;
}

/** `text` with `{@link App.route}` and names of documents, such as docs/limits.md, as links. */
function linked(context, text, entry) {
  const whole = text.replace(/\{@link\s+([\w.]+)\s*\}/g, "{@link $1}");
  return mapProse(whole, (line) =>
    line.replace(/\b(?:docs\/[\w-]+|PROTOCOL)\.md\b/g, linkToDocument).replace(/\{@link ([\w.]+)\}/g, (_tag, name) => {
      const found = context.library.find(name, entry);
      if (found !== undefined) return context.link(code(name), found.entry, found.member);
      context.deadLink(name, entry);
      return code(name);
    }),
  );
}

function linkToDocument(path) {
  return `[${path}](${path.startsWith("docs/") ? `../${path.slice("docs/".length)}` : `../../${path}`})`;
}

/** Only examples are complete; any other block is not for running. */
function withFences(text) {
  return text.replace(/^```(?:ts|js)$/gm, "```text");
}
