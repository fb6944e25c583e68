import { addRoute, createRouter, findRoute, type InferRouteParams, type RouterContext } from "rou3";
import { asError, EnfiladeError } from "../errors.js";
import { type RoomPath, roomName } from "./path.js";

/** The parameters that a route pattern yields: `RouteParams<"/chat/:channel">` is `{ channel: string }`. */
export type RouteParams<Pattern extends string> = string extends Pattern
  ? Readonly<Record<string, string | undefined>>
  : { readonly [Name in keyof Omit<InferRouteParams<Pattern>, "_">]: InferRouteParams<Pattern>[Name] };

type OptionalNames<Params> = { [Name in keyof Params]: undefined extends Params[Name] ? Name : never }[keyof Params];

/** What fills a pattern: a value for every parameter, optional ones excepted. */
export type PathParams<Pattern extends string> = string extends Pattern
  ? Readonly<Record<string, string | number | undefined>>
  : { readonly [Name in Exclude<keyof RouteParams<Pattern>, OptionalNames<RouteParams<Pattern>>>]: string | number } & {
      readonly [Name in OptionalNames<RouteParams<Pattern>>]?: string | number | undefined;
    };

export type Values = Readonly<Record<string, string | number | undefined>>;

/** What a pattern is made of: text, a parameter with a name, or syntax without one. */
interface Piece {
  /** As it stands in the pattern. */
  readonly source: string;
  readonly text?: string;
  readonly name?: string;
  /** Whether the parameter may be missing. */
  readonly optional?: boolean;
  /** Whether the parameter may have several segments. */
  readonly many?: boolean;
}

/**
 * The room that `pattern` names with these parameters, which may come from anybody.
 *
 * ```ts
 * roomPath("/chat/:channel", { channel: "general" }); // "/chat/general"
 * ```
 *
 * Values stand for themselves: they are not percent-decoded, and one that would add a segment, or come back as another
 * from the path, is refused.
 *
 * @throws EnfiladeError `ERR_PARAMS` when a value is missing or does not fit, `ERR_ROUTE_PATTERN` when the pattern has
 * a part without a name, `ERR_PATH` when the result is no room path.
 */
export function roomPath<const Pattern extends string>(pattern: Pattern, params: PathParams<Pattern>): RoomPath {
  return fillPattern(pattern, params);
}

/** As {@link roomPath}, for a pattern that is known only at run time. */
export function fillPattern(pattern: string, params: Values): RoomPath {
  if (typeof params !== "object" || params === null) {
    throw new EnfiladeError("ERR_PARAMS", `the parameters of "${pattern}" are an object, got ${String(params)}`);
  }
  const pieces = piecesOf(pattern);
  const path = roomName(fill(pattern, pieces, params) || "/");
  const found = findRoute(matcherOf(pattern), "", path)?.params ?? {};
  for (const { name } of pieces) {
    if (name === undefined || params[name] === undefined) continue;
    if (found[name] === String(params[name]).normalize("NFC")) continue;
    throw new EnfiladeError("ERR_PARAMS", `"${name}" of "${pattern}" does not take ${JSON.stringify(params[name])}`);
  }
  return path;
}

/**
 * `pattern` in the form that matches decoded paths: rou3 percent-encodes literal text, and paths here are decoded.
 *
 * The characters it would encode are written as a constraint, which it takes as it is. So constraints and parameters are
 * about decoded text too.
 *
 * @throws EnfiladeError `ERR_ROUTE_PATTERN` when no room path could ever match.
 */
export function decodedPattern(pattern: string): string {
  const normal = pattern.normalize("NFC");
  const pieces = piecesOf(normal);
  checkText(pattern, pieces);
  let count = 0;
  const literal = (text: string) =>
    text.replace(encoded, (run) => {
      count += 1;
      return `:${literalPrefix}${count}(${[...run].map((char) => (/[\^{}]/.test(char) ? `[\\${char}]` : char)).join("")})`;
    });
  return pieces.map(({ source, text }) => (text !== undefined && encoded.test(text) ? literal(text) : source)).join("");
}

/**
 * Parameters by name, with nothing inherited: a handler may ask for whatever name.
 *
 * A function with such a prototype, since an object of `Object.create(null)` is a hash table, several times as large.
 */
const Params = function Params() {
  // What it makes is filled by its caller.
} as unknown as new () => Record<string, string>;
Params.prototype = Object.create(null);

/** What a match yielded, less what {@link decodedPattern} added and the old name of a bare wildcard. */
export function namedParams(params: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const named = new Params();
  for (const [name, value] of Object.entries(params)) {
    if (name !== "_" && !name.startsWith(literalPrefix)) named[name] = value;
  }
  return named;
}

/** Has rou3 read a pattern: what it throws says what is wrong with the syntax. */
export function readPattern<T>(pattern: string, read: (decoded: string) => T): T {
  const decoded = decodedPattern(pattern);
  try {
    return read(decoded);
  } catch (cause) {
    const { message } = asError(cause);
    throw new EnfiladeError("ERR_ROUTE_PATTERN", `the pattern "${pattern}" cannot be read: ${message}`, { cause });
  }
}

/** Runs of what rou3 percent-encodes in literal text. */
const encoded = /[ "<>^`{}\x7f-\uffff]+/g;
const literalPrefix = "enfilade_text_";
const matchersMax = 256;
const matchers = new Map<string, RouterContext<true>>();

function matcherOf(pattern: string): RouterContext<true> {
  const known = matchers.get(pattern);
  if (known !== undefined) return known;
  if (matchers.size >= matchersMax) matchers.clear();
  const matcher = createRouter<true>();
  readPattern(pattern, (decoded) => addRoute(matcher, "", decoded, true));
  matchers.set(pattern, matcher);
  return matcher;
}

function checkText(pattern: string, pieces: readonly Piece[]): void {
  const refuse = (why: string, cause?: unknown) =>
    new EnfiladeError("ERR_ROUTE_PATTERN", `the pattern ${JSON.stringify(pattern)} ${why}`, { cause });
  const text = pieces.map((piece) => piece.text ?? "").join("");
  if (/%[\da-f]{2}/i.test(text)) throw refuse("is percent-encoded: write the text itself");
  const foreign = foreignPart(pieces);
  if (foreign !== undefined) {
    throw refuse(`has ${JSON.stringify(foreign.source)}, which means nothing here: write "${foreign.own}"`);
  }
  if (pieces.some(({ name }) => name === "_")) throw refuse('has a parameter named "_", a name that is taken');
  try {
    roomName(pieces.map((piece) => piece.text ?? "x").join(""), {
      pathBytesMax: Number.MAX_SAFE_INTEGER,
      pathSegmentsMax: Number.MAX_SAFE_INTEGER,
    });
  } catch (cause) {
    throw refuse(`is what no room path can be: ${asError(cause).message}`, cause);
  }
}

/** A parameter as other libraries write it. */
const foreign = new RegExp(
  [
    // {name}, {name:type}, {*name}, {...name}; a group with a modifier is one of ours
    String.raw`\{(?<rest>\*|\.{3})?(?<braced>[A-Za-z_]\w*)(?::[^{}]*)?\}(?![?+*])`,
    // [name], [...name]
    String.raw`\[(?<spread>\.{3})?(?<bracketed>[A-Za-z_]\w*)\]`,
    // <name>, <type:name>
    String.raw`<(?:(?<type>\w+):)?(?<angled>[A-Za-z_]\w*)>`,
    // *name
    String.raw`(?<!\*)\*(?<starred>[A-Za-z_]\w*)`,
  ].join("|"),
);

/** The first parameter that is written as in another library, and how it is written here. */
function foreignPart(pieces: readonly Piece[]): { source: string; own: string } | undefined {
  const { groups = {}, index = 0, 0: found } = foreign.exec(pieces.map(masked).join("")) ?? {};
  if (found === undefined) return undefined;
  const { rest, braced, spread, bracketed, type, angled, starred } = groups;
  const isMany = [rest, spread, starred].some((part) => part !== undefined) || type === "path";
  const source = pieces.map((piece) => piece.source).join("");
  const own = `${isMany ? "**" : ""}:${braced ?? bracketed ?? angled ?? starred}`;
  return { source: source.slice(index, index + found.length), own };
}

/** A piece without what is escaped, a constraint or a modifier, in the same length. */
function masked({ source, name }: Piece): string {
  const nothing = (length: number) => "\0".repeat(length);
  if (name === undefined) return /^[\\(]/.test(source) ? nothing(source.length) : source;
  const at = source.indexOf(`:${name}`);
  return `${nothing(at)}:${name}${nothing(source.length - at - name.length - 1)}`;
}

function fill(pattern: string, pieces: readonly Piece[], params: Values): string {
  let path = "";
  for (const { name, text, optional = false, many = false } of pieces) {
    if (text !== undefined) {
      path += text;
    } else if (name === undefined) {
      throw new EnfiladeError(
        "ERR_ROUTE_PATTERN",
        `"${pattern}" has a part without a name, so no path can be made of it`,
      );
    } else {
      const value = paramValue(name, pattern, params, optional);
      if (!many && value?.includes("/")) {
        throw new EnfiladeError("ERR_PARAMS", `"${name}" of "${pattern}" is one segment: it takes no "/"`);
      }
      // An optional parameter that is missing takes its segment along.
      path = value === undefined ? path.replace(/\/$/, "") : path + value;
    }
  }
  return path;
}

function paramValue(name: string, pattern: string, params: Values, optional: boolean): string | undefined {
  const value = Object.hasOwn(params, name) ? params[name] : undefined;
  if (value === undefined && optional) return undefined;
  if ((typeof value === "string" && value !== "") || Number.isFinite(value)) return String(value);
  const came =
    value === ""
      ? "an empty string"
      : typeof value === "number"
        ? String(value)
        : value === null
          ? "null"
          : typeof value;
  throw new EnfiladeError("ERR_PARAMS", `"${name}" of "${pattern}" takes a text or a number, got ${came}`);
}

function piecesOf(pattern: string): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < pattern.length; ) {
    const piece = pieceAt(pattern, at);
    pieces.push(piece);
    at += piece.source.length;
  }
  return pieces;
}

function pieceAt(pattern: string, at: number): Piece {
  const rest = pattern.slice(at);
  const [escaped, character] = /^\\([\s\S])/.exec(rest) ?? [];
  if (escaped !== undefined) return { source: escaped, text: character ?? "" };
  const [head, stars = "", name] = /^(\*\*)?:([A-Za-z_]\w*)/.exec(rest) ?? [];
  if (head !== undefined && name !== undefined) {
    const constraint = constraintAt(rest, head.length);
    const [modifier = ""] = /^[?+*]/.exec(rest.slice(head.length + constraint.length)) ?? [];
    const all = constraint === "(.*)";
    return {
      source: head + constraint + modifier,
      name,
      optional: all || modifier === "?" || modifier === "*",
      many: all || stars !== "" || modifier === "+" || modifier === "*",
    };
  }
  if (rest.startsWith("(")) return { source: constraintAt(rest, 0) };
  const [syntax] = /^(?:\*+|[{}][?+*]?)/.exec(rest) ?? [];
  if (syntax !== undefined) return { source: syntax };
  const [text = rest.slice(0, 1)] = /^[^\\:*({}]+/.exec(rest) ?? [];
  return { source: text, text };
}

/** The constraint that begins at `start`, with its parentheses; empty if there is none. */
function constraintAt(text: string, start: number): string {
  if (text[start] !== "(") return "";
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "(") depth += 1;
    else if (text[at] === ")") depth -= 1;
    if (depth === 0) return text.slice(start, at + 1);
  }
  return text.slice(start);
}
