// The load generator; see generator.c.
import { cores, pinned } from "./machine.mjs";
import { resultOf } from "./program.mjs";

/**
 * Runs the generator, which has a bound on its time; `tell` hears each of its events.
 *
 * @param {string} program
 * @param {Record<string, string | number>} settings
 * @param {Parameters<typeof resultOf>[1]} tell
 */
export function generate(program, settings, tell) {
  const given = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return resultOf(pinned(cores?.generator, [program, ...given]), tell);
}
