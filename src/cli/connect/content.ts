import type { Content } from "./link.js";

/** How lines are read. */
export interface Format {
  /** True if lines are JSON. */
  readonly isJSON: boolean;
  /** The name of the event whose data the lines are. */
  readonly event: string | undefined;
}

/** A line that cannot be sent in its format. */
export class LineError extends Error {
  override readonly name = "LineError";
}

/** @throws LineError when the line is not JSON, but has to be. */
export function contentOf(line: string, { isJSON, event }: Format): Content {
  const json = isJSON ? parse(line) : line;
  if (event !== undefined) return { event, data: json };
  return isJSON ? { json } : { text: line };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    const example = `a text is written "${line.slice(0, 20).replaceAll(/["\\]/g, "")}", with quotes`;
    throw new LineError(`not sent, since this is not JSON: ${line.slice(0, 200)}; ${example}`);
  }
}
