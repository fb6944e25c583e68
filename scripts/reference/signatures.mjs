// Signatures as blocks: laid out by the project's formatter, all of them in one run of it.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { root } from "./declarations.mjs";

const lineWidth = 100;

/** Signatures to lay out: a block holds a mark until {@link Signatures.fill}. */
export class Signatures {
  #snippets = [];

  /** A block of declarations. */
  block(declarations) {
    return this.#add({ code: declarations.join("\n"), isMember: false });
  }

  /** A block of members, which are declarations only in an interface. */
  memberBlock(members) {
    return this.#add({ code: members.join(";\n"), isMember: true });
  }

  /** `text` with its blocks laid out. */
  fill(text) {
    const blocks = this.#layOut();
    return text.replace(/^signature:(\d+)$/gm, (_mark, index) => blocks[index]);
  }

  /** Comments in a block are code, in which a link would stay as it is written. */
  #add(snippet) {
    this.#snippets.push({ ...snippet, code: snippet.code.replace(/\{@link ([\w.]+)\}/g, "`$1`") });
    return `\`\`\`text\nsignature:${this.#snippets.length - 1}\n\`\`\``;
  }

  #layOut() {
    const marked = this.#snippets.map((snippet, index) => `// snippet ${index}\n${sourceOf(snippet)}\n`).join("\n");
    const [, ...formatted] = format(marked).split(/^\/\/ snippet \d+\n/m);
    return formatted.map((code, index) => (this.#snippets[index].isMember ? inside(code) : bare(code)));
  }
}

/** A snippet as the formatter reads it. */
function sourceOf({ code, isMember }) {
  return isMember ? `interface Snippet {\n${compact(code)};\n}` : compact(code);
}

/** The formatter leaves an object type in as many lines as it has; in one line it decides for itself. */
function compact(code) {
  return code.includes("/*") ? code : code.replace(/\{\s*\n\s*/g, "{ ").replace(/\s*\n\s*\}/g, " }");
}

function format(code) {
  const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
  const args = [biome, "format", "--stdin-file-path=signatures.ts", `--line-width=${lineWidth}`];
  return execFileSync(process.execPath, args, { cwd: root, input: code, encoding: "utf8" });
}

/** A declaration without what only the syntax asks for. */
function bare(code) {
  return withoutSemicolons(
    code
      .trim()
      .replace(/ \{\}$/, "")
      .replace(/ =\s+Computed;$/, ""),
  ).replace(/^declare /gm, "");
}

/** The members of the interface around them. */
function inside(code) {
  const lines = code.trim().split("\n").slice(1, -1);
  return withoutSemicolons(lines.map((line) => line.replace(/^ {2}/, "")).join("\n")).replace(/^new__/gm, "new ");
}

/** Those inside of an object type stay. */
function withoutSemicolons(code) {
  return code.replace(/^(\S.*);$/gm, "$1").replace(/;$/, "");
}
