import { EnfiladeError } from "../errors.js";

/** @throws EnfiladeError `ERR_OPTION` when `options` is not an object, or has a name that is not among `names`. */
export function checkNames(what: string, options: object, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new EnfiladeError("ERR_OPTION", `${what} takes an object of options, got ${String(options)}`);
  }
  for (const name of Object.keys(options)) checkName(`${what} has no option`, name, names);
}

/**
 * Checks one name.
 *
 * @param complaint Begins the message; the name follows.
 * @throws EnfiladeError `ERR_OPTION` when `name` is not among `names`; the message suggests the nearest of them.
 */
export function checkName(complaint: string, name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  const near = nearest(name, names);
  const hint = near === undefined ? "; it has" : `; did you mean "${near}"? It has`;
  throw new EnfiladeError("ERR_OPTION", `${complaint} "${name}"${hint}: ${names.join(", ")}`);
}

/** The name that takes the fewest edits to reach, ignoring case; `undefined` when that is more than a third of the letters. */
function nearest(name: string, names: readonly string[]): string | undefined {
  // Three edits at most: the search is exponential in them.
  let max = Math.min(3, Math.round(name.length / 3));
  let found: string | undefined;
  for (const candidate of names) {
    const edits = editsBetween(name.toLowerCase(), candidate.toLowerCase(), max);
    if (edits > max) continue;
    found = candidate;
    max = edits - 1;
  }
  return found;
}

/**
 * Counts the letters to insert, remove, replace, or swap with their neighbour; `Infinity` past `max`.
 *
 * This is the optimal string alignment distance: a common prefix is never edited.
 */
function editsBetween(one: string, other: string, max: number): number {
  if (Math.abs(one.length - other.length) > max) return Number.POSITIVE_INFINITY;
  if (one === other) return 0;
  const [rest, otherRest] = [one.slice(1), other.slice(1)];
  if (one[0] === other[0]) return editsBetween(rest, otherRest, max);
  const isSwap = one[0] === other[1] && one[1] === other[0];
  return (
    1 +
    Math.min(
      editsBetween(rest, otherRest, max - 1),
      editsBetween(rest, other, max - 1),
      editsBetween(one, otherRest, max - 1),
      isSwap ? editsBetween(one.slice(2), other.slice(2), max - 1) : Number.POSITIVE_INFINITY,
    )
  );
}
