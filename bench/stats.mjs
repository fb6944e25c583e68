/** @typedef {{ median: number, min: number, max: number }} Spread */

/** @param {readonly number[]} numbers At least one. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {readonly number[]} numbers At least one. @param {number} share Below 1. */
export function percentile(numbers, share) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(share * numbers.length)];
}

/**
 * The median, minimum and maximum of the finite numbers; `undefined` when there are none.
 *
 * @param {readonly (number | undefined)[]} numbers
 * @returns {Spread | undefined}
 */
export function spread(numbers) {
  const known = numbers.filter((number) => Number.isFinite(number));
  if (known.length === 0) return undefined;
  return { median: median(known), min: Math.min(...known), max: Math.max(...known) };
}

/**
 * The ratios within each round, so that differences between rounds cancel out.
 *
 * @param {readonly (number | undefined)[]} numbers
 * @param {readonly (number | undefined)[]} bases Of the same rounds.
 */
export function ratios(numbers, bases) {
  return spread(numbers.map((number, round) => number / bases[round]));
}
