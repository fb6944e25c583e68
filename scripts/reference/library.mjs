// The library as its reference shows it: every public name with its kind, its members and its page.
import ts from "typescript";
import {
  exportsOf,
  extendsError,
  isOurs,
  membersOf,
  mergedComment,
  programOf,
  resolvedSymbol,
} from "./declarations.mjs";

/** In the order of a page. */
export const kinds = {
  classes: "Classes",
  functions: "Functions",
  decorators: "Decorators",
  constants: "Constants",
  errors: "Errors",
  options: "Options",
  types: "Types",
  supporting: "Supporting types",
};

/** The members of every Error: JavaScript describes them. */
const errorMembers = new Set(["name", "message", "stack", "cause"]);

export class Library {
  #entries = new Map();
  #byPage = new Map();

  /** @param files The declarations of each page. A name that several pages export is described on the first. */
  constructor(files) {
    const program = programOf([...files.values()]);
    this.checker = program.getTypeChecker();
    for (const page of files.keys()) this.#byPage.set(page, { own: [], again: [] });
    for (const [page, file] of files) {
      for (const exported of exportsOf(program, file)) this.#add(page, exported);
    }
  }

  get pages() {
    return [...this.#byPage.keys()];
  }

  /** Public names that are described on this page, and supporting types that were found so far. */
  entriesOf(page) {
    return this.#byPage.get(page).own.toSorted(byName);
  }

  /** Names that this page exports and another describes. */
  exportedAgain(page) {
    return this.#byPage.get(page).again.toSorted(byName);
  }

  /**
   * The name that a node refers to; `undefined` for names of other packages and type parameters.
   *
   * A type of ours that is not exported is described on the first page that mentions it.
   */
  entryAt(node, page) {
    const symbol = this.checker.getSymbolAtLocation(node);
    return symbol === undefined ? undefined : this.#entryOf(resolvedSymbol(this.checker, symbol), page);
  }

  /** Whether a node names a type of ours that is not public. */
  isHidden(node) {
    const symbol = resolvedSymbol(this.checker, this.checker.getSymbolAtLocation(node));
    return symbol.declarations.some(isOurs) && (this.#entries.get(symbol)?.isSupporting ?? true);
  }

  #entryOf(symbol, page) {
    if (this.#entries.has(symbol)) return this.#entries.get(symbol);
    const declared = symbol.declarations?.[0];
    if (declared === undefined || !isOurs(declared) || !isType(declared)) return undefined;
    return this.#add(page, { name: symbol.name, symbol, isTypeOnly: true, isSupporting: true });
  }

  /** Finds a name as comments of `entry` write it: `App`, `App.route`, or a member; `undefined` if it is not public. */
  find(name, entry) {
    const [first, member] = name.split(".");
    const owner = this.#named(first, entry.page);
    if (owner === undefined) return this.#memberNamed(entry, first);
    return member === undefined ? { entry: owner } : this.#memberNamed(owner, member);
  }

  /** Members that a class inherits from a public parent are described there. */
  #memberNamed(entry, member) {
    const [declaration] = entry.declarations;
    if (!ts.isClassDeclaration(declaration) && !ts.isInterfaceDeclaration(declaration)) return undefined;
    const { own, inherited } = this.membersOf(entry);
    const isIt = ({ name }) => name === member;
    const found = own.find(isIt);
    if (found !== undefined) return { entry, member: found };
    const [parent] = [...inherited].find(([, members]) => members.some(isIt)) ?? [];
    return parent === undefined ? undefined : this.#memberNamed(parent, member);
  }

  #named(name, page) {
    const named = [...this.#entries.values()].filter((entry) => entry.name === name && !entry.isSupporting);
    return named.find((entry) => entry.page === page) ?? named[0];
  }

  /**
   * The own members of a class or an interface, with those of parents that are not public; and those of public parents.
   *
   * Limits are for looking up a name: all in one table.
   */
  membersOf(entry) {
    const own = [];
    const inherited = new Map();
    for (const member of membersOf(this.checker, entry.symbol)) {
      if (entry.kind === "errors" && errorMembers.has(member.name)) continue;
      const owner = this.#entries.get(member.owner);
      const isOwn = owner === undefined || owner === entry || owner.isSupporting || entry.name.endsWith("Limits");
      if (isOwn) own.push(member);
      else inherited.set(owner, [...(inherited.get(owner) ?? []), member]);
    }
    return { own, inherited };
  }

  #add(page, { name, symbol, isTypeOnly, isSupporting = false }) {
    const known = this.#entries.get(symbol);
    if (known !== undefined) {
      this.#byPage.get(page).again.push(known);
      return known;
    }
    const declarations = symbol.declarations.filter(isOurs);
    const kind = isSupporting ? "supporting" : this.#kindOf(symbol, declarations[0]);
    const comment = mergedComment(declarations);
    const id = `${page}/${name}${isSupporting ? "~" : ""}`;
    const entry = { id, name, page, symbol, declarations, kind, comment, isTypeOnly, isSupporting };
    this.#entries.set(symbol, entry);
    this.#byPage.get(page).own.push(entry);
    return entry;
  }

  #kindOf(symbol, declaration) {
    if (ts.isClassDeclaration(declaration)) return extendsError(this.checker, symbol) ? "errors" : "classes";
    if (ts.isFunctionDeclaration(declaration)) return /^[A-Z]/.test(symbol.name) ? "decorators" : "functions";
    if (ts.isVariableDeclaration(declaration)) return "constants";
    if (ts.isInterfaceDeclaration(declaration)) return /(Options|Limits)$/.test(symbol.name) ? "options" : "types";
    return symbol.name.startsWith("Error") ? "errors" : "types";
  }
}

function isType(declaration) {
  return [ts.isInterfaceDeclaration, ts.isTypeAliasDeclaration, ts.isClassDeclaration].some((is) => is(declaration));
}

/** Not by locale: the same on every machine. */
function byName(one, other) {
  const [a, b] = [one.name.toLowerCase(), other.name.toLowerCase()];
  if (a !== b) return a < b ? -1 : 1;
  return one.name < other.name ? -1 : 1;
}
