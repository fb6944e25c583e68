import { EnfiladeError } from "../errors.js";

/** @throws EnfiladeError `ERR_OPTION` when `options` has a name that is not among `names`. */
export function checkNames(what: string, options: object, names: readonly string[]): void {
  const isObject = typeof options === "object" && options !== null;
  const unknown = isObject ? Object.keys(options).find((name) => !names.includes(name)) : String(options);
  if (unknown === undefined) return;
  throw new EnfiladeError("ERR_OPTION", `${what} has no option "${unknown}"; it has: ${names.join(", ")}`);
}
