// Types as text: in cells with links, and in signatures.
import ts from "typescript";
import { code } from "./markdown.mjs";

/** The type of a property as a cell: each part of a union links to the first name in it that has a place. */
export function typeCell(context, declaration) {
  const type = typeOf(declaration);
  if (type === undefined) return code(declaration.initializer.getText());
  const parts = partsOf(type, declaration.questionToken !== undefined);
  if (parts.length === 1 && ts.isParenthesizedTypeNode(parts[0])) parts[0] = parts[0].type;
  const cells = [];
  for (const part of parts) {
    const [mentioned] = mentionedIn(context, [part]);
    const text = flatType(part);
    const last = cells.at(-1);
    if (mentioned !== undefined) cells.push({ text, mentioned });
    else if (last !== undefined && last.mentioned === undefined) last.text += ` | ${text}`;
    else cells.push({ text });
  }
  return cells.map(({ text, mentioned }) => (mentioned ? context.link(code(text), mentioned) : code(text))).join(" | ");
}

function typeOf(declaration) {
  if (ts.isMethodSignature(declaration)) return declaration;
  return declaration.type;
}

/** The parts of a union; that an optional property may be `undefined` says its question mark. */
function partsOf(type, isOptional) {
  if (!ts.isUnionTypeNode(type)) return [type];
  const isUndefined = ({ kind }) => kind === ts.SyntaxKind.UndefinedKeyword;
  return type.types.filter((part) => !(isOptional && isUndefined(part)));
}

function flatType(node) {
  const text = ts.isMethodSignature(node) ? `${parametersOf(node)} => ${node.type.getText()}` : node.getText();
  return text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/\s+/g, " ")
    .replace(/; \}/g, " }");
}

function parametersOf({ parameters }) {
  return `(${parameters.map((parameter) => parameter.getText()).join(", ")})`;
}

/** The names with a place that nodes mention, in order, each once. */
export function mentionedIn(context, nodes) {
  const found = new Set();
  const visit = (node) => {
    const named = ts.isTypeReferenceNode(node) ? node.typeName : undefined;
    const entry = named === undefined ? undefined : context.library.entryAt(named, context.page);
    if (entry !== undefined) found.add(entry);
    ts.forEachChild(node, visit);
  };
  for (const node of nodes) visit(node);
  return [...found];
}

/** The text after the name of a function or method, with names in place of patterns in its parameters. */
export function callText(declaration) {
  const source = declaration.getSourceFile().text;
  const start = declaration.name?.end ?? declaration.getText().indexOf("(") + declaration.getStart();
  const patterns = declaration.parameters.filter(({ name }) => !ts.isIdentifier(name));
  let text = "";
  let from = start;
  for (const { name, type } of patterns) {
    text += source.slice(from, name.getStart()) + nameFor(type);
    from = name.end;
  }
  return (text + source.slice(from, declaration.end)).replace(/;$/, "");
}

/** `request` for a `TransportRequest`. */
function nameFor(type) {
  const [word] = /[A-Z][a-z]+$/.exec(type.getText()) ?? ["options"];
  return word.toLowerCase();
}

/** `class Room extends Address`, without its body, and without parents that are not public. */
export function headerOf({ library }, declaration) {
  const { name, typeParameters = [], heritageClauses = [] } = declaration;
  const word = ts.isClassDeclaration(declaration) ? "class" : "interface";
  const isAbstract = ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Abstract;
  const parameters = typeParameters.map((parameter) => parameter.getText()).join(", ");
  const clauses = heritageClauses.map((clause) => clauseText(library, clause)).join("");
  const generic = parameters === "" ? "" : `<${parameters}>`;
  return `declare ${isAbstract ? "abstract " : ""}${word} ${name.text}${generic}${clauses} {}`;
}

function clauseText(library, { token, types }) {
  const texts = types.filter(({ expression }) => !library.isHidden(expression)).map((type) => type.getText());
  return texts.length === 0 ? "" : ` ${ts.tokenToString(token)} ${texts.join(", ")}`;
}

/** A declaration as it stands, for what no table can show. */
export function wholeText(declaration) {
  return declaration
    .getText()
    .replace(/^export /, "")
    .replace(/^declare /, "");
}

/** A conditional type says nothing to a reader; its comment does. */
export function aliasText(declaration) {
  const text = wholeText(declaration);
  if (!ts.isConditionalTypeNode(declaration.type)) return text;
  const start = declaration.getText().length - text.length;
  return `${text.slice(0, declaration.type.getStart() - declaration.getStart() - start).trimEnd()} Computed;`;
}
