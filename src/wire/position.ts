/** Where a publication stands in the stream of its room. */
export interface Position {
  /** Names the life of the stream: another epoch, another numbering. Letters, digits, `-` and `_`. */
  readonly epoch: string;
  /** Counts up by one with each publication, from 1; 0 is before the first. */
  readonly offset: number;
}

/** Whether nothing lies between `position` and `next`. */
export function isNext(position: Position, next: Position): boolean {
  return next.epoch === position.epoch && next.offset === position.offset + 1;
}

/** Whether who has come to `reached` has come to `position` as well; of another epoch, nobody knows. */
export function isUpTo(reached: Position, position: Position): boolean {
  return reached.epoch === position.epoch && reached.offset >= position.offset;
}
