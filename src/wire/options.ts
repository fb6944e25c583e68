import { EnfiladeError } from "../errors.js";

/**
 * Checks the names of options.
 *
 * @param owner Takes the options, as the error names it.
 * @throws EnfiladeError `ERR_OPTION` when `options` has a name that is not one of `names`, or is not an object.
 */
export function checkNames(owner: string, options: object, names: readonly string[]): void {
  if (typeof options !== "object" || !options) {
    const came = options === null ? options : typeof options;
    throw new EnfiladeError("ERR_OPTION", `${owner} takes an object, got ${came}`);
  }
  for (const name of Object.keys(options)) checkName(`${owner} has no option`, name, names);
}

/**
 * Checks one name.
 *
 * @param complaint The start of the error message; the name follows it.
 * @throws EnfiladeError `ERR_OPTION` when `name` is not one of `names`; the message suggests the nearest of them.
 */
export function checkName(complaint: string, name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  const near = nearest(name, names);
  const hint = near ? `; did you mean "${near}"?` : ".";
  throw new EnfiladeError("ERR_OPTION", `${complaint} "${name}"${hint} It has: ${names.join(", ")}`);
}

/**
 * The one of `names` with the fewest edits from `name`, ignoring case; `undefined` if it needs more than `editsMax`.
 *
 * @param editsMax Default: a third of the letters, at most 3: the time of the search grows exponentially with it.
 */
export function nearest(
  name: string,
  names: readonly string[],
  editsMax = Math.min(3, Math.ceil(name.length / 3)),
): string | undefined {
  for (let edits = 0; edits <= editsMax; edits += 1) {
    const found = names.find((candidate) => isWithin(edits, name.toLowerCase(), candidate.toLowerCase()));
    if (found) return found;
  }
  return undefined;
}

/** Whether `edits` are enough: to replace, remove or insert a letter, or to swap two neighbours (Damerau 1964). */
function isWithin(edits: number, one: string, other: string): boolean {
  const [rest, otherRest] = [one.slice(1), other.slice(1)];
  return (
    edits >= 0 &&
    (one === other ||
      isWithin(one[0] === other[0] ? edits : edits - 1, rest, otherRest) ||
      isWithin(edits - 1, rest, other) ||
      isWithin(edits - 1, one, otherRest) ||
      (one[0] === other[1] && one[1] === other[0] && isWithin(edits - 1, one.slice(2), other.slice(2))))
  );
}

/** Describes the address of a server in an error, without passwords; an object by the names of its properties. */
export function describeAddress(address: unknown): string {
  if (typeof address === "string") return JSON.stringify(address.replace(/^([a-z][\w+.-]*:\/\/)?.*@/is, "$1***@"));
  if (typeof address !== "object" || address === null) return String(address);
  if (Array.isArray(address)) return `[${address.map(describeAddress).join(", ")}]`;
  const names = Object.keys(address).slice(0, 5);
  return `an object with ${names.length === 0 ? "no properties" : names.join(", ")}`;
}
