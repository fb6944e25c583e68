// Which public names have no doc comment.
import ts from "typescript";
import { commentOf, flat, splitDefault } from "./comments.mjs";
import { memberComment, sourceOf } from "./declarations.mjs";

/** `src/server/options.ts: AppOptions.logger` for each name and member without a comment, sorted. */
export function undocumentedOf(library) {
  const entries = library.pages.flatMap((page) => library.entriesOf(page)).filter(({ isSupporting }) => !isSupporting);
  return [...new Set(entries.flatMap((entry) => gapsOf(library, entry)))].sort();
}

function gapsOf(library, entry) {
  const [declaration] = entry.declarations;
  const gaps = hasText(entry.comment) ? [] : [`${sourceOf(declaration)}: ${entry.name}`];
  if (!ts.isClassDeclaration(declaration) && !ts.isInterfaceDeclaration(declaration)) {
    return [...gaps, ...literalGaps(entry, declaration)];
  }
  const members = library.membersOf(entry).own.filter((member) => isBare(library, entry, member));
  return [
    ...gaps,
    ...members.map(({ name, declarations: [first] }) => `${sourceOf(first)}: ${ownerOf(first)}.${name}`),
  ];
}

function ownerOf({ parent }) {
  return parent.name?.text ?? "";
}

function isBare(library, entry, member) {
  return !hasText(memberComment(library.checker, entry.symbol, member));
}

/** The members of a constant object, such as `CloseCode.normal`. */
function literalGaps({ name }, declaration) {
  const { type } = declaration;
  if (type === undefined || !ts.isVariableDeclaration(declaration) || !ts.isTypeLiteralNode(type)) return [];
  const bare = type.members.filter((member) => !hasText(commentOf(member)));
  return bare.map((member) => `${sourceOf(declaration)}: ${name}.${member.name.getText()}`);
}

/** A default by itself describes nothing. */
function hasText({ text }) {
  return splitDefault(flat(text)).meaning !== "";
}
