// The load generator; see generator.c.
import { cores, pinned } from "./machine.mjs";
import { runProgram } from "./program.mjs";

/**
 * Runs the generator, which has a time limit of its own. `onEvent` is called with each of its events.
 *
 * @param {string} program
 * @param {Record<string, string | number>} settings
 * @param {Parameters<typeof runProgram>[1]} onEvent
 */
export function generate(program, settings, onEvent) {
  const given = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return runProgram(pinned(cores?.generator, [program, ...given]), onEvent);
}
