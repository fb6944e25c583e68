/** @typedef {{ median: number, min: number, max: number }} Spread */

/** @param {readonly number[]} numbers at least one */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {readonly number[]} numbers at least one @param {number} share below 1 */
export function percentile(numbers, share) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(share * numbers.length)];
}

/**
 * The median with the least and the greatest of what can be counted on; `undefined` when nothing can.
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
 * Ratios within each round, so that what changes between rounds does not count.
 *
 * @param {readonly (number | undefined)[]} numbers
 * @param {readonly (number | undefined)[]} bases of the same rounds
 */
export function ratios(numbers, bases) {
  return spread(numbers.map((number, round) => number / bases[round]));
}
