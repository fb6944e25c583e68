/** Identifies a publication in the history of its room: `{ epoch: "Qm3x-1", offset: 41 }`. */
export interface Position {
  /** The id of one numbering of the room; it changes when the numbering restarts. Letters, digits, `-` and `_`. */
  readonly epoch: string;
  /** The number of the publication, from 1 and one more for each; 0 is the position before the first. */
  readonly offset: number;
}

/** The position as `epoch:offset`: its form in URLs and event streams. */
export function positionText({ epoch, offset }: Position): string {
  return `${epoch}:${offset}`;
}

/** Reads `epoch:offset`; `undefined` if the text is no position. */
export function readPosition(text: string): Position | undefined {
  const [, epoch, digits] = /^([\w-]{1,64}):(\d{1,16})$/.exec(text) ?? [];
  const offset = Number(digits);
  return epoch !== undefined && Number.isSafeInteger(offset) ? { epoch, offset } : undefined;
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

/** One numbering of a room. Its offsets continue those of the epoch before it. */
export interface Epoch {
  /** The id of the epoch. */
  readonly epoch: string;
  /** The last offset of the epoch before it that the history has or had; 0 for the first epoch. */
  readonly base: number;
  /** How many publications of the epoch before it were lost behind `base`; `undefined` if not known. */
  readonly lost: number | undefined;
}

/** Publications that a reader does not get, or a change of the epoch. */
export interface Gap {
  /** The position from which the reader continues. */
  readonly position: Position;
  /** How many publications are missing: 0 if only the epoch has changed, `undefined` if not known. */
  readonly missed: number | undefined;
}

/** The epoch of an offset. */
export function epochAt(epochs: readonly Epoch[], offset: number): string {
  return (epochs.findLast(({ base }) => base < offset) ?? epochs[0])?.epoch ?? "";
}

/** The id of an epoch that begins at a time, in milliseconds since 1970: a reader can tell which of two is older. */
export function epochId(timeMs: number, unique: string): string {
  return `${timeMs.toString(36)}-${unique}`;
}

/** The time of an epoch; `undefined` if its id says none. */
export function epochTime(epoch: string): number | undefined {
  const [, digits] = /^([0-9a-z]{1,9})-/.exec(epoch) ?? [];
  return digits === undefined ? undefined : Number.parseInt(digits, 36);
}

/**
 * The offset after which a reader at `since` has to read. A reader of an unknown epoch reads the epochs that began
 * later than its own, or the last one if that cannot be told.
 */
export function offsetAfter(since: Position, epochs: readonly Epoch[], top: number): number {
  const index = epochs.findIndex(({ epoch }) => epoch === since.epoch);
  const end = endOf(index, epochs, top);
  const isReached = index !== -1 && (since.offset <= end || index < epochs.length - 1);
  return isReached ? Math.min(since.offset, end) : firstLater(since, epochs);
}

/** The last offset of an epoch that is left. A later one may have lost more than the one after it. */
function endOf(index: number, epochs: readonly Epoch[], top: number): number {
  const later = epochs.slice(index + 1).map(({ base }) => base);
  return later.length > 0 ? Math.min(...later) : top;
}

function firstLater({ epoch }: Position, epochs: readonly Epoch[]): number {
  const time = epochTime(epoch) ?? Number.POSITIVE_INFINITY;
  const later = epochs.find((one) => (epochTime(one.epoch) ?? 0) >= time && one.epoch !== epoch);
  return (later ?? epochs.at(-1))?.base ?? 0;
}

/** The gap between `last` and `next`, the position that is read after it; `undefined` if `next` directly follows. */
export function gapBetween(last: Position, next: Position, epochs: readonly Epoch[]): Gap | undefined {
  if (isNext(last, next)) return undefined;
  const position = { epoch: next.epoch, offset: next.offset - 1 };
  if (last.epoch === next.epoch) return { position, missed: Math.max(0, position.offset - last.offset) };
  const from = epochs.findIndex(({ epoch }) => epoch === last.epoch);
  const to = epochs.findIndex(({ epoch }) => epoch === next.epoch);
  if (from === -1 || to < from) return { position, missed: undefined };
  const end = endOf(from, epochs, 0);
  let missed: number | undefined = position.offset - Math.min(last.offset, end);
  for (const { lost } of epochs.slice(from + 1, to + 1)) {
    missed = missed === undefined || lost === undefined ? undefined : missed + lost;
  }
  // A reader behind `end` has received some of the lost publications.
  const received = Math.max(0, last.offset - end);
  return { position, missed: missed && Math.max(0, missed - received) };
}
