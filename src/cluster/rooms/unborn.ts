import { type Epoch, epochTime, type Position } from "../../wire/position.js";
import type { EngineTop } from "../engine.js";

/**
 * A room without publications has no epoch in the engine, so that a visit alone stores nothing. Its epoch is made here:
 * `none-` and the time at which nothing was published.
 */
const prefix = "none-";
/**
 * Milliseconds that such a position can be used. Engines keep the epochs of a room for ten minutes at least, so until
 * then no room can have come and gone.
 */
const usableMs = 480_000;
/** Milliseconds after which it is replaced by a new one, so that a client always has one that can be used for long. */
const freshMs = usableMs / 2;

/** Whether a position says that nothing was published. */
export function isUnborn({ epoch }: Position): boolean {
  return epoch.startsWith(prefix);
}

/** Whether the engine has forgotten a room. Its next publication shows whether what it had is lost. */
export function isForgotten(last: Position, top: Position): boolean {
  return isUnborn(top) && !isUnborn(last);
}

/** The position to read from the engine: from the first publication, if nothing had been published at `since`. */
export function sinceBirth(since: Position, now: number): Position {
  return isUsable(since, now) ? { epoch: "", offset: 0 } : since;
}

/**
 * An answer of the engine, with an epoch for a room without publications, and with that of `since`. If that of `since`
 * is no longer fresh, a new one follows it.
 */
export function withUnborn({ top, epochs }: EngineTop, since: Position | undefined, now: number): EngineTop {
  const known = since !== undefined && isUsable(since, now) ? since : undefined;
  const unborn: readonly Epoch[] = known === undefined ? [] : [{ epoch: known.epoch, base: 0, lost: undefined }];
  if (top.epoch === "") {
    if (known !== undefined && ageOf(known, now) < freshMs) return { top: { ...known, offset: 0 }, epochs: unborn };
    const epoch = prefix + now;
    return { top: { epoch, offset: 0 }, epochs: [...unborn, { epoch, base: 0, lost: known && 0 }] };
  }
  if (known === undefined) return { top, epochs };
  const [first, ...later] = epochs;
  if (first === undefined) return { top, epochs: unborn };
  // An engine that has lost all its data may have had other epochs in between.
  return { top, epochs: [...unborn, { ...first, base: 0, lost: undefined }, ...later] };
}

function isUsable(since: Position, now: number): boolean {
  return isUnborn(since) && ageOf(since, now) < usableMs;
}

/** Milliseconds; the clocks of two nodes may differ in both directions. */
function ageOf({ epoch }: Position, now: number): number {
  return Math.abs(now - Number(epoch.slice(prefix.length)));
}

/** Whether an epoch began after nothing had been published at `unborn`. */
export function isSince({ epoch }: Position, unborn: string): boolean {
  return (epochTime(epoch) ?? 0) >= Number(unborn.slice(prefix.length));
}
