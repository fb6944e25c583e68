/** Identifies a publication in the history of its room: `{ epoch: "Qm3x-1", offset: 41 }`. */
export interface Position {
  /** The id of one numbering of the room; it changes when the numbering restarts. Letters, digits, `-` and `_`. */
  readonly epoch: string;
  /** The number of the publication, from 1 and one more for each; 0 is the position before the first. */
  readonly offset: number;
}

/** Whether `next` directly follows `position`. */
export function isNext(position: Position, next: Position): boolean {
  return next.epoch === position.epoch && next.offset === position.offset + 1;
}

/** Whether a reader at `reached` has seen `position`; `false` for positions of different epochs: they have no order. */
export function isUpTo(reached: Position, position: Position): boolean {
  return reached.epoch === position.epoch && reached.offset >= position.offset;
}

/** Whether `position` is older than `other`; `false` for positions of different epochs: they have no order. */
export function isBefore(position: Position, other: Position): boolean {
  return isUpTo(other, position) && other.offset !== position.offset;
}

/** How many publications lie between `last` and `next`; `undefined` for positions of different epochs. */
export function missedBetween(last: Position, next: Position): number | undefined {
  return last.epoch === next.epoch ? Math.max(0, next.offset - last.offset - 1) : undefined;
}
