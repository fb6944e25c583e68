// Reads the declarations in dist/: which names each subpath exports, and which members they have.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { commentOf } from "./comments.mjs";

export const root = fileURLToPath(new URL("../../", import.meta.url));
const dist = join(root, "dist/");

/** The declarations of each subpath of package.json: `enfilade`, `client`, … */
export function declarationFiles() {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const subpaths = Object.entries(exports).filter(([, target]) => target.types !== undefined);
  return new Map(subpaths.map(([subpath, { types }]) => [subpath.slice(2) || "enfilade", existing(join(root, types))]));
}

function existing(file) {
  if (!existsSync(file)) throw new Error(`${file} is missing; run: npm run build`);
  return file;
}

export function programOf(files) {
  const options = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
    types: ["node"],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
  };
  const host = { ...ts.createCompilerHost(options), getCurrentDirectory: () => root };
  return ts.createProgram(files, options, host);
}

/** The exports of a file: the name, the symbol behind all aliases, and whether only the type is exported. */
export function exportsOf(program, file) {
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(file));
  return checker.getExportsOfModule(module).map((exported) => ({
    name: exported.name,
    symbol: resolvedSymbol(checker, exported),
    isTypeOnly: (exported.declarations ?? []).some(isTypeExport),
  }));
}

export function resolvedSymbol(checker, symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

function isTypeExport(declaration) {
  return ts.isExportSpecifier(declaration) && (declaration.isTypeOnly || declaration.parent.parent.isTypeOnly);
}

export function isOurs(declaration) {
  return declaration.getSourceFile().fileName.startsWith(dist);
}

/** The source file of a declaration, as a path in the project. */
export function sourceOf(declaration) {
  const { fileName } = declaration.getSourceFile();
  return `src/${fileName.slice(dist.length).replace(/\.d\.ts$/, ".ts")}`;
}

/**
 * The public members of a class or an interface, those of its parents included.
 *
 * `declarations` are several for an overloaded method. `owner` is the symbol of the class that declares the member.
 */
export function membersOf(checker, symbol) {
  const own = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol)).map((member) => ({ member }));
  const ofClass = symbol.valueDeclaration !== undefined && ts.isClassDeclaration(symbol.valueDeclaration);
  const statics = ofClass ? checker.getPropertiesOfType(checker.getTypeOfSymbol(symbol)) : [];
  return [...own, ...statics.map((member) => ({ member, isStatic: true }))].flatMap(({ member, isStatic = false }) => {
    const declarations = (member.declarations ?? []).filter(
      (declaration) => isOurs(declaration) && isPublic(declaration),
    );
    if (declarations.length === 0) return [];
    const [first] = declarations;
    const owner = checker.getSymbolAtLocation(first.parent.name);
    return [{ name: first.name.getText(), declarations, owner, isStatic, isMethod: isMethod(first) }];
  });
}

function isPublic(declaration) {
  if (declaration.name === undefined || ts.isPrivateIdentifier(declaration.name)) return false;
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  return (ts.getCombinedModifierFlags(declaration) & hidden) === 0 && !commentOf(declaration).isInternal;
}

function isMethod(declaration) {
  return ts.isMethodDeclaration(declaration) || ts.isMethodSignature(declaration);
}

/** The members that a class inherits from JavaScript's own classes are described there. */
export function extendsError(checker, symbol) {
  if ((symbol.flags & ts.SymbolFlags.Class) === 0) return false;
  const [parent] = checker.getBaseTypes(checker.getDeclaredTypeOfSymbol(symbol));
  return parent !== undefined && (parent.symbol.name === "Error" || extendsError(checker, parent.symbol));
}

/** The comment of a member: its own, or else that of the interface or class that it implements or overrides. */
export function memberComment(checker, symbol, { name, declarations }) {
  const own = mergedComment(declarations);
  if (!own.isEmpty) return own;
  for (const parent of parentsOf(checker, symbol)) {
    const inherited = parent.members?.get(name)?.declarations?.filter(isOurs) ?? [];
    const comment = inherited.length > 0 ? memberComment(checker, parent, { name, declarations: inherited }) : own;
    if (!comment.isEmpty) return comment;
  }
  return own;
}

/** The comment of an overloaded name is that of the first declaration that has one. */
export function mergedComment(declarations) {
  const comments = declarations.map(commentOf);
  return comments.find(({ isEmpty }) => !isEmpty) ?? comments[0];
}

function parentsOf(checker, symbol) {
  const clauses = (symbol.declarations ?? []).flatMap(({ heritageClauses }) => heritageClauses ?? []);
  return clauses.flatMap(({ types }) =>
    types.flatMap(({ expression }) => {
      const parent = checker.getSymbolAtLocation(expression);
      return parent === undefined ? [] : [resolvedSymbol(checker, parent)];
    }),
  );
}
