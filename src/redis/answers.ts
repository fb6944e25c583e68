import type { Epoch, Position } from "../wire/position.js";

/** Reads the epoch and the offset from an answer. */
export function positionOf(answer: unknown): Position {
  const [epoch, offset] = listOf(answer);
  return { epoch: String(epoch), offset: offsetOf(offset) };
}

/** Reads epochs as the scripts keep them: `epoch base lost,` with `-` for an unknown number. */
export function epochsOf(past: unknown): Epoch[] {
  return [...String(past).matchAll(/([^, ]+) (\d+) ([^,]*),/g)].map(([, epoch = "", base, lost]) => ({
    epoch,
    base: Number(base),
    lost: lost === "-" ? undefined : Number(lost),
  }));
}

/** Reads an offset, or the id of an entry in a stream: `41-0`. */
export function offsetOf(value: unknown): number {
  return Number.parseInt(String(value), 10);
}

export function listOf(answer: unknown): readonly unknown[] {
  if (Array.isArray(answer)) return answer;
  throw new Error(`redis: a script must answer with a list, got ${typeof answer}`);
}

/** A number as an argument of a script. */
export function numberOf(limit: number): string {
  return String(Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER));
}

/** A boolean as an argument of a script. */
export function flag(value: boolean): string {
  return value ? "1" : "0";
}
