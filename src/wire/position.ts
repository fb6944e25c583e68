/** Identifies a publication in the numbered stream of its room. */
export interface Position {
  /** Names one numbering of the stream; when the numbering restarts, the epoch changes. Letters, digits, `-` and `_`. */
  readonly epoch: string;
  /** Increases by one with each publication, from 1; 0 precedes the first. */
  readonly offset: number;
}

/** Whether `next` directly follows `position`. */
export function isNext(position: Position, next: Position): boolean {
  return next.epoch === position.epoch && next.offset === position.offset + 1;
}

/** Whether a reader at `reached` has already seen `position`; `false` for positions of different epochs, which have no order. */
export function isUpTo(reached: Position, position: Position): boolean {
  return reached.epoch === position.epoch && reached.offset >= position.offset;
}

/** Whether `position` is older than `other`; `false` for positions of different epochs, which have no order. */
export function isBefore(position: Position, other: Position): boolean {
  return isUpTo(other, position) && other.offset !== position.offset;
}

/** How many publications lie between `last` and `next`; `undefined` for positions of different epochs. */
export function missedBetween(last: Position, next: Position): number | undefined {
  return last.epoch === next.epoch ? Math.max(0, next.offset - last.offset - 1) : undefined;
}
