import type { Epoch, Position } from "../../wire/position.js";
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

/** Whether a position says that nothing was published. */
export function isUnborn({ epoch }: Position): boolean {
  return epoch.startsWith(prefix);
}

/** The position to read from the engine: from the first publication, if nothing had been published at `since`. */
export function sinceBirth(since: Position, now: number): Position {
  return isUsable(since, now) ? { epoch: "", offset: 0 } : since;
}

/** An answer of the engine, with an epoch for a room without publications, and with that of `since`. */
export function withUnborn({ top, epochs }: EngineTop, since: Position | undefined, now: number): EngineTop {
  const known = since !== undefined && isUsable(since, now) ? since : undefined;
  if (top.epoch === "") {
    const epoch = known?.epoch ?? prefix + now;
    return { top: { epoch, offset: 0 }, epochs: [{ epoch, base: 0, lost: undefined }] };
  }
  if (known === undefined) return { top, epochs };
  const [first, ...later] = epochs;
  const unborn: Epoch = { epoch: known.epoch, base: 0, lost: undefined };
  // Before the first publication nothing can be lost, unless the first known epoch is not the first one.
  return { top, epochs: first ? [unborn, { ...first, lost: first.base === 0 ? 0 : undefined }, ...later] : [unborn] };
}

function isUsable(since: Position, now: number): boolean {
  const at = Number(since.epoch.slice(prefix.length));
  return isUnborn(since) && Math.abs(now - at) < usableMs;
}
