/** Where a publication stands in the stream of its room. */
export interface Position {
  /** Names the life of the stream: another epoch, another numbering. Letters, digits, `-` and `_`. */
  readonly epoch: string;
  /** Counts up by one with each publication, from 1; 0 is before the first. */
  readonly offset: number;
}
