import { addRoute, createRouter, findRoute, type InferRouteParams, type RouterContext } from "rou3";
import { asError, EnfiladeError } from "../errors.js";
import { escaped } from "./line.js";
import { type RoomPath, roomName } from "./path.js";

/** The parameters of a route pattern: `RouteParams<"/chat/:channel">` is `{ channel: string }`. */
export type RouteParams<Pattern extends string> = string extends Pattern
  ? Readonly<Record<string, string | undefined>>
  : { readonly [Name in keyof Omit<InferRouteParams<Pattern>, "_">]: InferRouteParams<Pattern>[Name] };

type OptionalNames<Params> = { [Name in keyof Params]: undefined extends Params[Name] ? Name : never }[keyof Params];

/** The values that {@link roomPath} takes: a string or a number for each parameter; optional ones may be missing. */
export type PathParams<Pattern extends string> = string extends Pattern
  ? Readonly<Record<string, string | number | undefined>>
  : { readonly [Name in Exclude<keyof RouteParams<Pattern>, OptionalNames<RouteParams<Pattern>>>]: string | number } & {
      readonly [Name in OptionalNames<RouteParams<Pattern>>]?: string | number | undefined;
    };

/** As {@link PathParams}, for a pattern that is known only at run time. */
export type Values = Readonly<Record<string, string | number | undefined>>;

/** A part of a pattern: literal text, a parameter with a name, or syntax without a name. */
export interface Piece {
  /** The part as the pattern has it. */
  readonly source: string;
  /** The literal text, without escapes. */
  readonly text?: string;
  /** The name of the parameter. */
  readonly name?: string;
  /** The parameter may be missing. */
  readonly isOptional?: boolean;
  /** The parameter may have several segments. */
  readonly isMultiSegment?: boolean;
}

/**
 * Makes the room path of `pattern` with these parameters. It is safe with values from clients.
 *
 * ```ts
 * roomPath("/chat/:channel", { channel: "general" }); // "/chat/general"
 * ```
 *
 * Values are not percent-decoded. A value is refused if it would add a segment, or if a request with this path would
 * give the parameter another value.
 *
 * @throws EnfiladeError `ERR_PARAMS` when a value is missing or does not fit, `ERR_ROUTE_PATTERN` when the pattern is
 *   invalid or has a wildcard or group without a name, `ERR_PATH` when the result is not a room path.
 */
export function roomPath<const Pattern extends string>(pattern: Pattern, params: PathParams<Pattern>): RoomPath {
  return fillPattern(pattern, params);
}

/** As {@link roomPath}, for a pattern that is known only at run time. */
export function fillPattern(pattern: string, params: Values): RoomPath {
  if (typeof params !== "object" || params === null) {
    throw new EnfiladeError("ERR_PARAMS", `the parameters of "${pattern}" must be an object, got ${String(params)}`);
  }
  const pieces = piecesOf(pattern);
  const path = roomName(fill(pattern, pieces, params) || "/");
  const found = findRoute(matcherOf(pattern), "", path)?.params ?? {};
  for (const { name } of pieces) {
    if (name === undefined || params[name] === undefined) continue;
    if (found[name] === String(params[name]).normalize("NFC")) continue;
    const value = escaped(params[name]);
    throw new EnfiladeError("ERR_PARAMS", `${value} does not fit the parameter "${name}" of "${pattern}"`);
  }
  return path;
}

/**
 * Rewrites `pattern` so that rou3 matches decoded paths: rou3 percent-encodes literal text, but not constraints.
 *
 * Each run of characters that rou3 would encode becomes a parameter with that run as its constraint. Constraints and
 * parameters of the pattern itself are compared with decoded text too.
 *
 * @throws EnfiladeError `ERR_ROUTE_PATTERN` when no room path can match the pattern.
 */
export function decodedPattern(pattern: string): string {
  const normal = pattern.normalize("NFC");
  const pieces = piecesOf(normal);
  checkText(pattern, pieces);
  let count = 0;
  const literal = (text: string) =>
    text.replace(encoded, (run) => {
      count += 1;
      const constraint = [...run].map((char) => (/[\^{}]/.test(char) ? `[\\${char}]` : char)).join("");
      return `:${literalPrefix}${count}(${constraint})`;
    });
  return pieces.map(({ source, text }) => (text !== undefined && encoded.test(text) ? literal(text) : source)).join("");
}

/**
 * Parameters by name, without inherited properties: a parameter may have any name, such as `constructor`.
 *
 * V8 makes an object of `Object.create(null)` a hash table, several times as large; not so one of this constructor.
 */
const Params = function Params() {
  // namedParams() sets the properties.
} as unknown as new () => Record<string, string>;
Params.prototype = Object.create(null);

/** The parameters of a match, without those of {@link decodedPattern} and without `_`, rou3's name for a wildcard. */
export function namedParams(params: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const named = new Params();
  for (const [name, value] of Object.entries(params)) {
    if (name !== "_" && !name.startsWith(literalPrefix)) named[name] = value;
  }
  return named;
}

/**
 * Passes the decoded form of `pattern` to `read`, a function of rou3.
 *
 * @throws EnfiladeError `ERR_ROUTE_PATTERN` with the message of rou3 when `read` throws.
 */
export function readPattern<T>(pattern: string, read: (decoded: string) => T): T {
  const decoded = decodedPattern(pattern);
  try {
    return read(decoded);
  } catch (cause) {
    const { message } = asError(cause);
    throw new EnfiladeError("ERR_ROUTE_PATTERN", `the pattern "${pattern}" has a syntax error: ${message}`, { cause });
  }
}

/** Runs of characters that rou3 percent-encodes in literal text. */
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
  if (/%[\da-f]{2}/i.test(text)) throw refuse("is percent-encoded; write the decoded text");
  const foreign = foreignPart(pieces);
  if (foreign !== undefined) {
    throw refuse(`has ${JSON.stringify(foreign.source)}, the syntax of another library; write "${foreign.own}"`);
  }
  if (pieces.some(({ name }) => name === "_")) throw refuse('has a parameter with the reserved name "_"; rename it');
  try {
    roomName(pieces.map((piece) => piece.text ?? "x").join(""), {
      pathBytesMax: Number.MAX_SAFE_INTEGER,
      pathSegmentsMax: Number.MAX_SAFE_INTEGER,
    });
  } catch (cause) {
    throw refuse(`matches no room path: ${asError(cause).message}`, cause);
  }
}

/** Parameters in the syntax of other libraries. */
const foreign = new RegExp(
  [
    // {name}, {name:type}, {*name}, {...name}; but a group with a modifier is valid here
    String.raw`\{(?<rest>\*|\.{3})?(?<braced>[A-Za-z_]\w*)(?::[^{}]*)?\}(?![?+*])`,
    // [name], [...name]
    String.raw`\[(?<spread>\.{3})?(?<bracketed>[A-Za-z_]\w*)\]`,
    // <name>, <type:name>
    String.raw`<(?:(?<type>\w+):)?(?<angled>[A-Za-z_]\w*)>`,
    // *name
    String.raw`(?<!\*)\*(?<starred>[A-Za-z_]\w*)`,
  ].join("|"),
);

/** The first parameter in the syntax of another library, and the same parameter in ours. */
function foreignPart(pieces: readonly Piece[]): { source: string; own: string } | undefined {
  const { groups = {}, index = 0, 0: found } = foreign.exec(pieces.map(masked).join("")) ?? {};
  if (found === undefined) return undefined;
  const { rest, braced, spread, bracketed, type, angled, starred } = groups;
  const isMany = [rest, spread, starred].some((part) => part !== undefined) || type === "path";
  const source = pieces.map((piece) => piece.source).join("");
  const own = `${isMany ? "**" : ""}:${braced ?? bracketed ?? angled ?? starred}`;
  return { source: source.slice(index, index + found.length), own };
}

/** The source of a piece with escapes, constraints and modifiers replaced by as many NUL characters. */
function masked({ source, name }: Piece): string {
  const mask = (length: number) => "\0".repeat(length);
  if (name === undefined) return /^[\\(]/.test(source) ? mask(source.length) : source;
  const at = source.indexOf(`:${name}`);
  return `${mask(at)}:${name}${mask(source.length - at - name.length - 1)}`;
}

function fill(pattern: string, pieces: readonly Piece[], params: Values): string {
  let path = "";
  for (const { name, text, isOptional = false, isMultiSegment = false } of pieces) {
    if (text !== undefined) {
      path += text;
    } else if (name === undefined) {
      throw new EnfiladeError(
        "ERR_ROUTE_PATTERN",
        `cannot build a path from "${pattern}": a wildcard or group has no name; write a parameter, such as **:rest`,
      );
    } else {
      const value = paramValue(name, pattern, params, isOptional);
      if (!isMultiSegment && value?.includes("/")) {
        throw new EnfiladeError(
          "ERR_PARAMS",
          `the parameter "${name}" of "${pattern}" is one segment and takes no "/"; **:${name} takes several`,
        );
      }
      // Without a value, an optional parameter is left out with its slash.
      path = value === undefined ? path.replace(/\/$/, "") : path + value;
    }
  }
  return path;
}

function paramValue(name: string, pattern: string, params: Values, isOptional: boolean): string | undefined {
  const value = Object.hasOwn(params, name) ? params[name] : undefined;
  if (value === undefined && isOptional) return undefined;
  if ((typeof value === "string" && value !== "") || Number.isFinite(value)) return String(value);
  const came =
    value === ""
      ? "an empty string"
      : typeof value === "number"
        ? String(value)
        : value === null
          ? "null"
          : typeof value;
  throw new EnfiladeError(
    "ERR_PARAMS",
    `the parameter "${name}" of "${pattern}" takes a non-empty string or a finite number, got ${came}`,
  );
}

/** The parts of a pattern, in order. */
export function patternPieces(pattern: string): readonly Piece[] {
  return piecesOf(pattern.normalize("NFC"));
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
    const isWildcard = constraint === "(.*)";
    return {
      source: head + constraint + modifier,
      name,
      isOptional: isWildcard || modifier === "?" || modifier === "*",
      isMultiSegment: isWildcard || stars !== "" || modifier === "+" || modifier === "*",
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
