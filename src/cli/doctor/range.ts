/**
 * Whether a version is in a range of the forms that this package uses: `^1.2.3`, `>=1.2`, and several of them with
 * `||`. A prerelease counts as its version.
 */
export function isInRange(version: string, range: string): boolean {
  return range.split("||").some((part) => isInPart(partsOf(version), part.trim()));
}

function isInPart(version: readonly number[], part: string): boolean {
  const [, sign, text = ""] = /^(\^|>=)\s*([\d.]+)$/.exec(part) ?? [];
  if (sign === undefined) return false;
  const lowest = partsOf(text);
  // Of ^0.2.3, the first number that is not 0 may not change.
  const fixed = lowest.findIndex((number) => number > 0);
  const isCompatible = sign === ">=" || lowest.slice(0, fixed + 1).every((number, at) => number === version[at]);
  return isCompatible && compare(version, lowest) >= 0;
}

function partsOf(version: string): readonly number[] {
  const [, ...parts] = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(version) ?? [];
  return [0, 1, 2].map((at) => Number(parts[at] ?? 0));
}

function compare(one: readonly number[], other: readonly number[]): number {
  const differences = one.map((number, at) => number - (other[at] ?? 0));
  return differences.find((difference) => difference !== 0) ?? 0;
}
