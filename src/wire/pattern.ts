import { type InferRouteParams, routeToRegExp } from "rou3";
import { EnfiladeError } from "../errors.js";
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

type Values = Readonly<Record<string, string | number | undefined>>;

/** One piece of a segment: an escaped character, a parameter with its constraint and modifier, or what has no name. */
const piece = /\\(?<escaped>.)|(?:\*\*)?:(?<name>[A-Za-z_]\w*)(?:\((?:[^()]|\([^()]*\))*\))?(?<modifier>[?+*])?|[*({]/g;

/**
 * The room that `pattern` names with these parameters, which may come from anybody.
 *
 * ```ts
 * roomPath("/chat/:channel", { channel: "general" }); // "/chat/general"
 * ```
 *
 * Values stand for themselves: they are not percent-decoded, and one that would add a segment is refused.
 *
 * @throws EnfiladeError `ERR_PARAMS` when a value is missing or does not fit, `ERR_ROUTE_PATTERN` when the pattern has
 * a part without a name, `ERR_PATH` when the result is no room path.
 */
export function roomPath<const Pattern extends string>(pattern: Pattern, params: PathParams<Pattern>): RoomPath {
  return fillPattern(pattern, params);
}

/** As {@link roomPath}, for a pattern that is known only at run time. */
export function fillPattern(pattern: string, params: Values): RoomPath {
  const segments = pattern.split("/").flatMap((segment) => fillSegment(segment, pattern, params) ?? []);
  const path = roomName(segments.join("/"));
  if (pattern.includes("(") && !routeToRegExp(pattern).test(lookupPath(path))) {
    throw new EnfiladeError("ERR_PARAMS", `${JSON.stringify(path)} does not fit the constraints of "${pattern}"`);
  }
  return path;
}

/**
 * `path` as the router looks it up: the characters that it encodes in a pattern's literal text, and `%`, are encoded.
 */
export function lookupPath(path: RoomPath): string {
  return path.replace(/[ "%<>^`{}\x7f-\uffff]+/g, encodeURIComponent);
}

/** A parameter as {@link lookupPath} shows it, decoded. */
export function decodeParam(value: string): string {
  return value.includes("%") ? decodeURIComponent(value) : value;
}

/** `undefined` when the segment is one optional parameter without a value: then there is no such segment. */
function fillSegment(segment: string, pattern: string, params: Values): string | undefined {
  let absent = false;
  const filled = segment.replace(piece, (_match, ...rest) => {
    const groups: { escaped?: string; name?: string; modifier?: string } = rest.at(-1);
    if (groups.escaped !== undefined) return groups.escaped;
    if (groups.name === undefined) throw unnamed(pattern);
    const optional = groups.modifier === "?" || groups.modifier === "*";
    const value = paramValue(groups.name, pattern, params, optional);
    absent = value === undefined;
    const manySegments = groups.modifier === "+" || groups.modifier === "*" || segment.startsWith("**");
    if (value?.includes("/") && !manySegments) {
      throw new EnfiladeError("ERR_PARAMS", `"${groups.name}" of "${pattern}" is one segment: it takes no "/"`);
    }
    return value ?? "";
  });
  return absent && filled === "" ? undefined : filled;
}

function paramValue(name: string, pattern: string, params: Values, optional: boolean): string | undefined {
  const value = Object.hasOwn(params, name) ? params[name] : undefined;
  if (value === undefined && optional) return undefined;
  if ((typeof value === "string" && value !== "") || typeof value === "number") return String(value);
  const came = value === "" ? "an empty string" : value === null ? "null" : typeof value;
  throw new EnfiladeError("ERR_PARAMS", `"${name}" of "${pattern}" takes a text or a number, got ${came}`);
}

function unnamed(pattern: string): EnfiladeError {
  return new EnfiladeError("ERR_ROUTE_PATTERN", `"${pattern}" has a part without a name, so no path can be made of it`);
}
