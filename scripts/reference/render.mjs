// One public name as Markdown.
import ts from "typescript";
import { commentOf, splitDefault, unitOf } from "./comments.mjs";
import { memberComment, mergedComment } from "./declarations.mjs";
import { blocks, code, table } from "./markdown.mjs";
import { codeOf, describe, inlineComment } from "./prose.mjs";
import { aliasText, callText, headerOf, mentionedIn, typeCell, wholeText } from "./types.mjs";

/** The section of one name. */
export function renderEntry(context, entry) {
  const [declaration] = entry.declarations;
  const body = rendererOf(declaration)(context, entry, declaration);
  return blocks(context.heading(3, entry.name, entry), body);
}

function rendererOf(declaration) {
  if (ts.isClassDeclaration(declaration)) return renderClass;
  if (ts.isInterfaceDeclaration(declaration)) return renderInterface;
  if (ts.isFunctionDeclaration(declaration)) return renderFunction;
  if (ts.isVariableDeclaration(declaration)) return renderConstant;
  return renderAlias;
}

function renderFunction(context, entry) {
  const signatures = entry.declarations.map((each) => `declare function ${entry.name}${callText(each)};`);
  return [
    context.signatures.block(signatures),
    describe(context, entry.comment, entry),
    typesLine(context, entry.declarations, entry),
  ];
}

function renderConstant(context, entry, declaration) {
  const { type } = declaration;
  if (type !== undefined && ts.isTypeLiteralNode(type)) {
    const rows = type.members.map((member) => [
      code(`${entry.name}.${member.name.getText()}`),
      typeCell(context, member),
      inlineComment(context, commentOf(member), entry),
    ]);
    return [describe(context, entry.comment, entry), table(["Name", "Value", "Meaning"], rows)];
  }
  return [
    context.signatures.block([`declare const ${declaration.getText()};`]),
    describe(context, entry.comment, entry),
    type === undefined ? "" : typesLine(context, [type], entry),
  ];
}

function renderAlias(context, entry, declaration) {
  const comment = describe(context, entry.comment, entry);
  const { type } = declaration;
  if (ts.isUnionTypeNode(type) && type.types.every((part) => !commentOf(part).isEmpty)) {
    const rows = type.types.map((part) => [code(part.getText()), inlineComment(context, commentOf(part), entry)]);
    return [comment, table(["Value", "Meaning"], rows)];
  }
  const mentioned = ts.isConditionalTypeNode(type) ? "" : typesLine(context, [type], entry);
  return [context.signatures.block([aliasText(declaration)]), comment, mentioned];
}

function renderInterface(context, entry, declaration) {
  const comment = describe(context, entry.comment, entry);
  if (isBeyondTables(declaration)) {
    return [context.signatures.block([wholeText(declaration)]), comment, typesLine(context, [declaration], entry)];
  }
  const { own, inherited } = context.library.membersOf(entry);
  const isSimple = declaration.typeParameters === undefined && inherited.size === 0;
  return [
    isSimple && own.length > 0 ? "" : context.signatures.block([headerOf(context, declaration)]),
    comment,
    ...membersOf(context, entry, own),
    ...inheritedLines(context, inherited),
  ];
}

/** A table has no place for call signatures, and none for comments inside of a type. */
function isBeyondTables({ members }) {
  const isCommented = (type) => type !== undefined && /\/\*\*/.test(type.getText());
  return members.some((member) => ts.isCallSignatureDeclaration(member) || isCommented(member.type));
}

function renderClass(context, entry, declaration) {
  const { own, inherited } = context.library.membersOf(entry);
  const isMade = entry.isTypeOnly && !entry.isSupporting;
  return [
    context.signatures.block([headerOf(context, declaration)]),
    describe(context, entry.comment, entry),
    isMade ? "The library creates it; the package exports only its type." : "",
    isMade ? [] : constructorOf(context, entry, declaration),
    ...membersOf(context, entry, own),
    ...inheritedLines(context, inherited),
  ];
}

function constructorOf(context, entry, declaration) {
  const isAbstract = ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Abstract;
  const declared = declaration.members.find(ts.isConstructorDeclaration);
  const isPrivate = declared && ts.getCombinedModifierFlags(declared) & ts.ModifierFlags.Private;
  if (isAbstract || isPrivate) return [];
  const heading = context.heading(4, code(`new ${entry.name}()`), entry, "constructor");
  if (declared === undefined) return [heading, `\`\`\`text\nnew ${entry.name}()\n\`\`\``];
  return [
    heading,
    context.signatures.memberBlock([`new__${entry.name}${callText(declared)}`]),
    describe(context, commentOf(declared), entry),
    typesLine(context, declared.parameters, entry),
  ];
}

/** Methods have headings, but those of options, which are set and not called. */
export function hasHeading(entry, { isMethod }) {
  return isMethod && !isOptions(entry);
}

function isOptions({ name }) {
  return /(Options|Limits)$/.test(name);
}

/** Properties in a table, then methods, hooks first. */
function membersOf(context, entry, members) {
  const properties = members.filter((member) => !hasHeading(entry, member));
  const methods = members.filter((member) => hasHeading(entry, member));
  const isHook = ({ declarations: [first] }) => first.questionToken !== undefined && ts.isMethodDeclaration(first);
  const hooks = methods.filter(isHook);
  return [
    propertyTable(context, entry, properties),
    hooks.length > 0 ? "**Hooks**, which a subclass implements:" : "",
    ...hooks.flatMap((hook) => renderMethod(context, entry, hook)),
    hooks.length > 0 ? "**Methods**, which a subclass calls:" : "",
    ...methods.filter((method) => !isHook(method)).flatMap((method) => renderMethod(context, entry, method)),
  ];
}

function renderMethod(context, entry, member) {
  const { name, declarations, isStatic } = member;
  const object = isStatic ? entry.name : entry.name[0].toLowerCase() + entry.name.slice(1);
  const heading = name.startsWith("[") ? `${object}${name}()` : `${object}.${name}()`;
  return [
    context.heading(4, code(heading), entry, name),
    context.signatures.memberBlock(declarations.map((each) => `${name}${callText(each)}`)),
    describe(context, memberComment(context.library.checker, entry.symbol, member), entry),
    typesLine(context, declarations, entry),
  ];
}

function propertyTable(context, entry, properties) {
  if (properties.length === 0) return "";
  if (isOptions(entry)) return optionTable(context, entry, properties);
  if (properties.every(({ declarations: [first] }) => first.type !== undefined && ts.isTupleTypeNode(first.type))) {
    return eventTable(context, entry, properties);
  }
  const commentOfMember = (property) => memberComment(context.library.checker, entry.symbol, property);
  const rows = properties.map((property) => [
    code(`${property.name}${property.declarations[0].questionToken === undefined ? "" : "?"}`),
    typeCell(context, property.declarations[0]),
    inlineComment(context, commentOfMember(property), entry),
  ]);
  const examples = properties.flatMap((property) =>
    codeOf(commentOfMember(property)).map((block) => blocks(`${code(property.name)}:`, block)),
  );
  return blocks(table(["Property", "Type", "Meaning"], rows), examples);
}

function optionTable(context, entry, properties) {
  const rows = properties.map((property) => {
    const comment = inlineComment(context, memberComment(context.library.checker, entry.symbol, property), entry);
    const { meaning, default: standard } = splitDefault(comment);
    const [first] = property.declarations;
    const ifLeftOut = standard ?? (first.questionToken === undefined ? "required" : "none");
    const unit = isNumber(first) ? unitOf(property.name, meaning) : "";
    return { name: property.name, type: typeCell(context, first), ifLeftOut, unit, meaning };
  });
  const isPlain = rows.every(({ ifLeftOut }) => ifLeftOut === "required");
  const cells = rows.map(({ name, type, ifLeftOut, unit, meaning }) => [
    ...[code(name), type, isPlain ? "" : ifLeftOut],
    ...[unit, meaning],
  ]);
  return table(["Name", "Type", "Default", "Unit", "Meaning"], cells);
}

function isNumber({ type }) {
  return type !== undefined && /\bnumber\b/.test(type.getText()) && !type.getText().includes("=>");
}

/** Events by name, each with the arguments that its listener gets. */
function eventTable(context, entry, properties) {
  const rows = properties.map(({ name, declarations }) => {
    const [first] = declarations;
    return [
      code(name.startsWith('"') ? name : `"${name}"`),
      code(`(${first.type.getText().slice(1, -1)})`),
      inlineComment(context, mergedComment(declarations), entry),
    ];
  });
  const types = properties.map(({ declarations: [first] }) => first.type);
  return blocks(table(["Event", "Arguments", "Meaning"], rows), typesLine(context, types, entry));
}

function inheritedLines(context, inherited) {
  return [...inherited].map(([parent, members]) => {
    const names = members.map(({ name, isMethod }) => code(isMethod && !name.startsWith("[") ? `${name}()` : name));
    return `From ${context.link(code(parent.name), parent)}: ${names.join(", ")}.`;
  });
}

/** Links to the types of a signature, which a block of code cannot have. */
function typesLine(context, nodes, entry) {
  const links = mentionedIn(context, nodes)
    .filter((found) => found !== entry)
    .map((found) => context.link(code(found.name), found));
  return links.length > 0 ? `Types: ${links.join(", ")}.` : "";
}
