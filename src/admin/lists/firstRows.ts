/** A row of a list with its place in the order. */
export type KeyedRow<Row> = readonly [key: string, row: Row];

/**
 * Collects the rows with the lowest keys above a cursor, at most `max`, from any number of rows in any order. It holds
 * at most twice as many rows.
 */
export class FirstRows<Row> {
  readonly #max: number;
  readonly #after: string;
  #rows = new Map<string, Row>();
  /** All keys from this one on are above the rows that count. */
  #bound: string | undefined;

  /** @param after Only rows with a higher key count; `undefined`: all. */
  constructor(max: number, after = "") {
    this.#max = max;
    this.#after = after;
  }

  /** Whether a row with this key can be one of the first. */
  isNear(key: string): boolean {
    return key > this.#after && (this.#bound === undefined || key < this.#bound);
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  set(key: string, row: Row): void {
    if (!this.isNear(key)) return;
    this.#rows.set(key, row);
    if (this.#rows.size > this.#max * 2) this.#cut();
  }

  /** The rows in the order of their keys. */
  get rows(): KeyedRow<Row>[] {
    this.#cut();
    return [...this.#rows];
  }

  #cut(): void {
    const sorted = [...this.#rows].sort(([one], [other]) => (one < other ? -1 : 1));
    this.#bound = sorted[this.#max]?.[0] ?? this.#bound;
    this.#rows = new Map(sorted.slice(0, this.#max));
  }
}

/** One page of a list. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  /** The cursor of the next page. */
  readonly next?: string;
}

/**
 * The first page of the rows of several nodes, each of which gave its first `limit + 1` rows.
 *
 * @param merge Makes one row of two with the same key. Default: the first one.
 */
export function mergedPage<Row>(
  lists: Iterable<readonly KeyedRow<Row>[]>,
  limit: number,
  merge: (one: Row, other: Row) => Row = (one) => one,
): Page<Row> {
  const first = new FirstRows<Row>(limit + 1);
  for (const list of lists) {
    for (const [key, row] of list) {
      const known = first.get(key);
      first.set(key, known === undefined ? row : merge(known, row));
    }
  }
  const { rows } = first;
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { rows: shown.map(([, row]) => row), ...(rows.length > limit && last !== undefined && { next: last[0] }) };
}
